"""Group commit: one thread writes whatever has gathered while it was writing, in one statement.

One statement, because SQLite's calls give the interpreter's lock away, and while the event loop is busy it takes up to
5 ms to get it back: a statement a row made 300 workers' events cost four times the CPU and wait for seconds.
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from stretto.errors import StoreError
from stretto.store.forgetting import forget
from stretto.store.logs import damaged
from stretto.store.schema import GLANCE, PATIENCE, connect, explain
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

_MOST = 500  # rows in one statement, so that one huge batch does not delay everything in it
_BUSY, _BREATH = 4, 0.002  # after a batch of so many rows, seconds in which the next one gathers: each costs an fsync
_INSERT = "INSERT INTO events (run, seq, kind, body, event_sum, fingerprint, record_sum, request, reply) VALUES "
_VALUES = "(?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Writer:
    """A thread that commits rows to a store, in the order they were submitted.

    After each statement `committed(n, None)` is called in the writer's thread: the next n rows are on the disk; or
    `committed(n, error)`: they are not, and after that nothing more is written. `patience`: seconds to wait while
    another process writes.
    """

    def __init__(
        self, path: Path, committed: Callable[[int, StoreError | None], None], patience: float = PATIENCE
    ) -> None:
        self._path = path
        self._committed = committed
        self._db = connect(path, patience=min(GLANCE, patience))  # here in the event loop, later in a thread
        self._db.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        self._file = _identity(path)
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stretto-store", daemon=True)
        self._thread.start()

    def submit(self, row: Row, turn: Turn | None = None) -> None:
        """Have a row written, after everything submitted before, and with it what the run amounts to now."""
        self._queue.put((row, turn))

    def displaced(self) -> StoreError | None:
        """The error to raise if the file has lost its name: SQLite writes on into it, and calls that a success."""
        if _identity(self._path) == self._file:
            return None
        return StoreError(
            f"{self._path}: the file was removed or replaced while a run was being written to it; put it back and "
            "`stretto resume` the run, or run the task again"
        )

    def close(self) -> None:
        """Write what was submitted, then end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _work(self) -> None:
        error: StoreError | None = None
        more = True
        while more:
            entries, more = self._gather()
            if entries:
                error = error or self._commit(entries)
                self._committed(len(entries), error)
            if more and len(entries) >= _BUSY:
                time.sleep(_BREATH)

    def _gather(self) -> tuple[list[Entry], bool]:
        """Wait for one entry and take all others that are there; False once the end was reached."""
        entries: list[Entry] = []
        entry = self._queue.get()
        while entry is not None:
            entries.append(entry)
            if len(entries) >= _MOST or self._queue.empty():
                return entries, True
            entry = self._queue.get()
        return entries, False

    def _commit(self, entries: list[Entry]) -> StoreError | None:
        rows = [row for row, _ in entries]
        turns = [turn for _, turn in entries if turn is not None]
        try:
            if turns:  # twice in a run
                self._db.execute("BEGIN IMMEDIATE")
            insert(self._db, rows)
            for turn in turns:
                write(self._db, turn.summary)
                if turn.forget:
                    forget(self._db, turn.summary.run)
            if turns:
                self._db.execute("COMMIT")
            if any(turn.forget for turn in turns):  # nor may the write-ahead log keep it, if nobody else needs that
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                return explain(self._path, error)
            return damaged(self._path, entries[0][0][0], f"an event to be forgotten cannot be read: {error}")
        return None


def insert(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write rows, each with its checksums, in one statement."""
    values = [value for row in rows for value in _columns(*row)]
    db.execute(_INSERT + ", ".join([_VALUES] * len(rows)), values)


def _columns(
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
