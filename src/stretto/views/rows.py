"""A run as tables: a row for each subtask, a row for each call."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from stretto.events import CallFinished, CallRetried
from stretto.records import CallRecord, RunRecord
from stretto.types import Result, Subtask


class SubtaskRow(Struct, frozen=True):
    """One subtask and what its calls came to; of a workflow within a subtask, `subtask` is `t2/t1`.

    `outcome`: None while there is none. `started_at`: when its first request left, `seconds`: from then until its last
    call ended. `tokens` are what was paid for, with requests that brought nothing; `cost` is in US dollars, None where
    a price is unknown. `reused`: calls that were answered from the records.
    """

    subtask: str
    type: str
    description: str
    round: int
    needs: str
    outcome: str | None
    verdict: str | None
    error: str | None
    model: str
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    calls: int
    reused: int
    retries: int
    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    characters: int


class CallRow(Struct, frozen=True):
    """One call; times, tokens and cost as of a `SubtaskRow`. `part`: what of its subtask it is, if not the work."""

    call: str
    role: str
    subtask: str | None
    part: str
    model: str
    answered_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    finish: str | None
    attempts: int
    retries: int
    reused: bool
    input_tokens: int
    output_tokens: int
    cost: Decimal | None
    error: str | None


class Ended(Protocol):
    """What a call came to."""

    @property
    def finished(self) -> CallFinished | None:
        """Its end, once that is there."""

    @property
    def retries(self) -> Sequence[CallRetried]:
        """How often it was asked again."""


class Bill(Struct, frozen=True):
    """What some calls came to: tokens and US dollars that were paid, None if a part of those is unknown."""

    input_tokens: int
    output_tokens: int
    cost: Decimal | None


def subtask_rows(run: RunRecord) -> list[SubtaskRow]:
    """Every subtask in the order of the plan, those of a workflow within a subtask below it."""
    calls: defaultdict[str, list[CallRecord]] = defaultdict(list)
    for call in run.calls:
        calls[call.subtask or ""].append(call)
    return [subtask_row(id_, subtask, result, calls[id_]) for id_, subtask, result in planned(run)]


def call_rows(run: RunRecord) -> list[CallRow]:
    """Every call in the order in which they began."""
    return [_call(call) for call in run.calls]


def planned(run: RunRecord, within: str = "") -> Iterator[tuple[str, Subtask, Result | None]]:
    """The subtasks with their whole ids and results, depth first."""
    part = run.parts.get(within) if within else run
    if part is None:
        return
    for subtask in part.plan.subtasks:
        id_ = f"{within}/{subtask.id}" if within else subtask.id
        yield id_, subtask, part.results.get(subtask.id)
        yield from planned(run, id_)


def bill(calls: Iterable[Ended]) -> Bill:
    """What these calls cost; what was taken from the records cost nothing."""
    paid = [call.finished for call in calls if call.finished and not call.finished.reused]
    usages = [each.lost + each.usage if each.usage else each.lost for each in paid]
    known = [each.cost for each in paid if each.cost is not None]
    return Bill(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        sum(known, Decimal(0)) if len(known) == len(paid) else None,
    )


def moment(at: str | None) -> datetime | None:
    """A moment as events write it; None where there is none, or no such thing (a run may come from elsewhere)."""
    try:
        when = datetime.fromisoformat(at or "")
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def again(calls: Iterable[Ended]) -> int:
    """How often these calls had to be asked again, or were held back."""
    return sum(len(call.retries) for call in calls)


def one_by_one(calls: Iterable[CallRecord]) -> float:
    """Seconds that these calls would have taken one after another; those from the records took none."""
    spans = ((began(call), moment(call.finished_at)) for call in calls if call.finished and not call.finished.reused)
    return sum((end - start).total_seconds() for start, end in spans if start and end)


def began(call: CallRecord) -> datetime | None:
    """When a call's request left; if none did, when it was held back first."""
    return moment(call.started_at or (call.retries[0].at if call.retries else None))


def subtask_row(id_: str, subtask: Subtask, result: Result | None, calls: Sequence[CallRecord]) -> SubtaskRow:
    """The row of one subtask, which has these calls."""
    started = min(filter(None, map(began, calls)), default=None)
    finished = max(filter(None, (moment(call.finished_at) for call in calls)), default=None) if result else None
    paid, work = bill(calls), [call for call in calls if not call.part] or calls
    return SubtaskRow(
        subtask=id_,
        type=subtask.type,
        description=subtask.description,
        round=subtask.round,
        needs=" ".join(subtask.needs),
        outcome=result.outcome if result else None,
        verdict=result.verdict if result else None,
        error=result.error if result else None,
        model=_model(work[-1]) if work else "",
        started_at=started,
        finished_at=finished,
        seconds=_between(started, finished),
        calls=len(calls),
        reused=sum(1 for call in calls if call.finished and call.finished.reused),
        retries=again(calls),
        input_tokens=paid.input_tokens,
        output_tokens=paid.output_tokens,
        cost=paid.cost,
        characters=len(result.text) if result else 0,
    )


def _call(call: CallRecord) -> CallRow:
    started, end, paid = began(call), call.finished, bill([call])
    return CallRow(
        call=call.id,
        role=call.role,
        subtask=call.subtask,
        part=call.part,
        model=call.model,
        answered_by=end.answered_by if end else None,
        started_at=started,
        finished_at=moment(call.finished_at),
        seconds=_between(started, moment(call.finished_at)),
        finish=end.finish if end else None,
        attempts=end.attempts if end else len([each for each in call.retries if not each.rate_limited]) + 1,
        retries=len(call.retries),
        reused=bool(end and end.reused),
        input_tokens=paid.input_tokens,
        output_tokens=paid.output_tokens,
        cost=paid.cost,
        error=end.error if end else None,
    )


def _model(call: CallRecord) -> str:
    return call.finished.asked or call.model if call.finished else call.model


def _between(started: datetime | None, finished: datetime | None) -> float | None:
    return (finished - started).total_seconds() if started and finished else None
