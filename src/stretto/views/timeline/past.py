"""The timeline of a run as it was: from its events, or from what they amount to."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from stretto import events as e
from stretto.records import RunRecord
from stretto.views.rows import moment
from stretto.views.timeline.timeline import Timeline


class Clock:
    """Seconds in which a run was carried until a moment: the time between two executions is left out.

    `began`: when it did; `pauses`: from when until when nobody carried it.
    """

    def __init__(self, began: datetime | None, pauses: Iterable[tuple[str, str]] = ()) -> None:
        self._began = began
        known = ((moment(start), moment(end)) for start, end in pauses)
        self._pauses = [(start, end) for start, end in known if start and end and end > start]

    def at(self, when: datetime) -> float:
        """The second of a moment; 0 before the run began."""
        if self._began is None:
            return 0.0
        passed = when - self._began
        for start, end in self._pauses:
            if when > start:
                passed -= min(when, end) - start
        return max(0.0, passed.total_seconds())


class Following:
    """A timeline that takes events by the moments they tell of themselves; `now` is the second they reach to."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.now = 0.0
        self._last: datetime | None = None

    def take(self, event: e.AnyEvent) -> None:
        """One event further; the time between two executions is left out."""
        at = moment(event.at)
        if self._last and at and not isinstance(event, e.RunResumed):
            self.now += max(0.0, (at - self._last).total_seconds())
        self._last = at or self._last
        if isinstance(event, e.RunResumed):
            self.timeline.end(self.now)
        self.timeline.take(event, self.now)

    def second(self, at: datetime) -> float:
        """The second of a moment after the last event; of a run that is over, its last."""
        if self._last is None or self.timeline.over:
            return self.now
        return self.now + max(0.0, (at - self._last).total_seconds())


def timeline_of(events: Iterable[e.AnyEvent]) -> tuple[Timeline, float]:
    """The timeline, and the seconds it reaches to."""
    following = Following()
    for event in events:
        following.take(event)
    return following.timeline, following.now


def timeline_of_run(run: RunRecord, now: str = "") -> tuple[Timeline, float]:
    """The same from what the events amount to, which does not say how long subtasks waited to be asked.

    `now`: until then calls go on that are under way (RFC 3339); without it until the last thing that is told.
    """
    clock = _clock(run)
    dated = [(clock.at(at), event) for at, event in _told(run) if at]
    ends = [clock.at(at) for at in map(moment, (now, run.last_at)) if at]
    last = max([*ends, *(second for second, _ in dated)], default=0.0)
    timeline = Timeline()
    timeline.lay_out(run)
    for second, event in sorted(dated, key=lambda each: each[0]):
        if isinstance(event, e.RunResumed):
            timeline.end(second)
        timeline.take(event, second)
    timeline.settle(run)
    if run.plan.state:
        planned = e.PlanFinished(state=run.plan.state, subtasks=len(run.plan.subtasks), round=run.plan.rounds)
        timeline.take(planned, last)
    if run.status != "running":
        timeline.end(last)
    return timeline, last


def _clock(run: RunRecord) -> Clock:
    known = [at for at, _ in _told(run) if at]
    return Clock(moment(run.started_at) or min(known, default=None), run.pauses)


def _told(run: RunRecord) -> Iterator[tuple[datetime | None, e.AnyEvent]]:
    """What the log says of calls and pauses, and when."""
    for pause, _ in run.pauses:
        yield moment(pause), e.RunResumed(workflow={})
    for call in run.calls:
        if call.started_at:
            yield (
                moment(call.started_at),
                e.CallStarted(
                    call=call.id,
                    role=call.role,
                    subtask=call.subtask,
                    fingerprint="",
                    model=call.model,
                    part=call.part,
                ),
            )
        for retry in call.retries:
            yield moment(retry.at), retry
        if call.finished:
            yield moment(call.finished_at), call.finished
