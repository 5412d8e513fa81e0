"""How events, and what belongs to them, are written into a store, and forgotten again."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import StoreError
from stretto.events import (
    AnyEvent,
    CallFinished,
    CallRetried,
    PlanFinished,
    PlanWithdrawn,
    RunDegraded,
    RunFailed,
    RunFinished,
    RunStarted,
    SubtaskFinished,
    SubtaskPlanned,
    SubtaskReopened,
    SubtaskStopped,
    decode,
    encode,
)
from stretto.store.database import Database
from stretto.store.schema import File
from stretto.store.summary import Summary, write
from stretto.store.sums import event_sum, record_sum
from stretto.types import Coverage

Row = tuple[str, int | None, str, bytes, str | None, bytes | None, bytes | None]
"""Run, seq, kind and body of an event, and the fingerprint, request and reply of its call."""

_GONE = "(not kept)"

_UPDATE = """
UPDATE events SET body = ?, event_sum = ?, request = NULL, reply = NULL, record_sum = NULL WHERE run = ? AND seq = ?
"""


def forget(db: Database, run: str) -> None:
    """Take every text of a run out of its log: task, inputs, descriptions, results, answer, prompts and replies.

    Within the transaction that is under way.
    """
    if isinstance(db, File):
        db.execute("PRAGMA secure_delete = ON")  # what stood there is overwritten, too
    for seq, body in db.execute("SELECT seq, body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall():
        event = _emptied(decode(body))
        written = encode(event)
        db.execute(_UPDATE, (written, event_sum(run, seq, event.kind, written), run, seq))


def _emptied(event: AnyEvent) -> AnyEvent:  # noqa: C901 - one arm for each kind of event, by design
    """The event without what was said in it, errors too: they may quote it. The definition of the workflow stays."""
    match event:
        case RunStarted():
            basis = replace(event.basis, plan=None, inputs=(), plans={}, each=None, remarks={}, messages=())
            return replace(event, task="", basis=basis)
        case SubtaskPlanned():
            return replace(event, description="", remark=None, brief="")
        case PlanFinished():
            return replace(event, analysis="", remarks=())
        case PlanWithdrawn():
            return replace(event, remark="", plan=None)
        case SubtaskFinished():
            return replace(event, text="", error=event.error and _GONE, remark="")
        case SubtaskStopped():
            return replace(event, text="")
        case SubtaskReopened():
            return replace(event, remark="")
        case CallFinished():
            return replace(event, error=event.error and _GONE)
        case CallRetried() | RunDegraded():
            return replace(event, reason=_GONE)
        case RunFailed():
            return replace(event, error=_GONE)
        case RunFinished():
            return replace(event, answer="", coverage=_without_reasons(event.coverage), citations=(), remarks=())
        case _:
            return event


def _without_reasons(coverage: Coverage) -> Coverage:
    """What is missing, and by which policy what was given up, but not why."""
    missing = tuple(replace(one, reason=one.outcome) for one in coverage.missing)
    doubtful = tuple(replace(one, remark="") for one in coverage.doubtful)
    policies = dict.fromkeys(told.partition(":")[0] for told in coverage.degraded)
    return replace(
        coverage, missing=missing, doubtful=doubtful, degraded=tuple(f"{policy}: {_GONE}" for policy in policies)
    )


class Turn(Struct, frozen=True):
    """What an event that begins or ends an execution makes of its run in the list of runs.

    `forget`: with it every text of the run goes.
    """

    summary: Summary
    forget: bool = False


Entry = tuple[Row, Turn | None]

_INSERT = "INSERT INTO events (run, seq, kind, body, event_sum, fingerprint, record_sum, request, reply) VALUES "
_VALUES, _AGAIN = "(?, ?, ?, ?, ?, ?, ?, ?, ?)", " ON CONFLICT (run, seq) DO NOTHING"


def keep(db: Database, entries: Sequence[Entry], *, again: bool = False) -> None:
    """Write entries, and what their runs amount to with them; `again`: rows that are there already stay as they are.

    Within a transaction, if that is more than one statement.
    """
    insert(db, [row for row, _ in entries], again=again)
    for _, turn in entries:
        if turn is not None:
            write(db, turn.summary)
            if turn.forget:
                forget(db, turn.summary.run)


def insert(db: Database, rows: Sequence[Row], *, again: bool = False) -> None:
    """Write rows, each with its checksums, in one statement."""
    values = [value for row in rows for value in columns(*row)]
    db.execute(_INSERT + ", ".join([_VALUES] * len(rows)) + (_AGAIN if again else ""), values)


def columns(
    run: str,
    seq: int | None,
    kind: str,
    body: bytes,
    fingerprint: str | None,
    request: bytes | None,
    reply: bytes | None,
) -> tuple[object, ...]:
    """A row as it is stored, with its checksums."""
    record = record_sum(run, seq, fingerprint, request, reply)
    return run, seq, kind, body, event_sum(run, seq, kind, body), fingerprint, record, request, reply


class Source(Protocol):
    """A run whose rows are written; `error` is what keeps any more of it from being so."""

    run: str
    error: StoreError | None

    def __hash__(self) -> int: ...


class Sink(Protocol):
    """Where rows go. Made in the event loop, used in the writer's thread."""

    @property
    def pause(self) -> float | None:
        """Seconds after which it is to be asked to keep nothing, if nothing comes; None: it need not be."""
        ...

    @property
    def strict(self) -> bool:
        """Whether a request may only leave once it is recorded: somebody on another machine may take its run over."""
        ...

    def keep(self, entries: Mapping[Any, Sequence[Entry]], *, last: bool) -> None:
        """Have entries of runs (`Source`) on the disk when this returns, or the `error` of their run set.

        `last`: nothing comes after.
        """
        ...

    def told(self, error: Exception, source: Source) -> StoreError:
        """What went wrong in writing a run, in words."""
        ...

    def displaced(self) -> StoreError | None:
        """The error to raise if what is written is not where it should be."""
        ...

    def leave(self, source: Source) -> None:
        """Nothing more comes of a run."""
        ...

    def close(self) -> None:
        """Nothing more comes at all."""
        ...
