"""Removing old runs, in small transactions while other processes write, and giving their room back."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct

from stretto.errors import StoreError
from stretto.store.carriers import is_carried, take_in_all
from stretto.store.schema import PATIENCE, connect, explain

_AT_ONCE = 20  # runs in one transaction
_EVER = "~"  # sorts behind every moment


class Pruned(Struct, frozen=True):
    """How many runs went, and how many stayed because they are being carried or went on meanwhile."""

    removed: int
    kept: int


def condemned(path: Path, *, before: str | None = None, keep: int | None = None) -> list[str]:
    """The runs whose last execution began or ended `before` (RFC 3339, UTC) and that are not among the newest `keep`.

    Newest first. Either alone is enough when the other is None. A run of which nobody knows when it was is only
    condemned by number.
    """
    query = """
        SELECT run FROM (SELECT run, last_at FROM runs ORDER BY rowid DESC LIMIT -1 OFFSET ?)
        WHERE last_at < ? AND (last_at <> '' OR ?)
    """
    with _asking(path) as db:
        rows = db.execute(query, (keep or 0, before or _EVER, before is None)).fetchall()
    return [run for (run,) in rows]


def weigh(path: Path, runs: Sequence[str]) -> int:
    """Roughly how many bytes these runs take."""
    query = """
        SELECT total(length(body) + ifnull(length(request), 0) + ifnull(length(reply), 0)) FROM events WHERE run = ?
    """
    with _asking(path) as db:
        return int(sum(db.execute(query, (run,)).fetchone()[0] for run in runs))


@contextmanager
def _asking(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path, create=False)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise explain(path, error) from error


def prune(path: Path, runs: Sequence[str], *, before: str | None = None, patience: float = PATIENCE) -> Pruned:
    """Remove these runs, the oldest first; one that is being carried stays, and so does one that went on since.

    Whoever is stopped in the midst has removed some runs whole, and the others not at all.
    """
    removed = 0
    take_in_all(path, patience)
    with closing(connect(path, patience=patience)) as db:
        oldest = sorted(runs)
        for some in (oldest[at : at + _AT_ONCE] for at in range(0, len(oldest), _AT_ONCE)):
            began = time.monotonic()
            try:
                removed += _remove(db, path, some, before or _EVER)
            except sqlite3.Error as error:
                raise explain(path, error) from error
            # Whoever waits to write gets as much time as this took: SQLite lets the quickest in, not the first.
            time.sleep(time.monotonic() - began)
    return Pruned(removed, len(runs) - removed)


def _remove(db: sqlite3.Connection, path: Path, runs: Sequence[str], before: str) -> int:
    """Remove some runs in one transaction, in which nobody begins to carry one."""
    db.execute("BEGIN IMMEDIATE")
    try:
        gone = 0
        for run in runs:
            if is_carried(db, path, run):
                continue
            if db.execute("DELETE FROM runs WHERE run = ? AND last_at < ?", (run, before)).rowcount:
                db.execute("DELETE FROM events WHERE run = ?", (run,))
                db.execute("DELETE FROM imports WHERE run = ?", (run,))
                db.execute("DELETE FROM carriers WHERE run = ?", (run,))
                db.execute("DELETE FROM idempotency WHERE run = ?", (run,))
                gone += 1
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return gone


def compact(path: Path, patience: float = PATIENCE) -> None:
    """Make the file as small as what is in it. Everybody who writes waits meanwhile; takes room for a copy."""
    with closing(connect(path, create=False, patience=patience)) as db:
        try:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(
                f"{path}: the file could not be made smaller: {error}; its free room is used by new runs all the same "
                "(making it smaller takes room for a copy of it, and a moment when nobody writes)"
            ) from error


def size_of(path: Path) -> int:
    """Bytes the store takes on the disk, with its write-ahead log."""
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
