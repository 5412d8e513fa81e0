"""Group commit: one thread writes whatever has gathered while it was writing, in one statement.

One statement, because SQLite's calls give the interpreter's lock away, and while the event loop is busy it takes up to
5 ms to get it back: a statement a row made 300 workers' events cost four times the CPU and wait for seconds. And one
thread and connection for all runs of an event loop in a store: each commit costs an fsync, and hundreds of connections
cost more file descriptors than many a process may have.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

from stretto.errors import StoreError, StoreLocked
from stretto.store import late
from stretto.store.logs import damaged
from stretto.store.rows import Entry, Row, Turn, keep
from stretto.store.schema import GLANCE, connect, explain, identity

HELD = 0.25
"""Seconds after which a store counts as held by another program, and what is to be written is put by beside it."""

_MOST = 500  # rows in one statement, so that one huge batch does not delay everything in it
_BUSY, _BREATH = 4, 0.002  # after a batch of so many rows, seconds in which the next one gathers: each costs an fsync
_AGAIN = 0.2  # seconds after which a store that is held is tried again


class Writing:
    """The rows of one run on their way into a store, in the order they were submitted.

    After each statement `committed(n, None)` is called in the writer's thread: the next n rows are on the disk; or
    `committed(n, error)`: they are not, and after that nothing more of this run is written. While another program holds
    the store for longer than `patience` seconds, they are on the disk beside it (`stretto.store.late`). `ended` is
    called when everything is written; if nobody else writes there, the connection is closed and the thread about to
    end. Made and used in one event loop.
    """

    def __init__(
        self,
        path: Path,
        run: str,
        committed: Callable[[int, StoreError | None], None],
        ended: Callable[[], None],
        patience: float = HELD,
    ) -> None:
        self.path = path
        self.run = run
        self.committed = committed
        self.ended = ended
        self.error: StoreError | None = None
        self._writer = _writer(path, patience)
        self._writer.users += 1

    def submit(self, row: Row, turn: Turn | None = None) -> None:
        """Have a row written, after everything submitted before, and with it what the run amounts to now."""
        self._writer.queue.put(_Item(self, (row, turn)))

    def displaced(self) -> StoreError | None:
        """The error to raise if the file has lost its name: SQLite writes on into it, and calls that a success."""
        if identity(self.path) == self._writer.file:
            return None
        return StoreError(
            f"{self.path}: the file was removed or replaced while a run was being written to it; put it back and "
            "`stretto resume` the run, or run the task again"
        )

    def finish(self) -> None:
        """Write what was submitted; `ended` tells when it is."""
        self._writer.users -= 1
        last = not self._writer.users
        if last:
            _forget(self._writer)
        self._writer.queue.put(_Item(self, None, last))

    def join(self) -> None:
        """Wait for the end of a thread that has told of it."""
        if not self._writer.users:
            self._writer.join()


class _Item(Struct, frozen=True):
    """An entry of a run; without one its end, which is that of the thread if it is the `last`."""

    writing: Writing
    entry: Entry | None
    last: bool = False


class _Writer:
    """The thread that commits the rows of all runs of an event loop to a store."""

    def __init__(self, path: Path, patience: float) -> None:
        self.users = 0
        self.queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._path = path
        self._db = connect(path, patience=min(GLANCE, patience))  # here in the event loop, later in a thread
        self._patience = patience
        self._be_patient(patience)
        self.file = identity(path)
        self._late: list[Writing] = []  # of which something was put by
        self._thread = threading.Thread(target=self._work, name="stretto-store", daemon=True)
        self._thread.start()
        self.join = self._thread.join

    def _work(self) -> None:
        item: _Item | None = None
        while item is None or not item.last:
            entries, item = self._gather()
            try:
                self._keep(entries, last=item is not None and item.last)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                for writing in entries:
                    writing.error = writing.error or self._told(error, writing)
            for writing, some in entries.items():
                writing.committed(len(some), writing.error)
            if item is not None:
                self._end(item)
            elif sum(map(len, entries.values())) >= _BUSY:
                time.sleep(_BREATH)

    def _end(self, item: _Item) -> None:
        if item.writing in self._late:  # whoever goes on with the run, or reads it, takes that in
            self._late.remove(item.writing)
        try:
            if item.last:
                self._db.close()
        finally:
            item.writing.ended()

    def _gather(self) -> tuple[dict[Writing, list[Entry]], _Item | None]:
        """Wait for one entry and take all others that are there; and the end of a run, if one was reached."""
        entries: dict[Writing, list[Entry]] = {}
        try:
            item = self.queue.get(timeout=_AGAIN if self._late else None)
        except queue.Empty:
            return entries, None
        count = 0
        while item.entry is not None:
            entries.setdefault(item.writing, []).append(item.entry)
            count += 1
            if count >= _MOST or self.queue.empty():
                return entries, None
            item = self.queue.get()
        return entries, item

    def _keep(self, entries: Mapping[Writing, Sequence[Entry]], *, last: bool) -> None:
        """Have entries on the disk, and what was put by before; the last time with some patience."""
        if last and self._late:
            self._be_patient(self._patience)
        held = not all(self._take_in(writing) for writing in self._late)
        fresh = {writing: some for writing, some in entries.items() if writing.error is None}
        if held:
            self._put_by(fresh)
        elif fresh:
            self._commit(fresh)

    def _take_in(self, writing: Writing) -> bool:
        """Take in what was put by of a run; False if the store is still held."""
        if writing.error is None:
            try:
                late.take_in(self._db, self._path, writing.run)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                writing.error = self._told(error, writing)
                if isinstance(writing.error, StoreLocked):
                    writing.error = None
                    return False
        self._late = [each for each in self._late if each is not writing]
        self._be_patient(self._patience)
        return True

    def _commit(self, entries: Mapping[Writing, Sequence[Entry]]) -> None:
        try:
            self._write([entry for some in entries.values() for entry in some])
        except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
            first = next(iter(entries))
            told = self._told(error, first)
            if isinstance(told, StoreLocked):
                self._put_by(entries)
            elif len(entries) == 1:
                first.error = told
            else:  # what one of them says is no fault of the others
                for writing, some in entries.items():
                    self._commit({writing: some})

    def _put_by(self, entries: Mapping[Writing, Sequence[Entry]]) -> None:
        for writing, some in entries.items():
            try:
                late.put_by(self._path, writing.run, some)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                writing.error = self._told(error, writing)
                continue
            if writing not in self._late:
                self._late.append(writing)
        self._be_patient(0.0)

    def _told(self, error: Exception, writing: Writing) -> StoreError:
        if isinstance(error, StoreError):
            return error
        if isinstance(error, sqlite3.Error):
            return explain(self._path, error)
        if isinstance(error, msgspec.MsgspecError):
            return damaged(self._path, writing.run, f"an event to be forgotten cannot be read: {error}")
        return StoreError(
            f"{self._path}: what run {writing.run} says cannot be written: {type(error).__name__}: {error}; what was "
            "written before is kept, `stretto resume` goes on from there"
        )

    def _write(self, entries: Sequence[Entry]) -> None:
        turns = [turn for _, turn in entries if turn is not None]
        if not turns:  # nearly always
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


_writers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Writer]] = WeakKeyDictionary()
"""Those at work, by the event loop whose runs they write."""


def _writer(path: Path, patience: float) -> _Writer:
    """The one that writes into this file for the running loop."""
    at_work, file = _writers.setdefault(asyncio.get_running_loop(), []), identity(path)
    for each in at_work:
        if file is not None and each.file == file:
            return each
    at_work.append(writer := _Writer(path, patience))
    return writer


def _forget(writer: _Writer) -> None:
    for at_work in list(_writers.values()):
        if writer in at_work:
            at_work.remove(writer)
