"""Group commit: one thread writes whatever has gathered while it was writing, in one transaction."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stretto.errors import StoreError
from stretto.store.schema import PATIENCE, connect, explain

Statement = tuple[str, Sequence[Any]]
"""An SQL statement and its values."""

_MOST = 1000  # entries in one transaction, so that one huge batch does not delay everything in it


class Writer:
    """A thread that commits entries to a store, in the order they were submitted.

    After each transaction `committed(n, None)` is called in the writer's thread: the next n entries are on the disk; or
    `committed(n, error)`: they are not, and after that nothing more is written. `patience`: seconds to wait while
    another process writes.
    """

    def __init__(
        self, path: Path, committed: Callable[[int, StoreError | None], None], patience: float = PATIENCE
    ) -> None:
        self._path = path
        self._committed = committed
        self._db = connect(path, patience=patience)
        self._file = _identity(path)
        self._queue: queue.SimpleQueue[list[Statement] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stretto-store", daemon=True)
        self._thread.start()

    def submit(self, entry: list[Statement]) -> None:
        """Have one entry written, whole or not at all, after everything submitted before."""
        self._queue.put(entry)

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

    def _gather(self) -> tuple[list[list[Statement]], bool]:
        """Wait for one entry and take all others that are there; False once the end was reached."""
        entries: list[list[Statement]] = []
        entry = self._queue.get()
        while entry is not None:
            entries.append(entry)
            if len(entries) >= _MOST or self._queue.empty():
                return entries, True
            entry = self._queue.get()
        return entries, False

    def _commit(self, entries: list[list[Statement]]) -> StoreError | None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for entry in entries:
                for sql, values in entry:
                    self._db.execute(sql, values)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # what does not get committed is rolled back when the file is opened next
                self._db.execute("ROLLBACK")
            return explain(self._path, error)
        # SQLite writes on into a file that has no name any more, and calls that a success.
        if _identity(self._path) != self._file:
            return StoreError(
                f"{self._path}: the file was removed or replaced while a run was being written to it; put it back and "
                "`stretto resume` the run, or run the task again"
            )
        return None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
