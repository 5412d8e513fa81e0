"""What a server does with runs that others carry: hand them over, steer and stop them, hear of what is new of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from stretto.cluster import approval, handing, orders
from stretto.cluster.news import News
from stretto.cluster.orders import Find, Order
from stretto.cluster.queue import Queue, queue
from stretto.proposal import Answer
from stretto.run_stream import RunStream
from stretto.runs import Run
from stretto.store.locations import Location, Server
from stretto.store.postgres import proposals

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

    async def order(self, order: Order) -> None:
        """Have whoever carries a run do something about a subtask; raises `TaskError` or `RunBusy` if they do not."""
        await orders.give(self._server, order)

    async def proposal(self, run: str) -> bytes | None:
        """The plan of a run that waits for approval, as JSON."""
        return await asyncio.to_thread(proposals.waiting, self._server, run)

    async def answer(self, run: str, decided: Answer) -> bool:
        """Decide about that plan; False if none waits."""
        return await asyncio.to_thread(approval.answer, self._waiting, self._server, run, decided)

    async def cancel(self, run: str) -> Run[Any]:
        """Stop a run, wherever it is; raises `RunBusy` if whoever carries it does not."""
        return await handing.cancel(self._waiting, self._server, run)


@asynccontextmanager
async def workers(
    location: Location | None, find: Find, stop: Callable[[str], None]
) -> AsyncIterator[Elsewhere | None]:
    """The workers of a store, if it is one that they reach; `find`, `stop`: what others want of runs that are here."""
    if not isinstance(location, Server):
        yield None
        return
    opened = queue(location)
    waiting = await asyncio.to_thread(opened.__enter__)
    try:
        async with News(location) as news:
            ears = asyncio.create_task(orders.obey(location, find, stop), name="stretto-ears")
            try:
                yield Elsewhere(location, waiting, news)
            finally:
                ears.cancel()
                await asyncio.wait([ears])
    finally:
        await asyncio.to_thread(opened.__exit__, None, None, None)
