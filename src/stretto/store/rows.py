"""How events, and what belongs to them, are written into a store."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from stretto.errors import StoreError
from stretto.store.database import Database
from stretto.store.forgetting import forget
from stretto.store.summary import Summary, write
from stretto.store.sums import event_sum, record_sum

Row = tuple[str, int | None, str, bytes, str | None, bytes | None, bytes | None]
"""Run, seq, kind and body of an event, and the fingerprint, request and reply of its call."""


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
