"""A run is its events: `fold` reads them into a `Run`."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from stretto import events as e
from stretto.calls import SHORTENED
from stretto.types import (
    OUTCOMES,
    AnswerState,
    Basis,
    Citation,
    Coverage,
    Doubtful,
    Missing,
    Outcome,
    Plan,
    PlanState,
    Result,
    RoleName,
    Subtask,
    Usage,
)

Status = Literal["running", "finished", "failed", "interrupted", "unreadable"]


class CallRecord(Struct, frozen=True):
    """One call as the log tells it; `finished_at` is None while it is under way."""

    id: str
    role: RoleName
    subtask: str | None
    fingerprint: str
    model: str
    started_at: str | None = None
    finished_at: str | None = None
    started: e.CallStarted | None = None
    finished: e.CallFinished | None = None
    retries: tuple[e.CallRetried, ...] = ()


class Run(Struct, frozen=True, kw_only=True):
    """One execution of a workflow, complete or not, as its events tell it.

    `basis` is what it began with beside its task.
    `results` maps subtask ids to results, in the plan's order. `usage` and `cost` are what the run paid over all its
    executions, `saved` is the usage of reused calls. `cost` is None where a price is unknown. `unreadable` is a run, in
    a list of runs, whose log is damaged; `error` says how. `parsed` is the answer as the object it had to be
    (`Workflow(answer=…)`), of its Python type where the workflow has that. `citations` are what the answer's passages
    rest on, `remarks` what had to be removed from it.
    """

    id: str
    task: str
    workflow: dict[str, Any]
    status: Status = "running"
    simulated: bool = False
    basis: Basis = Basis()
    plan: Plan = Plan()
    results: dict[str, Result] = field(default_factory=dict)
    answer: str | None = None
    coverage: Coverage = Coverage()
    citations: tuple[Citation, ...] = ()
    remarks: tuple[str, ...] = ()
    usage: Usage = Usage()
    saved: Usage = Usage()
    cost: Decimal | None = None
    error: str | None = None
    error_type: str | None = None
    calls: tuple[CallRecord, ...] = ()
    executions: int = 1
    started_at: str = ""
    last_at: str = ""
    parsed: Any = None

    @property
    def forgotten(self) -> bool:
        """Whether its texts were not kept (`Memory.record`): there is no task without any."""
        return not self.task


def coverage_of(
    subtasks: Iterable[Subtask],
    results: dict[str, Result],
    plan: PlanState = "complete",
    answer: AnswerState = "complete",
    degraded: tuple[str, ...] = (),
) -> Coverage:
    """What an answer written from these results rests on."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    missing, doubtful = [], []
    for subtask in subtasks:
        result = results.get(subtask.id)
        if result is None:
            continue
        counts[result.outcome] += 1
        if result.outcome != "done":
            missing.append(Missing(subtask.id, subtask.type, result.outcome, result.error or result.outcome))
        elif result.verdict in {"fails", "unchecked"}:
            doubtful.append(Doubtful(subtask.id, subtask.type, result.verdict, result.remark))
    return Coverage(counts, tuple(missing), plan, answer, degraded, tuple(doubtful))


