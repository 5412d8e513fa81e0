"""Watching runs: those that are carried here as they happen, all others as the store tells of them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from stretto.cluster.news import Until
from stretto.events import AnswerDelta, AnyEvent, RunFailed, RunFinished, RunInterrupted, RunStarted
from stretto.ground.regex import regex
from stretto.run.stream import RunStream
from stretto.store.sqlite import Store

_ENDS = (RunFinished, RunFailed, RunInterrupted)
AFTER = regex(r"[0-9]{1,9}")
"""The number of an event, behind which somebody watches on."""
_GLANCE = 1.0
"""Seconds between two looks at a run that another process carries."""
Heed = Callable[[str], AbstractContextManager[Until]]
"""Watches a run: gives what waits until something is new of it, or so many seconds have passed."""


def passing(_: str) -> AbstractContextManager[Until]:
    """Where nobody tells of anything: the seconds pass."""
    return nullcontext(asyncio.sleep)


class Carried:
    """A run that is being carried here, with its events and its `answer` so far, for whoever watches."""

    def __init__(self, stream: RunStream[Any]) -> None:
        self.stream = stream
        self.events: list[AnyEvent] = []
        self.answer = ""
        self.over = False
        self._changed = asyncio.Event()

    def take(self, event: AnyEvent) -> None:
        """One event further; what is never stored cannot be resumed from either."""
        if isinstance(event, AnswerDelta):
            self.answer = ("" if event.restart else self.answer) + event.text
        elif event.stored:
            self.events.append(event)
            self._tell()

    @property
    def ended(self) -> bool:
        """Whether its last event is there."""
        return self.over or (bool(self.events) and isinstance(self.events[-1], _ENDS))

    def go_on(self, history: Sequence[AnyEvent]) -> None:
        """What the log of a run held before it was gone on with."""
        self.events = [*history, *self.events]

    def end(self) -> None:
        """Nothing more happens here."""
        self.over = True
        self._tell()

    async def news(self) -> None:
        """Wait until there is more."""
        await self._changed.wait()

    async def begun(self) -> bool:
        """Wait for the first event, before which nothing is known of the run; whether there was one."""
        while not (self.events or self.over):
            await self.news()
        return bool(self.events)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def here(carried: Carried, after: int) -> AsyncGenerator[Sequence[AnyEvent], None]:
    """The events behind the first `after` of a run that is carried here, as they come."""
    while True:
        if new := carried.events[after:]:
            after += len(new)
            yield new
        elif carried.over:
            return
        else:
            await carried.news()


async def elsewhere(
    store: Store, run: str, after: int, heed: Heed = passing
) -> AsyncGenerator[Sequence[AnyEvent], None]:
    """The same of any run in a store; of one that another process carries, until that ends.

    Of single calls, what there is: their run ends with the day.
    """
    with heed(run) as more:
        while True:
            # First: what it wrote before its end is then there.
            carried = await asyncio.to_thread(store.is_awaited, run)
            events = await asyncio.to_thread(store.events, run)
            if new := events[after:]:
                after = len(events)
                yield new
            first = events[0]
            ended = isinstance(events[-1], _ENDS) and not await asyncio.to_thread(store.is_queued, run)
            if not carried or ended or (isinstance(first, RunStarted) and first.basis.client):
                return
            await more(_GLANCE)
