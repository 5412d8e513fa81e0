"""Reading a store, and the lock by which exactly one process carries a run."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from stretto.errors import RunBusy, RunNotFound, StoreError
from stretto.events import AnyEvent, RunStarted, decode
from stretto.runs import Run, fold
from stretto.store.schema import PATIENCE, connect, explain
from stretto.text import clean
from stretto.types import Reply, Request

_request = msgspec.json.Decoder(Request)
_reply = msgspec.json.Decoder(Reply)


class Record(msgspec.Struct, frozen=True):
    """What was asked and what came back, for one fingerprint of a run."""

    request: Request | None
    reply: Reply | None


class Store:
    """Everything there is to read in one store file; each question opens and closes its own connection.

    `patience`: seconds to wait while another program holds the file, before `StoreLocked` is raised.
    """

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self._patience = patience

    def check(self, run: str) -> None:
        """The store can be read and holds this run; raises `RunNotFound` or `StoreError` if not."""
        with self._reading() as db:
            if not db.execute("SELECT 1 FROM events WHERE run = ? LIMIT 1", (clean(run),)).fetchone():
                raise self._not_found(run)

    def events(self, run: str) -> list[AnyEvent]:
        """The log of a run, oldest first; raises `RunNotFound`, or `StoreError` if a part of the log is damaged."""
        with self._reading() as db:
            return self._log(db, run)

    def run(self, run: str) -> Run:
        """A run as its events tell it."""
        return fold(self.events(run))

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first; one whose log is damaged is `unreadable` and hides no other."""
        with self._reading() as db:
            rows = db.execute("SELECT run FROM events WHERE kind = 'run_started' ORDER BY run DESC LIMIT ?", (limit,))
            return [self._told(db, run) for (run,) in rows.fetchall()]

    def find(self, prefix: str) -> str:
        """The id of the one run that begins (or ends) with these letters, in either case."""
        with self._reading() as db:
            rows = db.execute("SELECT run FROM events WHERE kind = 'run_started' ORDER BY run DESC").fetchall()
        letters = prefix.upper()
        ids = [run for (run,) in rows if run.startswith(letters) or run.endswith(letters)]
        if not ids:
            raise self._not_found(prefix)
        if len(ids) > 1:
            some = ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")
            raise RunNotFound(f"{self.path}: {prefix!r} fits {len(ids)} runs ({some}); write more of the id")
        return str(ids[0])

    def records(self, run: str) -> dict[str, Record]:
        """Requests and replies of a run by fingerprint."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT fingerprint, max(request), max(reply) FROM events"
                " WHERE run = ? AND fingerprint IS NOT NULL GROUP BY fingerprint",
                (run,),
            )
            return {
                key: Record(_request.decode(request) if request else None, _reply.decode(reply) if reply else None)
                for key, request, reply in rows
            }

    def replies(self, run: str) -> dict[str, list[Reply]]:
        """The complete replies of a run by fingerprint, oldest first."""
        replies: dict[str, list[Reply]] = {}
        with self._reading() as db:
            rows = db.execute(
                "SELECT fingerprint, reply FROM events WHERE run = ? AND reply IS NOT NULL ORDER BY seq", (run,)
            )
            for key, reply in rows:
                replies.setdefault(key, []).append(_reply.decode(reply))
        return replies

    @contextmanager
    def carrying(self, run: str) -> Iterator[None]:
        """Only one carrier at a time is inside, for one run; a dead one is not inside. Raises `RunBusy`."""
        connect(self.path, patience=self._patience).close()  # a lock beside something that is no store helps nobody
        locks = self.path.with_name(self.path.name + ".locks")
        lock = FileLock(locks / run, mode=0o600)
        try:
            locks.mkdir(exist_ok=True, mode=0o700)
            lock.acquire(blocking=False)
        except Timeout:
            raise RunBusy(
                f"run {run} is being carried already, by another process or by this one; wait until it ends, or stop "
                "it, then resume"
            ) from None
        except OSError as error:
            raise explain(self.path, error) from error
        try:
            yield
        finally:
            # While it is still held: whoever has it open by now sees that it is gone, and does not take it.
            (locks / run).unlink(missing_ok=True)
            lock.release()

    def is_carried(self, run: str) -> bool:
        """Whether somebody is carrying this run right now; what a dead carrier left is cleared away."""
        if not (self.path.with_name(self.path.name + ".locks") / run).exists():
            return False
        try:
            with self.carrying(run):
                return False
        except RunBusy:
            return True

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one question; what goes wrong names the file."""
        with closing(connect(self.path, create=False, patience=self._patience)) as db:
            try:
                yield db
            except sqlite3.Error as error:
                raise explain(self.path, error) from error
            except msgspec.MsgspecError as error:
                raise StoreError(f"{self.path}: a record in it cannot be read: {error}") from error

    def _log(self, db: sqlite3.Connection, run: str) -> list[AnyEvent]:
        rows = db.execute("SELECT seq, body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall()
        if not rows:
            raise self._not_found(run)
        try:
            events = [decode(body) for _, body in rows]
        except msgspec.MsgspecError as error:
            raise self._damaged(run, f"an event cannot be read: {error}") from error
        if not isinstance(events[0], RunStarted) or len(rows) != rows[-1][0]:
            raise self._damaged(run, f"{len(rows)} events where {rows[-1][0]} were written")
        return events

    def _told(self, db: sqlite3.Connection, run: str) -> Run:
        try:
            return fold(self._log(db, run))
        except StoreError as error:
            return Run(id=run, task="", workflow={}, status="unreadable", error=str(error))

    def _not_found(self, run: str) -> RunNotFound:
        return RunNotFound(f"{self.path}: no run {clean(run)!r} in this store; `stretto runs` lists them")

    def _damaged(self, run: str, how: str) -> StoreError:
        return StoreError(
            f"{self.path}: the log of run {run} is damaged ({how}); other runs are not concerned, run its task again"
        )
