"""How events, and what belongs to them, are written into a store."""

from collections.abc import Sequence

from msgspec import Struct

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
