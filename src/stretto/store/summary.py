"""What a list says of a run: one row of the store's `runs`, written with the events that begin and end an execution."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import astuple

from stretto.events import AnyEvent
from stretto.fold import fold
from stretto.ground.text import clean
from stretto.runs import Run, Status
from stretto.store.database import Database
from stretto.store.sums import values_sum
from stretto.types import Usage

Standing = Literal[Status, "killed", "queued"]
"""A run's status in a list; one that began, did not end and is carried by nobody was killed, or waits for a worker."""


class Summary(Struct, frozen=True, kw_only=True):
    """A run in a few words. `origin`: the run it was started from, if any; `missing`: subtasks the answer lacks.

    `events`: how many there were in its log then.
    `usage` and `cost` (US dollars, None: unknown) are what it paid over all its executions.
    """

    run: str
    status: Standing
    events: int = 0
    started_at: str
    last_at: str
    task: str
    simulated: bool = False
    origin: str | None = None
    subtasks: int = 0
    done: int = 0
    missing: int = 0
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = None
    error: str | None = None
    error_type: str | None = None


_TOKENS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_COLUMNS = (
    *("run", "status", "events", "started_at", "last_at", "task", "simulated", "origin", "subtasks", "done", "missing"),
    *(*_TOKENS, "cost", "error", "error_type", "summary_sum"),
)
ROW = ", ".join(_COLUMNS)
"""What `read` reads."""
ONE = f"SELECT {ROW} FROM runs WHERE run = ?"  # noqa: S608 - our own words
# Not `INSERT OR REPLACE`, which would give the run a new place among the others.
_WRITE = (
    f"INSERT INTO runs ({ROW}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - our own words
    f"ON CONFLICT (run) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])}"
)
_MOST = 2**63 - 1  # the largest number that SQLite holds


def summary_of(events: Sequence[AnyEvent]) -> Summary:
    """A log in a few words."""
    return summary(fold(events), len(events))


def summary(run: Run, events: int) -> Summary:
    """A run in a few words, after so many events."""
    return Summary(
        run=run.id,
        status=run.status,
        events=events,
        started_at=run.started_at,
        last_at=run.last_at,
        task=_text(run.task),
        simulated=run.simulated,
        origin=run.basis.origin,
        subtasks=len(run.plan.subtasks),
        done=run.coverage.counts.get("done", 0),
        missing=len(run.coverage.missing),
        usage=Usage(*(min(tokens, _MOST) for tokens in astuple(run.usage))),
        cost=run.cost,
        error=None if run.error is None else _text(run.error),
        error_type=run.error_type,
    )


def _text(text: str) -> str:
    """A text as every database takes it: PostgreSQL has no NUL."""
    return clean(text).replace("\0", "\ufffd")


def write(db: Database, told: Summary) -> None:
    """Put a run's row in the place of the one before."""
    values = _values(told)
    db.execute(_WRITE, (*values, values_sum(values)))


def read(row: tuple[Any, ...]) -> Summary | None:
    """The summary a row of `runs` holds; None if it is damaged."""
    *values, said = row
    if values_sum(tuple(values)) != said:
        return None
    facts = dict(zip(_COLUMNS, values, strict=False))
    facts["usage"] = Usage(*(facts.pop(name) for name in _TOKENS))
    facts["simulated"] = bool(facts["simulated"])
    facts["cost"] = None if facts["cost"] is None else Decimal(facts["cost"])
    return Summary(**facts)


def _values(told: Summary) -> tuple[Any, ...]:
    *facts, usage, cost, error, error_type = astuple(told)
    numbers = (int(each) if isinstance(each, bool) else each for each in facts)
    return (*numbers, *astuple(usage), None if cost is None else str(cost), error, error_type)
