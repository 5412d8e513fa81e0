"""The timeline of a run as it was: from its events, or from what they amount to."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from stretto import events as e
from stretto.records import RunRecord
from stretto.views.rows import moment
from stretto.views.timeline.timeline import Timeline


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
    second_of = clock(run)
    dated = [(second_of(at), event) for at, event in _told(run) if at]
    ends = [second_of(at) for at in map(moment, (now, run.last_at)) if at]
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


def clock(run: RunRecord) -> Callable[[datetime], float]:
    """Tells the second of a moment of a run: 0 before it began, and without the time between two executions."""
    began = moment(run.started_at) or min((at for at, _ in _told(run) if at), default=None)
    known = ((moment(start), moment(end)) for start, end in run.pauses)
    pauses = [(start, end) for start, end in known if start and end and end > start]

    def second(when: datetime) -> float:
        passed = when - (began or when)
        for start, end in pauses:
            if when > start:
                passed -= min(when, end) - start
        return max(0.0, passed.total_seconds())

    return second


def _told(run: RunRecord) -> Iterator[tuple[datetime | None, e.AnyEvent]]:
    """What the log says of calls and pauses, and when."""
    for pause, _ in run.pauses:
        yield moment(pause), e.RunResumed(workflow={})
    for call in run.calls:
        if call.started_at:
            begun = e.CallStarted(
                call=call.id, role=call.role, subtask=call.subtask, fingerprint="", model=call.model, part=call.part
            )
            yield moment(call.started_at), begun
        for retry in call.retries:
            yield moment(retry.at), retry
        if call.finished:
            yield moment(call.finished_at), call.finished
