"""A run and its calls as its log tells them: data alone, which whatever shows a run knows, `Run` itself included."""

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from stretto import events as e
from stretto.types import Basis, Citation, Coverage, Plan, Result, RoleName, Usage

Status = Literal["running", "finished", "failed", "interrupted", "unreadable"]
Approval = Literal["", "asked", "given"]
"""Whether somebody is asked right now about the plan of a run, or has approved it; empty: neither."""


class CallRecord(Struct, frozen=True):
    """One call as the log tells it; `finished_at` is None while it is under way.

    `batch`: the batch of its provider that it was sent with.
    """

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
    part: str = ""
    batch: str = ""


class Part(Struct, frozen=True):
    """What a workflow that does a subtask has planned, and its results by the ids of its own subtasks."""

    plan: Plan = Plan()
    results: dict[str, Result] = {}


class Withdrawn(Struct, frozen=True):
    """A plan that did not find approval, and the remark with which the orchestrator was asked for another one."""

    plan: Plan
    remark: str


class RunRecord(Struct, frozen=True, kw_only=True):
    """What `stretto.runs.Run` tells, but for the object that its answer was made into."""

    id: str
    task: str
    workflow: dict[str, Any]
    status: Status = "running"
    simulated: bool = False
    basis: Basis = Basis()
    plan: Plan = Plan()
    withdrawn: tuple[Withdrawn, ...] = ()
    results: dict[str, Result] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    answer: str = ""
    coverage: Coverage = Coverage()
    citations: tuple[Citation, ...] = ()
    remarks: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    usage: Usage = Usage()
    saved: Usage = Usage()
    cost: Decimal | None = None
    error: str | None = None
    error_type: str | None = None
    code: e.StopCode = ""
    approval: Approval = ""
    stopped: dict[str, str] = field(default_factory=dict)
    calls: tuple[CallRecord, ...] = ()
    executions: int = 1
    pauses: tuple[tuple[str, str], ...] = ()
    started_at: str = ""
    last_at: str = ""
