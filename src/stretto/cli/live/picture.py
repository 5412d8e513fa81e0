"""A run as rows of a picture: what its events amount to for somebody who watches."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import assert_never

from stretto import events as e
from stretto.cli.live.rows import ANSWER, PLAN, Row, harmless
from stretto.cli.words import CHARACTERS
from stretto.runs import Run
from stretto.views.twins import Twins

_ROLES = {"orchestrator": PLAN, "synthesizer": ANSWER}


Heard = Callable[[str], int]
"""The characters that a call in flight has been answered with so far."""


def unheard(_: str) -> int:
    """Those of a call of which nothing is known while it is under way."""
    return 0


class Picture:
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

    def take(self, event: e.AnyEvent, now: float) -> None:  # noqa: C901 - one arm for each kind of event, by design
        """Show the next event of the run, that happened at this loop time."""
        match event:
            case e.SubtaskPlanned():
                self._planned(event.subtask, event.type, event.description, event.needs)
            case e.PlanFinished():
                self._plan_finished(event)
            case e.PlanWithdrawn():
                self.subtasks.clear()
                self._children.clear()
            case e.SubtaskStarted() if row := self.subtasks.get(event.subtask):
                row.begin()
            case e.SubtaskFinished() if row := self.subtasks.get(event.subtask):
                row.end(now, event.outcome, event.error or "", event.verdict, event.remark)
            case e.CallStarted():
                self._row(event.role, event.subtask).called(event.call, event.part, event.model, now)
            case e.CallRetried():
                self._row(event.role, event.subtask).again(event, now)
            case e.CallFinished():
                self._finished(event, now)
            case e.RunFinished() | e.RunFailed() | e.RunInterrupted():
                self.end(now)
            case e.RunResumed():
                self.over = False
            case e.RunStarted() | e.RunDegraded() | e.AnswerDelta() | e.SubtaskStarted() | e.SubtaskFinished():
                pass
            case _:
                assert_never(event)

    def go_on(self, run: Run) -> None:
        """The run was carried before, and this is what it came to."""
        for within, part in {"": run.part(""), **run.parts}.items():
            path = f"{within}/" if within else ""
            for subtask in part.plan.subtasks:
                row = self._planned(path + subtask.id, subtask.type, subtask.description, subtask.needs)
                if result := part.results.get(subtask.id):
                    row.end(None, result.outcome, result.error or "", result.verdict, result.remark)
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
        return sum(self.heard(call) for call in row.calls) // CHARACTERS

    def within(self, subtask: str) -> Sequence[Row]:
        """The subtasks of the workflow that does a subtask; of "", those of the run itself."""
        return self._children.get(subtask, ())

    def waits_for(self, row: Row) -> list[str]:
        """The subtasks that a row needs and that are not finished, by their own ids."""
        path = f"{row.parent}/" if row.parent else ""
        needed = (self.subtasks.get(path + need) for need in row.needs)
        return [other.own for other in needed if other is not None and not other.over]

    def _planned(self, id_: str, type_: str, description: str, needs: Sequence[str]) -> Row:
        row = self.subtasks.get(id_)
        if row is None:
            row = self.subtasks[id_] = Row(id_, type_, description, tuple(needs))
            self._children.setdefault(row.parent, []).append(row)
        return row

    def _plan_finished(self, event: e.PlanFinished) -> None:
        if not event.within and self.plan:
            rounds = f", round {event.round}" if event.round > 1 else ""
            what = f"{event.subtasks} subtask{'' if event.subtasks == 1 else 's'}" if event.subtasks else "no subtasks"
            self.plan.description = f"{what}{'' if event.state == 'complete' else f', {event.state}'}{rounds}"

    def _row(self, role: str, subtask: str | None) -> Row:
        """The row that a call belongs to: its subtask, the plan, or the answer; made if it is not there yet."""
        if subtask and subtask in self.subtasks:
            return self.subtasks[subtask]
        if _ROLES.get(role) == PLAN:
            self.plan = self.plan or Row(PLAN, "", "", ())
            return self.plan
        self.answer = self.answer or Row(ANSWER, "", "", ())
        return self.answer

    def _finished(self, event: e.CallFinished, now: float) -> None:
        row = self._row(event.role, event.subtask)
        row.answered(event, now)
        row.twin = harmless(self._twins.of(event), 60)
        if not event.reused:
            self.calls += 1
            usage = event.usage
            self.tokens += (usage.input_tokens + usage.output_tokens) if usage else 0
            self.cost += event.cost or 0
