"""Calls on one axis of time."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from stretto.views.rows import began, moment
from stretto.views.told import ToldCall

WIDTH = 1000
"""Units from the start of a run to its end."""

_IDLE = 0.02  # of the width, for a stretch between two executions in which nothing was under way


class Bar(Struct, frozen=True):
    """One call on the axis, from `start` to `end` in units; `marks` are where it was asked again, and why."""

    start: float
    end: float
    call: ToldCall
    marks: tuple[tuple[float, str], ...] = ()


class Axis:
    """Where moments stand between the first request and the last reply, from 0 to `WIDTH`.

    What lies between two executions of a run (a night, perhaps) is left out. `now`: until then calls go on that are
    under way; without it until the last thing that is told.
    """

    def __init__(self, calls: Sequence[ToldCall], *, now: str = "", executions: int = 1) -> None:
        self._again = executions > 1
        told = [*map(self._start, calls), *(moment(call.finished_at) for call in calls), moment(now)]
        known = [at for at in told if at is not None]
        self._first, self._last = min(known, default=_NEVER), max(known, default=_NEVER)
        self._calls = calls
        whole = (self._last - self._first).total_seconds()
        self._idle = self._pauses() if self._again else []
        self.seconds = whole - sum((end - start).total_seconds() for start, end in self._idle)
        """How long something was under way."""

    def bar(self, call: ToldCall) -> Bar | None:
        """Where a call stands; None before its request left."""
        start = self._start(call)
        if start is None:
            return None
        end = moment(call.finished_at) or self._last
        marks = tuple((self.at(at), retry.reason) for retry in call.retries if (at := moment(retry.at)) and at >= start)
        return Bar(self.at(start), self.at(max(start, end)), call, marks)

    def at(self, when: datetime) -> float:
        """The place of a moment."""
        passed = (when - self._first).total_seconds()
        gaps = 0
        for start, end in self._idle:
            if when >= end:
                gaps += 1
                passed -= (end - start).total_seconds()
            elif when > start:
                passed -= (when - start).total_seconds()
        share = WIDTH * (1 - _IDLE * len(self._idle)) / self.seconds if self.seconds > 0 else 0.0
        return min(max(passed * share + gaps * WIDTH * _IDLE, 0.0), float(WIDTH))

    def _start(self, call: ToldCall) -> datetime | None:
        """When it began; in the execution that finished it, if there were several."""
        return moment(call.started.at) if self._again and call.started else began(call)

    def _pauses(self) -> list[tuple[datetime, datetime]]:
        """Stretches in which nothing was under way, longer than everything around them is at all likely to wait."""
        spans = ((start, moment(call.finished_at) or start) for call in self._calls if (start := self._start(call)))
        pauses, reached = [], self._first
        for start, end in sorted(spans):
            if (start - reached).total_seconds() > _LEAST:
                pauses.append((reached, start))
            reached = max(reached, end)
        return pauses[:_MOST]


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = 5.0  # seconds
_MOST = 20


def one_by_one(calls: Iterable[ToldCall]) -> float:
    """Seconds that these calls would have taken one after another; those from the records took none."""
    spans = ((began(call), moment(call.finished_at)) for call in calls if call.finished and not call.finished.reused)
    return sum((end - start).total_seconds() for start, end in spans if start and end)
