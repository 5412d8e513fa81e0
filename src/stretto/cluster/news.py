"""Telling those who watch runs when there is something new, over one connection for all of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import Any, Self

from stretto.cluster.notices import notices
from stretto.store.locations import Server
from stretto.store.postgres.tables import CHANNEL

Until = Callable[[float], Coroutine[Any, Any, None]]
"""Waits until something is new, or may be, or so many seconds have passed; what came since it last did counts, too."""


class News:
    """Hears of new events of all runs of a store; used as `async with`, in one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._watched = defaultdict[str, set[asyncio.Event]](set)
        self._ears: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._ears = asyncio.create_task(self._listen(), name="stretto-news")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ears is not None:
            self._ears.cancel()
            await asyncio.wait([self._ears])

    @contextmanager
    def of(self, run: str) -> Iterator[Until]:
        """Watch a run; nothing is missed that comes between a look at it and the wait for more."""
        event = asyncio.Event()
        self._watched[run].add(event)
        try:
            yield partial(_set, event)
        finally:
            self._watched[run].discard(event)
            if not self._watched[run]:
                del self._watched[run]

    async def _listen(self) -> None:
        async with aclosing(notices(self._server, [CHANNEL])) as told:
            async for _, said in told:
                for run in [said.partition(" ")[0]] if said else [*self._watched]:
                    for event in self._watched.get(run, ()):
                        event.set()


async def _set(event: asyncio.Event, within: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), within)
    event.clear()
