"""The facts of a run: a closed, tagged union of events, and its codec.

A run is its events. They are written to the run's log, shown as JSON lines, and folded into a `Run`
(`stretto.fold`). `answer_delta` is shown but never stored.
"""

import time
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from stretto.ground.text import clean
from stretto.types import (
    Basis,
    Citation,
    Coverage,
    Outcome,
    Plan,
    PlanState,
    RoleName,
    SkipCode,
    Subtask,
    Usage,
    Verdict,
)
from stretto.types.facts import Facts

DegradedCode = Literal[
    "",
    "cut",  # who was at work when the deadline came
    "dialect",  # a model is asked in another way
    "direct",  # the task was answered without a plan
    "fallback",  # another model was asked
    "half_planned",  # the plan is taken as far as it was written
    "half_written",  # the answer is kept as far as it was written
    "left_out",  # checks and the like, for want of money
    "no_round",  # no further round is planned
    "shorter",  # a shorter reply was asked for
    "skipped",  # subtasks, for want of money
    "unmended",  # an answer that cannot stand is not asked for once more
    "unmerged",  # the results themselves are the answer
]
"""What a run gives up."""
CallCode = Literal["", "deadline"]
"""Why a call was stopped, if that is known: `deadline`, because that came."""
StopCode = Literal["", "stopped"]
"""Who has stopped a run: `stopped`, whoever was to approve its plan."""


def _kind(name: str) -> str:
    """`SubtaskPlanned` -> `subtask_planned`."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Event(Struct, frozen=True, kw_only=True, tag_field="kind", tag=_kind):
    """What every event carries; the log sets these three when it takes the event in.

    `run`: the run's id. `at`: RFC 3339, UTC. `seq`: position in the run's log, from 1; None if never stored.
    """

    stored: ClassVar[bool] = True

    run: str = ""
    at: str = ""
    seq: int | None = None

    @property
    def kind(self) -> str:
        """The event's tag, `subtask_planned` for example."""
        return str(self.__struct_config__.tag)


class RunStarted(Event, frozen=True, kw_only=True):
    """A task was accepted; `workflow` is the definition it runs with (no secrets), `basis` what else it begins with."""

    task: str
    workflow: dict[str, Any]
    simulated: bool = False
    basis: Basis = Basis()


class RunResumed(Event, frozen=True, kw_only=True):
    """A run goes on from its log; `workflow` is the definition from here on."""

    workflow: dict[str, Any]


class SubtaskPlanned(Event, frozen=True, kw_only=True):
    """A line of the plan was closed and taken in; `remark` says what had to be changed about it.

    `brief`: what the plan says to every worker alike. Of the workflow that does another subtask, `subtask` is that
    one's id, a slash, and its own. `alone`: it is a task of its own, an item of a list.
    """

    subtask: str
    type: str
    description: str
    needs: tuple[str, ...] = ()
    value: float | None = None
    reads: tuple[str, ...] = ()
    remark: str | None = None
    round: int = 1
    brief: str = ""
    alone: bool = False


def planned(subtask: Subtask, path: str = "") -> SubtaskPlanned:
    """That a subtask was planned; `path`: the one whose workflow did that, with a slash behind it."""
    return SubtaskPlanned(
        subtask=path + subtask.id,
        type=subtask.type,
        description=subtask.description,
        needs=subtask.needs,
        round=subtask.round,
        value=subtask.value,
        reads=subtask.reads,
        remark=subtask.remark or None,
        brief=subtask.brief,
        alone=subtask.alone,
    )


class PlanFinished(Event, frozen=True, kw_only=True):
    """Nothing will be added to the plan in this `round`; `remarks` say what was wrong with it.

    `within`: the subtask whose workflow has planned; empty for the run itself.
    """

    state: PlanState
    subtasks: int
    analysis: str = ""
    remarks: tuple[str, ...] = ()
    round: int = 1
    within: str = ""


class PlanWithdrawn(Event, frozen=True, kw_only=True):
    """The plan so far does not count: whoever was to approve it wants another one.

    That is `plan`; without one the orchestrator is asked again, with a `remark` on the plan that is withdrawn. `reason`
    says in few words what was decided.
    """

    reason: str
    remark: str = ""
    plan: Plan | None = None


class PlanProposed(Event, frozen=True, kw_only=True):
    """The plan, of so many subtasks, was put before whoever is to approve it: the run waits for what is decided."""

    subtasks: int


class PlanApproved(Event, frozen=True, kw_only=True):
    """The plan so far may be carried out."""


class SubtaskStarted(Event, frozen=True, kw_only=True):
    """Everything a subtask needs is there; its worker was asked, or waits for admission."""

    subtask: str


class SubtaskFinished(Event, frozen=True, kw_only=True):
    """A subtask's outcome, with its text, or why there is none; `verdict` and `remark` are those of its check.

    `tokens`: those of the text, as its model counted them. `code`: why it was skipped or cut, for programs.
    """

    subtask: str
    outcome: Outcome
    code: SkipCode = ""
    text: str = ""
    error: str | None = None
    verdict: Verdict | None = None
    remark: str = ""
    tokens: int | None = None


class SubtaskStopped(Event, frozen=True, kw_only=True):
    """Somebody has stopped a subtask that was under way; its result is `text`, what there was of it then."""

    subtask: str
    text: str = ""


