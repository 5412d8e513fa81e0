"""Group commit: one thread writes whatever has gathered while it was writing, in one statement.

One statement, because SQLite's calls give the interpreter's lock away, and while the event loop is busy it takes up to
5 ms to get it back: a statement a row made 300 workers' events cost four times the CPU and wait for seconds.
"""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from stretto.errors import StoreError
from stretto.store.schema import GLANCE, PATIENCE, connect, explain

Row = tuple[str, int | None, str, bytes, str | None, bytes | None, bytes | None]
"""Run, seq, kind and body of an event, and the fingerprint, request and reply of its call."""

_MOST = 500  # rows in one statement, so that one huge batch does not delay everything in it
_BUSY, _BREATH = 4, 0.002  # after a batch of so many rows, seconds in which the next one gathers: each costs an fsync
_INSERT = "INSERT INTO events (run, seq, kind, body, fingerprint, request, reply) VALUES "
_VALUES = "(?, ?, ?, ?, ?, ?, ?)"


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
        self._queue: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stretto-store", daemon=True)
        self._thread.start()

    def submit(self, row: Row) -> None:
        """Have a row written, after everything submitted before."""
        self._queue.put(row)

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
            rows, more = self._gather()
            if rows:
                error = error or self._commit(rows)
                self._committed(len(rows), error)
            if more and len(rows) >= _BUSY:
                time.sleep(_BREATH)

    def _gather(self) -> tuple[list[Row], bool]:
        """Wait for one row and take all others that are there; False once the end was reached."""
        rows: list[Row] = []
        row = self._queue.get()
        while row is not None:
            rows.append(row)
            if len(rows) >= _MOST or self._queue.empty():
                return rows, True
            row = self._queue.get()
        return rows, False

    def _commit(self, rows: list[Row]) -> StoreError | None:
        try:
            self._db.execute(_INSERT + ", ".join([_VALUES] * len(rows)), list(chain.from_iterable(rows)))
        except sqlite3.Error as error:
            return explain(self._path, error)
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
