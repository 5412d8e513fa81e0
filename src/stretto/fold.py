"""A run is its events: `fold` reads them into a `Run`."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, assert_never

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import SHORTENED
from stretto.proposal import dependents
from stretto.runs import CallRecord, Part, Run, Withdrawn, coverage_of
from stretto.types import Basis, Plan, Result, Subtask, Usage


class _Planned:
    """A plan as far as events tell of it."""

    def __init__(self) -> None:
        self.subtasks: dict[str, Subtask] = {}
        self.results: dict[str, Result] = {}
        self._plan = Plan()

    def take(self, event: e.SubtaskPlanned) -> None:
        id_ = event.subtask.rpartition("/")[2]
        self.subtasks[id_] = Subtask(
            id_,
            event.type,
            event.description,
            event.needs,
            event.value,
            event.round,
            event.reads,
            event.remark or "",
            event.brief,
            event.alone,
        )
        if event.round > self._plan.rounds:  # a further one has begun
            self._plan = replace(self._plan, state=None)

    def finish(self, event: e.PlanFinished) -> None:
        self._plan = Plan((), event.state, event.analysis, event.remarks, event.round)

    def told(self) -> Part:
        results = {id_: self.results[id_] for id_ in self.subtasks if id_ in self.results}
        return Part(replace(self._plan, subtasks=tuple(self.subtasks.values())), results)


class Fold:
    """Reads events one by one; `run` is what they amount to so far."""

    def __init__(self) -> None:
        self._run: dict[str, Any] = {}
        self._parts: dict[str, _Planned] = {"": _Planned()}
        self._calls: dict[str, CallRecord] = {}
        self.stopped: dict[str, str] = {}
        """By their full names, the subtasks that were stopped, with what there was of each."""
        self._usage = Usage()
        self._saved = Usage()
        self._paid = Decimal(0)
        self._unpriced = False
        self._degraded: dict[str, e.RunDegraded] = {}
        self._before: dict[str, e.RunDegraded] = {}  # what earlier executions gave up
        self._executions = 1
        self._opened = 1  # the number of the event with which the last execution began

    def take(self, event: e.AnyEvent) -> None:  # noqa: C901, PLR0912, PLR0915 - one arm for each kind of event, by design
        """Take in the next event of the log."""
        match event:  # those first of which each subtask has one
            case e.SubtaskPlanned():
                self._part(event.subtask)[0].take(event)
            case e.SubtaskStarted():
                part, subtask = self._part(event.subtask)
                part.results.pop(subtask, None)
            case e.CallStarted():
                self._started(event)
            case e.CallFinished():
                self._finished(event)
            case e.SubtaskFinished():
                self._subtask_finished(event)
            case e.RunStarted():
                self._run |= {"id": event.run, "task": event.task, "started_at": event.at, "simulated": event.simulated}
                self._set(workflow=event.workflow, basis=event.basis)
            case e.RunResumed():
                self._executions += event.seq != self._opened + 1  # a run may be begun here and carried elsewhere
                self._opened = event.seq or 0
                self._set(pauses=(*self._run.get("pauses", ()), (self._run.get("last_at", ""), event.at)))
                self._run.pop("coverage", None)  # of an earlier answer
                self._before |= self._degraded
                self._degraded.clear()
                self._abandon()
                self._set(status="running", workflow=event.workflow, error=None, error_type=None, answer="", code="")
                self._set(citations=(), remarks=(), assumed=())
                self._unask()
            case e.PlanFinished():
                self._parts.setdefault(event.within, _Planned()).finish(event)
            case e.PlanWithdrawn():
                self._withdraw(event)
            case e.PlanProposed() | e.PlanApproved():
                self._set(approval="asked" if isinstance(event, e.PlanProposed) else "given")
            case e.SubtaskStopped():
                self.stopped[event.subtask] = event.text
            case e.SubtaskReopened():
                self._reopen(event)
            case e.CallRetried():
                self._retried(event)
            case e.RunFinished():
                self._set(status="finished", answer=event.answer, coverage=event.coverage)
                self._set(citations=event.citations, remarks=event.remarks, assumed=event.assumed)
            case e.RunFailed():
                self._unask()
                self._set(status="failed", error=event.error, error_type=event.error_type)
            case e.RunInterrupted():
                self._set(status="interrupted", error=event.reason, code=event.code)
                self._unask()
            case e.RunDegraded():
                self._degraded[f"{event.policy}: {event.reason}"] = event
            case e.AnswerDelta():
                pass
            case _:
                assert_never(event)
        self._run["last_at"] = event.at

    def _set(self, **facts: Any) -> None:
        self._run |= facts

    def _subtask_finished(self, event: e.SubtaskFinished) -> None:
        part, subtask = self._part(event.subtask)
        part.results[subtask] = Result(
            subtask,
            event.outcome,
            event.text,
            event.error,
            event.verdict,
            event.remark,
            event.tokens,
            event.code,
        )

    def _reopen(self, event: e.SubtaskReopened) -> None:
        """Nothing counts of a subtask, and of all that need it; it is to be asked in another way from now on."""
        part, subtask = self._part(event.subtask)
        path = event.subtask.removesuffix(subtask)
        for id_ in (subtask, *dependents(part.subtasks.values(), [subtask])):
            part.results.pop(id_, None)
            for names in (self._parts, self.stopped):
                for name in [each for each in names if f"{each}/".startswith(f"{path}{id_}/")]:
                    del names[name]
        basis, name = self.basis, event.subtask
        samples = {**basis.samples, name: basis.samples.get(name, 0) + 1}
        remarks = {**basis.remarks, name: event.remark} if event.remark else basis.remarks
        self._set(basis=replace(basis, samples=samples, remarks=remarks))

    def _unask(self) -> None:
        """Nobody waits any more for what is decided about the plan."""
        if self._run.get("approval") == "asked":
            self._set(approval="")

    def _part(self, subtask: str) -> tuple["_Planned", str]:
        """Where a subtask belongs, and its id there."""
        within, _, own = subtask.rpartition("/")
        if within not in self._parts:
            self._parts[within] = _Planned()
        return self._parts[within], own

    def _withdraw(self, event: e.PlanWithdrawn) -> None:
        """Nothing counts of the plan; the calls that were made for it do."""
        if event.plan is None:
            withdrawn = Withdrawn(self._parts[""].told().plan, event.remark)
            self._set(withdrawn=(*self._run.get("withdrawn", ()), withdrawn))
        self._set(basis=replace(self.basis, plan=event.plan), approval="")
        self._parts = {"": _Planned()}

    def _started(self, event: e.CallStarted) -> None:
        record = self._calls.get(event.call) or CallRecord(
            event.call, event.role, event.subtask, event.fingerprint, event.model, part=event.part
        )
        at = record.started_at or event.at
        facts: dict[str, Any] = {"fingerprint": event.fingerprint, "started_at": at, "started": event}
        self._calls[event.call] = replace(record, **facts, batch=event.batch or record.batch)

    def _retried(self, event: e.CallRetried) -> None:
        record = self._calls.get(event.call)
        if record is None:  # held back before it could be sent for the first time
            record = CallRecord(event.call, event.role, event.subtask, "", event.model, part=event.part)
        self._calls[event.call] = replace(record, retries=(*record.retries, event))

    def _finished(self, event: e.CallFinished) -> None:
        record = self._calls.get(event.call) or CallRecord(
            event.call, event.role, event.subtask, event.fingerprint, event.model, part=event.part
        )
        self._calls[event.call] = replace(record, finished=event, finished_at=event.at, fingerprint=event.fingerprint)
        if event.simulated:
            self._set(simulated=True)
        if event.reused:
            self._saved += event.usage or Usage()
            self._give_up_again(event)
        else:
            self._usage += (event.usage or Usage()) + event.lost
            self._pay(event.cost)

    def _give_up_again(self, event: e.CallFinished) -> None:
        """What an earlier execution gave up for a reply that is reused is given up still."""
        for told, each in self._before.items():
            if each.code == "fallback" and event.asked and each.instead == event.asked:
                self._degraded[told] = each
            if each.code == "shorter" and event.finish == SHORTENED:
                self._degraded[told] = each

    def _abandon(self) -> None:
        """Calls that were under way when a run was killed cost what was set aside for them: nobody knows better."""
        for record in list(self._calls.values()):
            if record.finished is None and record.started and record.started.reserved:
                self._usage += record.started.reserved
                self._pay(record.started.reserved_cost)
                self._calls[record.id] = replace(record, started=None)  # once

    def _pay(self, cost: Decimal | None) -> None:
        self._paid += cost or 0
        self._unpriced = self._unpriced or cost is None

    @property
    def basis(self) -> Basis:
        """What the run begins with, from where it stands now."""
        basis: Basis = self._run.get("basis", Basis())
        return basis

    @property
    def planned(self) -> int:
        """How many subtasks there are so far, those of workflows within subtasks included."""
        return sum(len(part.subtasks) for part in self._parts.values())

    @property
    def usage(self) -> Usage:
        """What was paid so far."""
        return self._usage

    @property
    def saved(self) -> Usage:
        """What was reused so far."""
        return self._saved

    @property
    def cost(self) -> Decimal | None:
        """What was paid so far in money; None as soon as one part of it is unknown."""
        return None if self._unpriced else self._paid

    @property
    def paid(self) -> Decimal:
        """What was paid so far as far as prices are known."""
        return self._paid

    @property
    def gave_up(self) -> tuple[e.RunDegraded, ...]:
        """What this execution gave up."""
        return tuple(self._degraded.values())

    @property
    def degraded(self) -> tuple[str, ...]:
        """The same in words: by which policy, and why."""
        return tuple(self._degraded)

    @property
    def run(self) -> Run:
        """The run as far as the events tell it."""
        parts = {within: part.told() for within, part in self._parts.items()}
        own, facts = parts.pop(""), dict(self._run)
        state = own.plan.state or "complete"
        facts.setdefault("coverage", coverage_of(own.plan.subtasks, own.results, state, degraded=self.degraded))
        return Run(
            **facts,
            plan=own.plan,
            results=own.results,
            parts=parts,
            usage=self._usage,
            saved=self._saved,
            cost=self.cost,
            calls=tuple(self._calls.values()),
            executions=self._executions,
            stopped=dict(self.stopped),
        )


def fold(events: Iterable[e.AnyEvent]) -> Run:
    """The run these events tell of; the first one must be its `run_started`."""
    reader = Fold()
    for event in events:
        reader.take(event)
    return reader.run
