"""Being told by a server when something is new (LISTEN and NOTIFY), and telling all who watch its runs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import Any, Self

from stretto.store.locations import Server
from stretto.store.postgres.sessions import WATCHFUL, driver
from stretto.store.postgres.tables import CHANNEL

_AGAIN = 0.5  # seconds until a lost connection is made again

Until = Callable[[float], Coroutine[Any, Any, None]]
"""Waits until something is new, or may be, or so many seconds have passed; what came since it last did counts, too."""


async def notices(server: Server, channels: Sequence[str]) -> AsyncGenerator[tuple[str, str], None]:
    """What is told on these channels, each with what is said; `("", "")` where something may have been missed.

    So it is at the beginning, and whenever a connection was lost. Close it to end its connection.
    """
    psycopg = driver()
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(server.url, autocommit=True, **WATCHFUL)
        except psycopg.Error:
            await asyncio.sleep(_AGAIN)
            continue
        try:
            for channel in channels:
                await connection.execute(f"LISTEN {channel}")
            yield "", ""
            async for each in connection.notifies():
                yield each.channel, each.payload
        except psycopg.Error:
            await asyncio.sleep(_AGAIN)
        finally:
            await connection.close()


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
