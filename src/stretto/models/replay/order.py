"""The order in which the calls of a run ended: a replay keeps it, so that all that follows from it is the same."""

import asyncio
from collections.abc import Iterable, Sequence

from stretto.events import AnyEvent, PlanFinished, RunDegraded, SubtaskFinished, SubtaskPlanned
from stretto.models.replay.records import RecordedCall


class Order:
    """Lets the calls of a replay end in the order of their places.

    It is told every event of the replay (`heard`), because a call may not be made at all: one whose subtask is over, or
    was not planned, is waited for no longer. `degraded` are the recorded events that say what the run gave up, each
    with its place: who ends behind one tells it, unless the replay has told it by itself.
    """

    def __init__(self, calls: Iterable[RecordedCall], degraded: Sequence[tuple[int, RunDegraded]]) -> None:
        self._calls = sorted((call for call in calls if call.place is not None), key=lambda call: call.place or 0)
        self._over: set[int | None] = set()
        self._first = 0  # of the calls, that is not over
        self._waiting: dict[int | None, asyncio.Event] = {}
        self._planned: set[str] = set()
        self._degraded = list(degraded)
        self._told: set[tuple[str, str]] = set()

    async def turn(self, call: RecordedCall) -> None:
        """Wait until every call is over that ended before this one."""
        place = call.place
        if call.role == "orchestrator" and place is not None:  # it has said all: what is not planned will not be before
            self.over(*(each.place for each in self._unplanned() if each.place is not None and each.place < place))
        first = self._next()
        if place is not None and first is not None and first < place:
            self._waiting[place] = asyncio.Event()
            await self._waiting[place].wait()

    def over(self, *places: int | None) -> None:
        """These calls are over, or will never be made."""
        self._over.update(places)
        while (place := self._next()) is not None and place in self._over:
            self._first += 1
        if waiting := self._waiting.pop(self._next(), None):
            waiting.set()

    def heard(self, event: AnyEvent) -> None:
        """An event of the replay."""
        match event:
            case RunDegraded():
                self._told.add((event.policy, event.reason))
            case SubtaskPlanned():
                self._planned.add(event.subtask)
            case SubtaskFinished():
                self.over(*(call.place for call in self._calls if call.subtask == event.subtask))
            case PlanFinished():
                planning = (call for call in self._calls if call.role == "orchestrator")
                self.over(*(call.place for call in (*planning, *self._unplanned())))
            case _:
                pass

    def given_up(self, place: float) -> list[RunDegraded]:
        """What the run gave up until this place, as far as the replay has not told it."""
        due = [event for at, event in self._degraded if at <= place]
        self._degraded = self._degraded[len(due) :]
        return [event for event in due if (event.policy, event.reason) not in self._told]

    def _unplanned(self) -> list[RecordedCall]:
        return [call for call in self._calls if call.role == "worker" and call.subtask not in self._planned]

    def _next(self) -> int | None:
        """The place of the first call that is not over."""
        return self._calls[self._first].place if self._first < len(self._calls) else None
