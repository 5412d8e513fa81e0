"""The cluster of a server whose store is one in PostgreSQL: runs are handed to it, and it is heard in turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from stretto.cluster import Cluster
from stretto.cluster.orders import Find, obey
from stretto.store.locations import Location, Server

Heed = Callable[[str, float], Awaitable[None]]
"""Waits until something is new of a run, or so many seconds have passed."""


async def passing(_: str, seconds: float) -> None:
    """Where nobody tells of anything: the seconds pass."""
    await asyncio.sleep(seconds)


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
