"""Rows on their way into a store file, and beside it while another program holds it."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from stretto.errors import StoreError, StoreLocked
from stretto.store import late
from stretto.store.database import transaction
from stretto.store.logs import damaged
from stretto.store.rows import Entry, Source, keep
from stretto.store.schema import GLANCE, connect, explain, identity

_AGAIN = 0.2  # seconds after which a store that is held is tried again


class FileSink:
    """The connection of a writer's thread to a store file (`stretto.store.rows.Sink`)."""

    strict = False  # whoever goes on with a run does so after this process is dead

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._db = connect(path, patience=min(GLANCE, patience))  # here in the event loop, later in a thread
        self._patience = patience
        self._be_patient(patience)
        self._file = identity(path)
        self._late: list[Source] = []  # of which something was put by

    @property
    def pause(self) -> float | None:
        """Seconds after which it wants to be asked again, though nothing came; None: never."""
        return _AGAIN if self._late else None

    def displaced(self) -> StoreError | None:
        """The error to raise if the file has lost its name: SQLite writes on into it, and calls that a success."""
        if identity(self._path) == self._file:
            return None
        return StoreError(
            f"{self._path}: the file was removed or replaced while a run was being written to it; put it back and "
            "`stretto resume` the run, or run the task again"
        )

    def leave(self, writing: Source) -> None:
        """Nothing more comes of a run."""
        if writing in self._late:  # whoever goes on with the run, or reads it, takes that in
            self._late.remove(writing)

    def close(self) -> None:
        """Nothing more comes at all."""
        self._db.close()

    def keep(self, entries: Mapping[Source, Sequence[Entry]], *, last: bool) -> None:
        """Have entries on the disk, and what was put by before; the last time with some patience."""
        if last and self._late:
            self._be_patient(self._patience)
        held = not all(self._take_in(writing) for writing in self._late)
        fresh = {writing: some for writing, some in entries.items() if writing.error is None}
        if held:
            self._put_by(fresh)
        elif fresh:
            self._commit(fresh)

    def _take_in(self, writing: Source) -> bool:
        """Take in what was put by of a run; False if the store is still held."""
        if writing.error is None:
            try:
                late.take_in(self._db, self._path, writing.run)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                writing.error = self.told(error, writing)
                if isinstance(writing.error, StoreLocked):
                    writing.error = None
                    return False
        self._late = [each for each in self._late if each is not writing]
        self._be_patient(self._patience)
        return True

    def _commit(self, entries: Mapping[Source, Sequence[Entry]]) -> None:
        try:
            self._write([entry for some in entries.values() for entry in some])
        except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
            first = next(iter(entries))
            told = self.told(error, first)
            if isinstance(told, StoreLocked):
                self._put_by(entries)
            elif len(entries) == 1:
                first.error = told
            else:  # what one of them says is no fault of the others
                for writing, some in entries.items():
                    self._commit({writing: some})

    def _put_by(self, entries: Mapping[Source, Sequence[Entry]]) -> None:
        for writing, some in entries.items():
            try:
                late.put_by(self._path, writing.run, some)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                writing.error = self.told(error, writing)
                continue
            if writing not in self._late:
                self._late.append(writing)
        self._be_patient(0.0)

    def told(self, error: Exception, writing: Source) -> StoreError:
        """What went wrong in writing a run, in words."""
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
        with transaction(self._db):
            keep(self._db, entries)
        if any(turn.forget for turn in turns):  # nor may the write-ahead log keep it, if nobody else needs that
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _be_patient(self, seconds: float) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