class Fold:
    """Reads events one by one; `run` is what they amount to so far."""

    def __init__(self) -> None:
        self._run: dict[str, Any] = {}
        self._subtasks: dict[str, Subtask] = {}
        self._results: dict[str, Result] = {}
        self._plan = Plan()
        self._calls: dict[str, CallRecord] = {}
        self._usage = Usage()
        self._saved = Usage()
        self._paid = Decimal(0)
        self._unpriced = False
        self._degraded: dict[str, None] = {}
        self._before: dict[str, None] = {}  # what earlier executions gave up
        self._executions = 1

    def take(self, event: e.AnyEvent) -> None:  # noqa: C901, PLR0912 - one arm for each kind of event, by design
        """One event further."""
        match event:
            case e.RunStarted():
                self._run |= {"id": event.run, "task": event.task, "started_at": event.at, "simulated": event.simulated}
                self._set(workflow=event.workflow, basis=event.basis)
            case e.RunResumed():
                self._executions += 1
                self._run.pop("coverage", None)  # of an earlier answer
                self._before |= self._degraded
                self._degraded.clear()
                self._abandon()
                self._set(status="running", workflow=event.workflow, error=None, error_type=None, answer=None)
                self._set(citations=(), remarks=())
            case e.SubtaskPlanned():
                self._subtasks[event.subtask] = Subtask(
                    event.subtask, event.type, event.description, event.needs, event.value, reads=event.reads
                )
            case e.PlanFinished():
                self._plan = Plan((), event.state, event.analysis, event.remarks)
            case e.SubtaskStarted():
                self._results.pop(event.subtask, None)
            case e.SubtaskFinished():
                self._results[event.subtask] = Result(
                    event.subtask, event.outcome, event.text, event.error, event.verdict, event.remark
                )
            case e.CallStarted():
                self._started(event)
            case e.CallRetried():
                self._retried(event)
            case e.CallFinished():
                self._finished(event)
            case e.RunFinished():
                self._set(status="finished", answer=event.answer, coverage=event.coverage)
                self._set(citations=event.citations, remarks=event.remarks)
            case e.RunFailed():
                self._set(status="failed", error=event.error, error_type=event.error_type)
            case e.RunInterrupted():
                self._set(status="interrupted", error=event.reason)
            case e.RunDegraded():
                self._degraded[f"{event.policy}: {event.reason}"] = None
            case e.AnswerDelta():
                pass
            case _:
                assert_never(event)
        self._set(last_at=event.at)

    def _set(self, **facts: Any) -> None:
        self._run |= facts

    def _started(self, event: e.CallStarted) -> None:
        record = self._calls.get(event.call) or CallRecord(
            event.call, event.role, event.subtask, event.fingerprint, event.model
        )
        at = record.started_at or event.at
        self._calls[event.call] = replace(record, fingerprint=event.fingerprint, started_at=at, started=event)

    def _retried(self, event: e.CallRetried) -> None:
        record = self._calls.get(event.call)
        if record is None:  # held back before it could be sent for the first time
            record = CallRecord(event.call, event.role, event.subtask, "", event.model)
        self._calls[event.call] = replace(record, retries=(*record.retries, event))

    def _finished(self, event: e.CallFinished) -> None:
        record = self._calls.get(event.call) or CallRecord(
            event.call, event.role, event.subtask, event.fingerprint, event.model
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
        for told in self._before:
            if event.asked and told.startswith("fallback:") and told.endswith(f"asked {event.asked} instead"):
                self._degraded[told] = None
            if event.finish == SHORTENED and told.startswith("budget:") and told.endswith("a shorter reply"):
                self._degraded[told] = None

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
    def degraded(self) -> tuple[str, ...]:
        """What this execution gave up, and by which policy."""
        return tuple(self._degraded)

    @property
    def run(self) -> Run:
        """The run as far as the events tell it."""
        subtasks = tuple(self._subtasks.values())
        results = {s.id: self._results[s.id] for s in subtasks if s.id in self._results}
        facts = dict(self._run)
        facts.setdefault(
            "coverage", coverage_of(subtasks, results, self._plan.state or "complete", degraded=self.degraded)
        )
        return Run(
            **facts,
            plan=replace(self._plan, subtasks=subtasks),
            results=results,
            usage=self._usage,
            saved=self._saved,
            cost=self.cost,
            calls=tuple(self._calls.values()),
            executions=self._executions,
        )


def fold(events: Iterable[e.AnyEvent]) -> Run:
    """The run these events tell of; the first one must be its `run_started`."""
    reader = Fold()
    for event in events:
        reader.take(event)
    return reader.run
