"""Answering what is asked as data (`stretto.engine.asking`) by calls."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from stretto.calls import Transcript
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.caller import Errand
from stretto.engine.deadline import Deadline
from stretto.engine.setbacks import Setbacks
from stretto.engine.shaping import Shaping
from stretto.errors import CallError, DeadlineError, ShapeError

T = TypeVar("T")
_NOTHING = Said()


class Inquiry:
    """Makes the calls of subtasks; at the deadline, those still under way are cut and no more are made."""

    def __init__(self, shaping: Shaping, setbacks: Setbacks, deadline: Deadline) -> None:
        self._shaping = shaping
        self._setbacks = setbacks
        self._deadline = deadline

    async def answer(self, asking: Asking[T], errand: Errand, path: str = "") -> tuple[T, float]:
        """What the asking finds, and how many seconds its calls took together, one after another.

        What is asked for a subtask by its name is asked for the one within `path`.
        """
        seconds = 0.0
        try:
            asks = next(asking)
            while True:
                works = _works(asks, errand, path)
                if len(works) == 1:
                    await self._ask(works[0])
                else:
                    async with asyncio.TaskGroup() as calls:
                        for work in works:
                            calls.create_task(self._ask(work))
                seconds += max((work.took for work in works), default=0.0)
                asks = asking.send([work.said for work in works])
        except StopIteration as end:
            return end.value, seconds

    async def _ask(self, work: "_Work") -> None:
        ask, errand = work.ask, work.errand
        try:
            async with self._deadline.work():
                work.end(await self._shaping.collect(errand, ask.role, ask.request, work.transcript))
        except TimeoutError:
            self._setbacks.cut()
            work.end(error=DeadlineError(self._setbacks.late("while there was work under way")))
        except DeadlineError as error:  # a replayed one
            self._setbacks.cut()
            self._setbacks.take(error, errand.part)
            work.end(error=error)
        except (CallError, ShapeError) as error:
            self._setbacks.take(error, errand.part)
            work.end(error=error)


class _Work:
    """One of the things that are asked, and what came of it."""

    __slots__ = ("ask", "errand", "said", "took", "transcript")  # a thousand of them are under way at once

    def __init__(self, ask: Ask, errand: Errand) -> None:
        self.ask = ask
        self.errand = errand
        self.transcript = Transcript()
        self.said = _NOTHING
        self.took = 0.0

    def end(self, finish: str = "", error: CallError | ShapeError | DeadlineError | None = None) -> None:
        """It is over."""
        if self.transcript.sent_at is not None:
            self.took = asyncio.get_running_loop().time() - self.transcript.sent_at
        sent = self.transcript.sent_at is not None
        self.said = Said(
            finish, self.transcript.text, error, asked=sent or error is None, tokens=self.transcript.tokens
        )


def _works(asks: Sequence[Ask], errand: Errand, path: str) -> list[_Work]:
    return [_Work(ask, _errand(ask, errand, path)) for ask in asks]


def _errand(ask: Ask, errand: Errand, path: str) -> Errand:
    """What a call is made for; `ask` may be for another subtask, and a part of it."""
    if not ask.part and ask.subtask is None:
        return errand
    subtask = errand.subtask if ask.subtask is None else path + ask.subtask
    return replace(errand, part=ask.part or errand.part, subtask=subtask)
