"""The cluster of a server whose store is one in PostgreSQL: runs are handed to it, and it is heard in turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from stretto.cluster import Cluster
from stretto.cluster.news import Until
from stretto.cluster.orders import Find, obey
from stretto.store.locations import Location, Server

Heed = Callable[[str], AbstractContextManager[Until]]
"""Watches a run: gives what waits until something is new of it, or so many seconds have passed."""


def passing(_: str) -> AbstractContextManager[Until]:
    """Where nobody tells of anything: the seconds pass."""
    return nullcontext(asyncio.sleep)


@asynccontextmanager
async def cluster(location: Location | None, find: Find, stop: Callable[[str], None]) -> AsyncIterator[Cluster | None]:
    """That of a store, if it has one; `find`, `stop`: what others want of runs that are carried here."""
    if not isinstance(location, Server):
        yield None
        return
    async with Cluster(location) as found:
        ears = asyncio.create_task(obey(location, find, stop), name="stretto-ears")
        try:
            yield found
        finally:
            ears.cancel()
            await asyncio.wait([ears])
