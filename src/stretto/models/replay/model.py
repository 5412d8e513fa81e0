"""A model that says again what was said, in the order in which the calls of a run ended."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from stretto.calls import Call, Chunk, Notice, Reasoning, Sent, Text
from stretto.events import AnyEvent, PlanFinished, RunDegraded, SubtaskFinished, SubtaskPlanned
from stretto.models.replay.records import RecordedCall, Records
from stretto.types.facts import error_of

_GLANCE, _STILL = 0.05, 4
"""Seconds between two looks at calls that all wait, and after how many of them the one they wait for does not come."""
_PIECE = 0.05  # seconds from one piece of a text to the next


class Order:
    """Lets the calls of a replay end in the order of their places.

    It is told every event of the replay (`heard`), because a call may not be made at all: one whose subtask is over, or
    was not planned in the round of its `rounds`, is waited for no longer. `degraded` are the recorded events that say
    what the run gave up, each with its place: who ends behind one tells it, unless the replay has told it by itself.
    Records may tell of calls that this workflow never makes: where all that are `under_way` wait for one, the first of
    them goes on.
    """

    def __init__(
        self,
        calls: Iterable[RecordedCall],
        degraded: Sequence[tuple[int, RunDegraded]],
        rounds: Mapping[str, int] | None = None,
    ) -> None:
        self._calls = sorted((call for call in calls if call.place is not None), key=lambda call: call.place or 0)
        self._over: set[int | None] = set()
        self._first = 0  # of the calls, that is not over
        self._waiting: dict[int, asyncio.Event] = {}
        self._under_way = 0
        self._looking: asyncio.TimerHandle | None = None
        self._planned: set[str] = set()
        self._rounds = rounds or {}
        self._degraded = list(degraded)
        self._told: set[tuple[str, str]] = set()

    async def turn(self, call: RecordedCall) -> None:
        """Wait until every call is over that ended before this one."""
        place = call.place
        if call.plans is not None and place is not None:  # it has said all: what is not planned will not be before
            unplanned = (each.place for each in self._unplanned(call.plans))
            self.over(*(each for each in unplanned if each is not None and each < place))
        first = self._next()
        if place is not None and first is not None and first < place:
            self._waiting[place] = asyncio.Event()
            self._look_soon()
            await self._waiting[place].wait()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """For as long as a call is made."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._look_soon()

    def over(self, *places: int | None) -> None:
        """These calls are over, or will never be made."""
        self._over.update(places)
        while (place := self._next()) is not None and place in self._over:
            self._first += 1
        # One that was taken for over, and was made after all, is passed by; it must not wait for ever.
        for waiting in sorted(each for each in self._waiting if place is None or each <= place):
            self._waiting.pop(waiting).set()

    def heard(self, event: AnyEvent) -> None:
        """An event of the replay."""
        match event:
            case RunDegraded():
                self._told.add((event.policy, event.reason))
            case SubtaskPlanned():
                self._planned.add(event.subtask)
            case SubtaskFinished():
                self.over(*(call.place for call in self._calls if _is_in(call.subtask, event.subtask)))
            case PlanFinished():
                planning = (call for call in self._calls if call.plans == event.within and call.round <= event.round)
                self.over(*(call.place for call in (*planning, *self._unplanned(event.within, event.round))))
            case _:
                pass

    def given_up(self, place: float) -> list[RunDegraded]:
        """What the run gave up until this place, as far as the replay has not told it."""
        due = [event for at, event in self._degraded if at <= place]
        self._degraded = self._degraded[len(due) :]
        return [event for event in due if (event.policy, event.reason) not in self._told]

    def _unplanned(self, within: str, number: float = math.inf) -> Iterator[RecordedCall]:
        """The calls for subtasks of a plan, up to a round of it, that are not there."""
        for call in self._calls:
            own = _child(call.subtask, within) if call.role == "worker" else None
            if own is not None and own not in self._planned and self._rounds.get(own, 1) <= number:
                yield call

    def _look_soon(self, seen: tuple[int, ...] = (), times: int = 0) -> None:
        """Look in a moment whether anything is still to be expected, if all wait and nobody looks already."""
        stuck = bool(self._waiting) and self._under_way <= len(self._waiting)
        if stuck and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_GLANCE, self._look, seen, times)

    def _look(self, seen: tuple[int, ...], times: int) -> None:
        self._looking = None
        now = len(self._over), self._under_way, len(self._waiting)
        times = times + 1 if now == seen else 0
        if times < _STILL:
            self._look_soon(now, times)
        elif self._waiting:
            first = min(self._waiting)
            self.over(*(call.place for call in self._calls if call.place is not None and call.place < first))

    def _next(self) -> int | None:
        """The place of the first call that is not over."""
        return self._calls[self._first].place if self._first < len(self._calls) else None


def _is_in(subtask: str | None, other: str) -> bool:
    return subtask is not None and (subtask == other or subtask.startswith(f"{other}/"))


def _child(subtask: str | None, within: str) -> str | None:
    """Which subtask of a plan another belongs to, or is."""
    path = f"{within}/" if within else ""
    if subtask is None or subtask == within or not subtask.startswith(path):
        return None
    return path + subtask[len(path) :].partition("/")[0]


class Replay:
    """Answers every call of a run as it was answered, in the order in which the calls ended.

    `began`: the loop time at which the replay began, if it takes the time that was recorded; None: everything at once.
    A text is spread over the time from its request to its end: when its first token came is not recorded.
    """

    def __init__(self, records: Records, order: Order, began: float | None = None) -> None:
        self._records = records
        self._order = order
        self._began = began

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The recorded end of a call; raises `MissingRecord` if there is none."""
        recorded = self._records.of(call)
        with self._order.under_way():
            try:
                await self._until(recorded.sent)
                if recorded.left:
                    yield Sent()
                if recorded.reasoning:
                    yield Reasoning(recorded.reasoning)
                for piece, due in self._pieces(recorded, streamed=call.stream):
                    await self._until(due)
                    yield Text(piece)
                await self._until(recorded.ended)
                await self._order.turn(recorded)
                for event in self._order.given_up(_moment(recorded)):
                    yield Notice(event)
                if recorded.done is None:
                    raise error_of(recorded.error, recorded.why, recorded.facts)
                yield recorded.done
            finally:
                self._order.over(recorded.place)

    def _pieces(self, recorded: RecordedCall, *, streamed: bool) -> Iterator[tuple[str, float | None]]:
        """The text in pieces, each with the time at which it is due."""
        text, sent, ended = recorded.text, recorded.sent, recorded.ended
        number = 1
        if self._began is not None and streamed and sent is not None and ended is not None:
            number = max(1, min(len(text), math.ceil((ended - sent) / _PIECE)))
        for piece in range(number if text else 0):
            start, end = (len(text) * each // number for each in (piece, piece + 1))
            due = sent + (ended - sent) * (piece + 1) / number if sent is not None and ended is not None else None
            yield text[start:end], due

    async def _until(self, due: float | None) -> None:
        if self._began is not None and due is not None:
            await asyncio.sleep(self._began + due - asyncio.get_running_loop().time())


def _moment(recorded: RecordedCall) -> float:
    """The place in the log up to which everything was told when a call ended; where none is known, an error is last."""
    return (0 if recorded.done else math.inf) if recorded.place is None else recorded.place
