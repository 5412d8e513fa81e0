"""Telling those who watch runs when there is something new, over one connection for all of them."""

import asyncio
from collections import defaultdict
from contextlib import aclosing, suppress
from typing import Self

from stretto.cluster.notices import notices
from stretto.store.locations import Server
from stretto.store.postgres.sink import CHANNEL


class News:
    """Hears of new events of all runs of a store; used as `async with`, in one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._ears: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._ears = asyncio.create_task(self._listen(), name="stretto-news")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ears is not None:
            self._ears.cancel()
            await asyncio.wait([self._ears])

    async def of(self, run: str, within: float) -> None:
        """Wait until something is new of a run, or may be, or so many seconds have passed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._waiting[run].wait(), within)

    async def _listen(self) -> None:
        async with aclosing(notices(self._server, [CHANNEL])) as told:
            async for _, said in told:
                for run in [said.partition(" ")[0]] if said else [*self._waiting]:
                    if run in self._waiting:
                        self._waiting.pop(run).set()
