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

from stretto.errors import StoreError, StoreLocked
from stretto.store import late
from stretto.store.logs import damaged
from stretto.store.rows import Entry, Row, Turn, keep
from stretto.store.schema import GLANCE, connect, explain

HELD = 0.25
"""Seconds after which a store counts as held by another program, and what is to be written is put by beside it."""

_MOST = 500  # rows in one statement, so that one huge batch does not delay everything in it
_BUSY, _BREATH = 4, 0.002  # after a batch of so many rows, seconds in which the next one gathers: each costs an fsync
_AGAIN = 0.2  # seconds after which a store that is held is tried again


class Writer:
    """A thread that commits rows of one run to a store, in the order they were submitted.

    After each statement `committed(n, None)` is called in the writer's thread: the next n rows are on the disk; or
    `committed(n, error)`: they are not, and after that nothing more is written. While another program holds the store
    for longer than `patience` seconds, they are on the disk beside it (`stretto.store.late`). `ended` is called when
    everything is written, the connection is closed and the thread is about to end.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        committed: Callable[[int, StoreError | None], None],
        ended: Callable[[], None],
        patience: float = HELD,
    ) -> None:
        self._path = path
        self._run = run
        self._committed = committed
        self._ended = ended
        self._db = connect(path, patience=min(GLANCE, patience))  # here in the event loop, later in a thread
        self._patience = patience
        self._be_patient(patience)
        self._file = _identity(path)
        self._late = False  # whether something was put by
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

    def finish(self) -> None:
        """Write what was submitted, then end the thread; `ended` tells when it has."""
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the end of a thread that has told of it."""
        self._thread.join()

    def _work(self) -> None:
        try:
            self._write()
            self._db.close()
        finally:
            self._ended()

    def _write(self) -> None:
        error: StoreError | None = None
        more = True
        while more:
            entries, more = self._gather()
            if not more and self._late:
                self._be_patient(self._patience)  # the last time, so with some patience
            if entries or self._late:
                error = error or self._kept(entries)
            if entries:
                self._committed(len(entries), error)
            if more and len(entries) >= _BUSY:
                time.sleep(_BREATH)

    def _gather(self) -> tuple[list[Entry], bool]:
        """Wait for one entry and take all others that are there; False once the end was reached."""
        entries: list[Entry] = []
        try:
            entry = self._queue.get(timeout=_AGAIN if self._late else None)
        except queue.Empty:
            return entries, True
        while entry is not None:
            entries.append(entry)
            if len(entries) >= _MOST or self._queue.empty():
                return entries, True
            entry = self._queue.get()
        return entries, False

    def _kept(self, entries: Sequence[Entry]) -> StoreError | None:
        """Have entries on the disk; whatever goes wrong is the error of all who wait, for nobody else would see it."""
        try:
            try:
                if self._late:
                    late.take_in(self._db, self._path, self._run)
                    self._late = False
                    self._be_patient(self._patience)
                self._commit(entries)
            except sqlite3.Error as error:
                told = explain(self._path, error)
                if not isinstance(told, StoreLocked):
                    return told
                if entries:
                    late.put_by(self._path, self._run, entries)
                    self._late = True
                    self._be_patient(0.0)
        except StoreError as error:
            return error
        except msgspec.MsgspecError as error:
            return damaged(self._path, self._run, f"an event to be forgotten cannot be read: {error}")
        except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
            return StoreError(
                f"{self._path}: what run {self._run} says cannot be written: {type(error).__name__}: {error}; what was "
                "written before is kept, `stretto resume` goes on from there"
            )
        return None

    def _commit(self, entries: Sequence[Entry]) -> None:
        turns = [turn for _, turn in entries if turn is not None]
        if not turns:  # nearly always
            if entries:
                keep(self._db, entries)
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            keep(self._db, entries)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        if any(turn.forget for turn in turns):  # nor may the write-ahead log keep it, if nobody else needs that
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _be_patient(self, seconds: float) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
