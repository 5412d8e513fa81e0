"""What a server does with runs that workers carry: hand them over, stop them, and hear of what is new of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from stretto.cluster import handing
from stretto.cluster.news import News
from stretto.cluster.queue import Queue, queue
from stretto.run_stream import RunStream
from stretto.runs import Run
from stretto.store.locations import Location, Server

Heed = Callable[[str, float], Awaitable[None]]
"""Waits until something is new of a run, or so many seconds have passed."""


async def passing(_: str, seconds: float) -> None:
    """Where nobody tells of anything: the seconds pass."""
    await asyncio.sleep(seconds)


class Elsewhere:
    """The workers of a store in PostgreSQL."""

    def __init__(self, server: Server, waiting: Queue, news: News) -> None:
        self._server = server
        self._waiting = waiting
        self.heed: Heed = news.of

    async def begin(self, stream: RunStream[Any]) -> None:
        """Have a worker carry a run; its first event is on the disk when this returns."""
        await handing.submit(self._waiting, stream)

    async def cancel(self, run: str) -> Run[Any]:
        """Stop a run, wherever it is; raises `RunBusy` if whoever carries it does not."""
        return await handing.cancel(self._waiting, self._server, run)


@asynccontextmanager
async def workers(location: Location | None) -> AsyncIterator[Elsewhere | None]:
    """The workers of a store, if it is one that they reach."""
    if not isinstance(location, Server):
        yield None
        return
    opened = queue(location)
    waiting = await asyncio.to_thread(opened.__enter__)
    try:
        async with News(location) as news:
            yield Elsewhere(location, waiting, news)
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