class SubtaskReopened(Event, frozen=True, kw_only=True):
    """Somebody wants a subtask asked anew, with a `remark` on it; results of it, and of all that need it, are gone."""

    subtask: str
    remark: str = ""


class CallStarted(Event, frozen=True, kw_only=True):
    """A request left for the model; `reserved`, `reserved_cost` is what the call may take, if the run has a budget.

    Told again of the same call if a further request for it (asked again, in duplicate, at a fallback) makes that more.
    `part`: what of its subtask it is, if not the work itself (`check`, `merge`, …). `batch`: the batch of its provider
    that it left with, in which an execution that goes on looks for its answer.
    """

    call: str
    role: RoleName
    subtask: str | None
    fingerprint: str
    model: str
    part: str = ""
    reserved: Usage | None = None
    reserved_cost: Decimal | None = None
    batch: str = ""


class CallFinished(Event, frozen=True, kw_only=True):
    """A call ended: with a finish reason, or with an error, of which `error_type` is the class in `stretto.errors`.

    `usage` is that of the reply, None where the provider did not say; `lost` that of attempts and duplicates that
    brought none or did not say, estimated. `cost` is that of both in US dollars, None where a price is unknown.
    `asked`: the fallback that was asked, if it was one. `first_token`: seconds from when its request left first to the
    beginning of the reply, thoughts included; None where nothing came. `reused`: the reply was recorded already and
    cost nothing; `origin`: in which other run, if it was not this one. `code`: why it was `stopped`, and `facts`:
    what there is to its error, for programs.
    """

    call: str
    role: RoleName
    subtask: str | None
    fingerprint: str
    model: str
    part: str = ""
    answered_by: str | None = None
    finish: str | None = None
    code: CallCode = ""
    usage: Usage | None = None
    lost: Usage = Usage()
    cost: Decimal | None = None
    asked: str | None = None
    attempts: int = 1
    first_token: float | None = None
    reused: bool = False
    origin: str | None = None
    error: str | None = None
    error_type: str | None = None
    facts: Facts | None = None
    request_id: str | None = None
    simulated: bool = False


class CallRetried(Event, frozen=True, kw_only=True):
    """A request failed and is asked again after `wait` seconds; a rate-limited one does not count as an attempt.

    Nor does one with `duplicate`: that is asked beside a request that takes its time.
    """

    reason: str
    wait: float
    attempt: int
    rate_limited: bool = False
    duplicate: bool = False
    call: str = ""
    role: RoleName = "worker"
    subtask: str | None = None
    model: str = ""
    part: str = ""


class RunDegraded(Event, frozen=True, kw_only=True):
    """The run goes on with less than was asked for, by the named policy.

    `reason` says it in words, `code` to programs; `instead`: the model that was asked in another's place.
    """

    policy: str
    reason: str
    code: DegradedCode = ""
    instead: str = ""


class AnswerDelta(Event, frozen=True, kw_only=True):
    """A piece of the answer, as it is written; with `restart` the answer begins anew."""

    stored: ClassVar[bool] = False

    text: str
    restart: bool = False


class RunFinished(Event, frozen=True, kw_only=True):
    """The answer is there. `usage` and `cost` are what the run paid over all its executions, `saved` what it reused.

    `cost` is in US dollars, estimated where a provider did not say what it counted, and None where a price is unknown.
    `citations`: what its passages rest on; `remarks`: what had to be removed from it, and what nothing in it rests on.
    `assumed`: models whose price was found by their name alone, and whose it is (`openai:gpt-5: gpt-5 of openai`).
    """

    answer: str
    usage: Usage
    coverage: Coverage
    cost: Decimal | None = None
    saved: Usage = Usage()
    citations: tuple[Citation, ...] = ()
    remarks: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


class RunFailed(Event, frozen=True, kw_only=True):
    """There is no answer; `error` says why, `error_type` is the class in `stretto.errors`.

    `call`: the call with whose error the run ended, if it was one's; `facts`: what programs read of that.
    """

    error: str
    error_type: str
    call: str = ""
    facts: Facts | None = None


class RunInterrupted(Event, frozen=True, kw_only=True):
    """The run was stopped from outside and can be resumed; `code`: by whom, if it was not a signal."""

    reason: str = "interrupted"
    code: StopCode = ""


AnyEvent = (
    RunStarted
    | RunResumed
    | SubtaskPlanned
    | PlanFinished
    | PlanWithdrawn
    | PlanProposed
    | PlanApproved
    | SubtaskStarted
    | SubtaskFinished
    | SubtaskStopped
    | SubtaskReopened
    | CallStarted
    | CallFinished
    | CallRetried
    | RunDegraded
    | AnswerDelta
    | RunFinished
    | RunFailed
    | RunInterrupted
)

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def now() -> str:
    """The wall clock as events write it: RFC 3339, UTC, milliseconds."""
    return _moment(time.time_ns() // 1_000_000)


@lru_cache(maxsize=1)  # many an event comes in the same one as the event before
def _moment(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def encode(event: AnyEvent) -> bytes:
    """One event as one line of JSON, without the newline."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:  # a lone surrogate, from a file's name in an error for example
        return _encoder.encode(_cleaned(msgspec.to_builtins(event)))


def decode(line: bytes | str) -> AnyEvent:
    """The event a line of JSON holds; raises `msgspec.ValidationError` for anything else."""
    return _decoder.decode(line)


def _cleaned(value: Any) -> Any:
    """The same data with every text fit for JSON."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list | tuple) else value
