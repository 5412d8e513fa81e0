"""A run as rows on one axis of time: what its events amount to for somebody who watches."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import assert_never

from stretto import events as e
from stretto.records import RunRecord
from stretto.types import RoleName, Subtask
from stretto.views.rows import planned
from stretto.views.timeline.rows import ANSWER, PLAN, Row
from stretto.views.twins import Twins

CHARACTERS = 4
"""About so many make a token, in what is said of a reply before its model has counted them."""

_STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45)

Heard = Callable[[str], int]
"""The characters that a call in flight has been answered with so far."""


Replying = Callable[[str], float | None]
"""Seconds since the reply to a call in flight began; None if it has not."""


def unheard(_: str) -> int:
    """Those of a call of which nothing is known while it is under way."""
    return 0


def silent(_: str) -> None:
    """Of a call of which nothing is known while it is under way."""


class Timeline:
    """Takes the events of a run, each with the seconds since it began; no two rows have the same id.

    `plan` and `answer` are the rows of the orchestrator and the synthesizer, None until they are asked; `subtasks` all
    others, in the order in which they were planned. `heard` tells how much a call in flight was answered.
    """

    def __init__(self) -> None:
        self.subtasks: dict[str, Row] = {}
        self.plan: Row | None = None
        self.answer: Row | None = None
        self.calls = 0
        self.tokens = 0
        self.cost: Decimal = Decimal(0)
        self.over = False
        self.heard: Heard = unheard
        self._children: dict[str, list[Row]] = {}
        self._twins = Twins()

    def take(self, event: e.AnyEvent, now: float) -> None:  # noqa: C901, PLR0912 - one arm for each kind of event, by design
        """Show the next event of the run, that happened at this second."""
        match event:
            case e.SubtaskPlanned():
                self._planned(event.subtask, event)
            case e.PlanFinished():
                self._plan_finished(event)
            case e.PlanWithdrawn():
                self.subtasks.clear()
                self._children.clear()
            case e.SubtaskStarted() if row := self.subtasks.get(event.subtask):
                row.begin(now)
            case e.SubtaskFinished() if row := self.subtasks.get(event.subtask):
                row.end(now, event)
            case e.SubtaskReopened():
                self._reopen(event.subtask)
            case e.CallStarted():
                self.row(event.role, event.subtask).called(event, now)
            case e.CallRetried():
                self.row(event.role, event.subtask).again(event, now)
            case e.CallFinished():
                self._finished(event, now)
            case e.RunFinished() | e.RunFailed() | e.RunInterrupted():
                self.end(now)
            case e.RunResumed():
                self.over = False
                for row in self.rows():
                    row.go_on()
            case e.RunStarted() | e.RunDegraded() | e.AnswerDelta() | e.SubtaskStarted() | e.SubtaskFinished():
                pass
            case e.PlanProposed() | e.PlanApproved() | e.SubtaskStopped():
                pass
            case _:
                assert_never(event)

    def lay_out(self, run: RunRecord) -> None:
        """The plan of a run that was carried before."""
        for id_, subtask, _ in planned(run):
            self._planned(id_, subtask)

    def settle(self, run: RunRecord) -> None:
        """What came of its subtasks, each at the end of its last call here."""
        for id_, _, result in planned(run):
            if result:
                row = self.subtasks[id_]
                ends = [call.end for call in row.calls if call.end is not None]
                row.end(max(ends, default=None), result)

    def go_on(self, run: RunRecord) -> None:
        """A run that was carried before goes on: what it has already, without when that was."""
        self.lay_out(run)
        self.settle(run)
        for call in run.calls:
            if call.subtask in self.subtasks and call.finished:
                self.subtasks[call.subtask].paid(call.finished)

    def end(self, now: float) -> None:
        """Nothing more will happen; what is under way is not finished any more."""
        self.over = True
        for row in self.rows():
            row.stop(now)

    def rows(self) -> Iterator[Row]:
        """Every row, from the plan to the answer."""
        if self.plan:
            yield self.plan
        yield from self.subtasks.values()
        if self.answer:
            yield self.answer

    def so_far(self, row: Row) -> int:
        """About how many tokens the calls of a row that are under way have been answered with."""
        return sum(self.heard(call) for call in row.open) // CHARACTERS

    def listen(self, now: float, replying: Replying) -> list[Row]:
        """Take note of the calls under way whose replies have begun by this second; the rows of these."""
        begun = []
        for row in self.rows():
            for call in row.open.values():
                if call.first is None and call.start is not None and (since := replying(call.id)) is not None:
                    call.first = max(call.start, now - since)
                    begun.append(row)
        return begun

    def within(self, subtask: str) -> Sequence[Row]:
        """The subtasks of the workflow that does a subtask; of "", those of the run itself."""
        return self._children.get(subtask, ())

    def waits_for(self, row: Row) -> list[str]:
        """The subtasks that a row needs and that are not finished, by their own ids."""
        path = f"{row.parent}/" if row.parent else ""
        needed = (self.subtasks.get(path + need) for need in row.needs)
        return [other.own for other in needed if other is not None and not other.over]

    def _planned(self, id_: str, one: e.SubtaskPlanned | Subtask) -> None:
        if id_ not in self.subtasks:
            row = self.subtasks[id_] = Row(id_, one.type, one.description, tuple(one.needs), one.round)
            self._children.setdefault(row.parent, []).append(row)

    def _reopen(self, subtask: str) -> None:
        """A subtask begins anew, and all that need it; what workflows had planned for them does not count."""
        reopened = {subtask}
        for id_, row in list(self.subtasks.items()):
            path = f"{row.parent}/" if row.parent else ""
            if id_ == subtask or reopened.intersection(path + need for need in row.needs):
                reopened.add(id_)
                row.reopen()
            elif any(id_.startswith(f"{each}/") for each in reopened):
                del self.subtasks[id_]
        for within in [each for each in self._children if any(f"{each}/".startswith(f"{r}/") for r in reopened)]:
            del self._children[within]

    def _plan_finished(self, event: e.PlanFinished) -> None:
        if not event.within and self.plan:
            rounds = f", round {event.round}" if event.round > 1 else ""
            what = f"{event.subtasks} subtask{'' if event.subtasks == 1 else 's'}" if event.subtasks else "no subtasks"
            self.plan.description = f"{what}{'' if event.state == 'complete' else f', {event.state}'}{rounds}"

    def row(self, role: RoleName, subtask: str | None) -> Row:
        """The row that a call belongs to: its subtask, the plan, or the answer; made if it is not there yet."""
        if subtask and subtask in self.subtasks:
            return self.subtasks[subtask]
        if role == "orchestrator":
            self.plan = self.plan or Row(PLAN, "", "", role=role)
            return self.plan
        self.answer = self.answer or Row(ANSWER, "", "", role="synthesizer")
        return self.answer

    def _finished(self, event: e.CallFinished, now: float) -> None:
        row = self.row(event.role, event.subtask)
        row.answered(event, now)
        row.twin = self._twins.of(event)
        if not event.reused:
            self.calls += 1
            usage = event.usage
            self.tokens += (usage.input_tokens + usage.output_tokens) if usage else 0
            self.cost += event.cost or 0


def reach(now: float) -> float:
    """Where the axis ends while a run goes on: a round number of seconds, so that bars seldom move."""
    scale = 1.0
    while True:
        for step in _STEPS:
            if now <= step * scale:
                return step * scale
        scale *= 60 if scale < 60 else 10
