"""Reading a store, and the lock by which exactly one process carries a run."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from stretto.errors import RunBusy, RunNotFound, StoreError
from stretto.events import AnyEvent, decode
from stretto.runs import Run, fold
from stretto.store.schema import connect, explain
from stretto.types import Reply, Request

_request = msgspec.json.Decoder(Request)
_reply = msgspec.json.Decoder(Reply)


class Record(msgspec.Struct, frozen=True):
    """What was asked and what came back, for one fingerprint of a run."""

    request: Request | None
    reply: Reply | None


class Store:
    """Everything there is to read in one store file; each question opens and closes its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, run: str) -> list[AnyEvent]:
        """The log of a run, oldest first; raises `RunNotFound`."""
        rows = self._rows("SELECT body FROM events WHERE run = ? ORDER BY seq", run)
        if not rows:
            raise RunNotFound(f"{self.path}: no run {run!r} in this store; `stretto runs` lists them")
        try:
            return [decode(body) for (body,) in rows]
        except msgspec.MsgspecError as error:
            raise StoreError(f"{self.path}: run {run}: an event in the log cannot be read: {error}") from error

    def run(self, run: str) -> Run:
        """A run as its events tell it."""
        return fold(self.events(run))

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first, without their calls' records."""
        rows = self._rows("SELECT run FROM events WHERE kind = 'run_started' ORDER BY run DESC LIMIT ?", limit)
        return [self.run(run) for (run,) in rows]

    def find(self, prefix: str) -> str:
        """The id of the one run that begins (or ends) with these letters, in either case."""
        ids = [
            run
            for (run,) in self._rows("SELECT run FROM events WHERE kind = 'run_started' ORDER BY run DESC")
            if run.startswith(prefix.upper()) or run.endswith(prefix.upper())
        ]
        if not ids:
            raise RunNotFound(f"{self.path}: no run {prefix!r} in this store; `stretto runs` lists them")
        if len(ids) > 1:
            raise RunNotFound(f"{prefix!r} fits {len(ids)} runs ({', '.join(ids[:3])}, …); write more of the id")
        return str(ids[0])

    def records(self, run: str) -> dict[str, Record]:
        """Requests and replies of a run by fingerprint."""
        rows = self._rows("SELECT fingerprint, request, reply FROM records WHERE run = ?", run)
        return {
            key: Record(_request.decode(request) if request else None, _reply.decode(reply) if reply else None)
            for key, request, reply in rows
        }

    def replies(self, run: str) -> dict[str, Reply]:
        """The complete replies of a run by fingerprint."""
        rows = self._rows("SELECT fingerprint, reply FROM records WHERE run = ? AND reply IS NOT NULL", run)
        return {key: _reply.decode(reply) for key, reply in rows}

    @contextmanager
    def carrying(self, run: str) -> Iterator[None]:
        """Only one process at a time is inside, for one run; a dead one is not inside. Raises `RunBusy`."""
        locks = self.path.with_name(self.path.name + ".locks")
        lock = FileLock(locks / run, mode=0o600)
        try:
            locks.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.acquire(blocking=False)
        except Timeout:
            raise RunBusy(
                f"run {run} is being carried by another process; wait until it ends, or stop it, then resume"
            ) from None
        except OSError as error:
            raise explain(self.path, error) from error
        try:
            yield
        finally:
            # While it is still held: whoever has it open by now sees that it is gone, and does not take it.
            (locks / run).unlink(missing_ok=True)
            lock.release()

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with closing(connect(self.path, create=False)) as db:
            try:
                return db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise explain(self.path, error) from error
