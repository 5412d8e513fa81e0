"""Removing old runs, in small transactions while other processes write, and giving their room back."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

from msgspec import Struct

from stretto.errors import StoreError
from stretto.store.carriers import goes_on, is_queued, take_in_all
from stretto.store.connecting import connect, opened
from stretto.store.database import Database, transaction
from stretto.store.locations import Location, Server
from stretto.store.schema import PATIENCE

_AT_ONCE = 20  # runs in one transaction
_TABLES = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relnamespace = 'stretto'::regnamespace"
_OF_A_RUN, _ON_A_SERVER = ("events", "imports", "carriers", "idempotency", "aside"), ("queued", "proposals")
_EVER = "~"  # sorts behind every moment


class Pruned(Struct, frozen=True):
    """How many runs went, and how many stayed because they are being carried or went on meanwhile."""

    removed: int
    kept: int


def condemned(location: Location, *, before: str | None = None, keep: int | None = None) -> list[str]:
    """The runs whose last execution began or ended `before` (RFC 3339, UTC) and that are not among the newest `keep`.

    Newest first. Either alone is enough when the other is None. A run of which nobody knows when it was is only
    condemned by number.
    """
    query = """
        SELECT run FROM (SELECT run, last_at FROM runs ORDER BY rowid DESC LIMIT 9223372036854775807 OFFSET ?) AS older
        WHERE last_at < ? AND (last_at <> '' OR ?)
    """
    with opened(location, create=False) as db:
        rows = db.execute(query, (keep or 0, before or _EVER, before is None)).fetchall()
    return [run for (run,) in rows]


def weigh(location: Location, runs: Sequence[str]) -> int:
    """Roughly how many bytes these runs take."""
    query = """
        SELECT coalesce(sum(length(body) + coalesce(length(request), 0) + coalesce(length(reply), 0)), 0) FROM events
        WHERE run = ?
    """
    with opened(location, create=False) as db:
        return int(sum(db.execute(query, (run,)).fetchone()[0] for run in runs))


def prune(location: Location, runs: Sequence[str], *, before: str | None = None, patience: float = PATIENCE) -> Pruned:
    """Remove these runs, the oldest first; one that is carried, or is to be, stays, and so does one that went on since.

    Whoever is stopped in the midst has removed some runs whole, and the others not at all.
    """
    removed = 0
    take_in_all(location, patience)
    with opened(location, patience=patience) as db:
        oldest = sorted(runs)
        for some in (oldest[at : at + _AT_ONCE] for at in range(0, len(oldest), _AT_ONCE)):
            began = time.monotonic()
            removed += _remove(db, location, some, before or _EVER)
            # Whoever waits to write gets as much time as this took: SQLite lets the quickest in, not the first.
            time.sleep(time.monotonic() - began)
    return Pruned(removed, len(runs) - removed)


def _remove(db: Database, location: Location, runs: Sequence[str], before: str) -> int:
    """Remove some runs in one transaction, in which nobody begins to carry one."""
    gone = 0
    with transaction(db):
        for run in runs:
            if goes_on(db, location, run) or is_queued(db, location, run):
                continue
            if db.execute("DELETE FROM runs WHERE run = ? AND last_at < ?", (run, before)).rowcount:
                for table in (*_OF_A_RUN, *(_ON_A_SERVER if isinstance(location, Server) else ())):
                    db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608 - our own words
                gone += 1
    return gone


def compact(location: Location, patience: float = PATIENCE) -> None:
    """Make the file as small as what is in it. Everybody who writes waits meanwhile; takes room for a copy."""
    with closing(connect(location, create=False, patience=patience)) as db:
        try:
            if isinstance(location, Server):
                db.execute("VACUUM events, runs")
                return
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(
                f"{location}: the file could not be made smaller: {error}; its free room is used by new runs all the "
                "same (making it smaller takes room for a copy of it, and a moment when nobody writes)"
            ) from error


def size_of(location: Location) -> int:
    """Bytes the store takes on the disk: a file with its write-ahead log, of a database our tables."""
    if isinstance(location, Server):
        with opened(location, create=False) as db:
            return int(db.execute(_TABLES).fetchone()[0])
    files = (location, location.with_name(location.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
