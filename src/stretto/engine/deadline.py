"""The deadline of a run: when workers are cut so that the answer can still be written."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext

from stretto.calls import Chunk, Done, Reasoning, Restarted, Sent, Text
from stretto.types import RoleName

_ANSWER = 2000  # characters of an answer, if nothing limits it
_UNSEEN = 0.25  # share of the time that the answer is given before any model was seen at work
_LONGEST = 0.5  # share of the time that it is given at most
_MARGIN = 1.2
_LEAST, _SOON = 2.0, 0.1  # seconds that it is given at least, if the share of the time that they are is no larger
_PER_TOKEN = 4  # characters
_UNLIMITED = nullcontext()


class Deadline:
    """`seconds` from now on, or since it `began`; the end belongs to the synthesis, as far as one is to be expected.

    None is no limit, and never comes. How long the synthesis takes is expected from what the streamed calls of the run
    showed: seconds to the first token, and characters a second. `answer_tokens` is the limit of the answer's length, if
    it has one.
    """

    def __init__(
        self, seconds: float | None, *, merges: bool, answer_tokens: int | None = None, began: float | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.limited = seconds is not None
        self.seconds = math.inf if seconds is None else seconds
        self.ends_at = (self._loop.time() if began is None else began) + self.seconds
        self.passed = False
        """Whether workers are cut."""
        self._merges = merges
        self._answer = min(_ANSWER, _PER_TOKEN * answer_tokens) if answer_tokens else _ANSWER
        self._scopes: set[asyncio.Timeout] = set()
        self._answering: asyncio.Timeout | None = None
        self._waits: list[float] = []
        self._characters = 0
        self._speaking = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._wind()

    def close(self) -> None:
        """Put the timer away."""
        if self._timer is not None:
            self._timer.cancel()

    def _wind(self) -> None:
        """Set the timer to when workers are to be cut, as far as that is known now."""
        self.close()
        if self.limited and not self.passed:
            self._timer = self._loop.call_at(self._cut_at(), self._ring)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For as long as nothing is under way and a person decides: that time is not the run's."""
        began = self._loop.time()
        self.close()
        try:
            yield
        finally:
            self.ends_at += self._loop.time() - began
            self._wind()

    def work(self) -> AbstractAsyncContextManager[None]:
        """For as long as workers may work: raises `TimeoutError` when they are cut."""
        return self._scope() if self.limited else _UNLIMITED

    def answer(self) -> asyncio.Timeout:
        """For as long as the answer may be written: raises `TimeoutError` at the end."""
        self._answering = asyncio.timeout_at(self.ends_at if self.limited else None)
        return self._answering

    def cuts(self, role: RoleName) -> bool:
        """Whether a call of this role that is stopped right now is stopped because the deadline came."""
        if role == "synthesizer":
            return self._answering is not None and self._answering.expired()
        return self.passed

    @asynccontextmanager
    async def _scope(self) -> AsyncIterator[None]:
        async with asyncio.timeout_at(self._loop.time() if self.passed else None) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    def watch(self) -> "Watch | None":
        """For one call: how fast its model is; None where that does not matter."""
        return Watch(self) if self.limited else None

    def learn(self, wait: float, characters: int, speaking: float) -> None:
        """A streamed call took so many seconds to its first token, and so many for the rest."""
        self._waits.append(wait)
        self._characters += characters
        self._speaking += speaking
        self._wind()

    @property
    def expected(self) -> float:
        """Seconds that the synthesis is expected to take."""
        if not self._merges:
            return 0.0
        if not self._waits:
            return _UNSEEN * self.seconds
        wait = sum(self._waits) / len(self._waits)
        spoken = self._answer * self._speaking / max(1, self._characters)
        least = min(_LEAST, _SOON * self.seconds)
        return min(_LONGEST * self.seconds, max(least, _MARGIN * (wait + spoken)))

    def _cut_at(self) -> float:
        return self.ends_at - self.expected

    def _ring(self) -> None:
        self.passed = True
        now = self._loop.time()
        for scope in self._scopes:
            scope.reschedule(now)


class Watch:
    """Tells a deadline how fast one call is, from its chunks."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._sent_at: float | None = None
        self._first_at: float | None = None
        self._characters = 0

    def take(self, chunk: Chunk) -> None:
        """One chunk further."""
        match chunk:
            case Sent():
                self._sent_at, self._first_at, self._characters = self._loop.time(), None, 0
            case Restarted():
                self._first_at, self._characters = None, 0
            case Text() | Reasoning():
                self._first_at = self._loop.time() if self._first_at is None else self._first_at
                self._characters += len(chunk.text)
            case Done() if self._sent_at is not None and self._first_at is not None:
                speaking = self._loop.time() - self._first_at
                self._deadline.learn(self._first_at - self._sent_at, self._characters, speaking)
            case _:
                pass
