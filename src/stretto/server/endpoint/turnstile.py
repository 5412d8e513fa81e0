"""Who is served at the same time, who waits for it, and who is sent away."""

import asyncio
from collections import deque
from typing import Self

from stretto.models.error_bodies import Refusal
from stretto.server.refused import RefusedError

STOPPING = Refusal(503, "server_error", "stopping", "the server is stopping; ask again later", 5.0)
_LONGEST = 60.0  # seconds after which somebody who was sent away may come again, at the most


class Turnstile:
    """Lets `most` in at once; `waiting` more may wait, and whoever comes then is refused with a time to come again."""

    def __init__(self, most: int, waiting: int) -> None:
        self.inside = 0
        self._most = most
        self._room = waiting
        self._queue: deque[asyncio.Future[None]] = deque()
        self._usual = 1.0  # seconds that one is inside, on a moving average
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def place(self) -> "Place":
        """A place inside, or in the queue; raises `RefusedError` if there is neither. It is to be left (`with`)."""
        if self._closed:
            raise RefusedError(STOPPING)
        if self.inside < self._most:
            self.inside += 1
            self._empty.clear()
            return Place(self, None, 0)
        if len(self._queue) >= self._room:
            raise RefusedError(self._full())
        future = asyncio.get_running_loop().create_future()
        self._queue.append(future)
        self._empty.clear()
        return Place(self, future, len(self._queue))

    def close(self) -> None:
        """Let nobody in any more; who waits is sent away."""
        self._closed = True
        while self._queue:
            future = self._queue.popleft()
            if not future.done():
                future.cancel()
        self._note_empty()

    async def empty(self) -> None:
        """Wait until nobody is inside."""
        await self._empty.wait()

    def leave(self, seconds: float) -> None:
        """One who was inside has left after so many seconds; the next one enters."""
        self._usual += (seconds - self._usual) / 8
        self.inside -= 1
        self.call_in()

    def call_in(self) -> None:
        """Let in whoever waits, as far as there is room."""
        while self._queue and self.inside < self._most:
            future = self._queue.popleft()
            if not future.done():
                self.inside += 1
                future.set_result(None)
        self._note_empty()

    def forget(self, future: asyncio.Future[None]) -> None:
        """One who waited has left."""
        if future in self._queue:
            self._queue.remove(future)
        self._note_empty()

    def _note_empty(self) -> None:
        if not self.inside and not self._queue:
            self._empty.set()

    def _full(self) -> Refusal:
        again = min(max(self._usual * (len(self._queue) + 1) / self._most, 1.0), _LONGEST)
        message = f"{self.inside} requests are being answered and {len(self._queue)} wait; ask again in {again:.0f} s"
        return Refusal(429, "rate_limit_error", "server_busy", message, again)


class Place:
    """A place at a turnstile, until it is left (`with`); `turn` waits until it is inside.

    `ahead`: how many were to enter before.
    """

    def __init__(self, turnstile: Turnstile, waits: asyncio.Future[None] | None, ahead: int) -> None:
        self.ahead = ahead
        self._turnstile = turnstile
        self._waits = waits
        self._since = asyncio.get_running_loop().time()

    async def turn(self) -> None:
        """Wait until there is room; raises `RefusedError` if nobody is let in any more."""
        if self._waits is None:
            return
        await asyncio.wait([self._waits])
        if self._waits.cancelled():
            raise RefusedError(STOPPING)
        self._since = asyncio.get_running_loop().time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._waits is None or (self._waits.done() and not self._waits.cancelled()):
            self._turnstile.leave(asyncio.get_running_loop().time() - self._since)
        else:
            self._waits.cancel()
            self._turnstile.forget(self._waits)
