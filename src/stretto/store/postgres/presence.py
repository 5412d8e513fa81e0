"""Which process carries a run of a store in PostgreSQL, wherever that process is.

Each thread that carries runs holds an advisory lock of its session, which goes with its connection: a killed process is
in nobody's way at once. And it says every two seconds that it is at work, so that one which stands still, or cannot be
reached, is in nobody's way after ten. Who takes a run over writes its own name at it, in one transaction; whatever is
written into a log afterwards must be written under that name (`stretto.store.postgres.sink`).
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from secrets import token_hex

from stretto.errors import StoreError, StoreLocked
from stretto.store.database import Database, busy, transaction
from stretto.store.locations import Server
from stretto.store.postgres.sessions import Session, session
from stretto.store.postgres.tables import CHANNEL

_EACH, _STILL, _BEGUN = 2.0, 10, 3
"""Seconds between two beats; without one, after which somebody counts as gone; and since the server's start, in which
nobody does: its locks went with it, and everyone has to come back first."""
_LOOK = 0.5  # seconds in which a lost connection is noticed
_numbers = count()

_LIVES = """
SELECT pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => ?) OR (
    EXISTS (
        SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (classid::bigint << 32) | objid::bigint = ?
    )
    AND coalesce((SELECT beat > clock_timestamp() - make_interval(secs => ?) FROM presences WHERE name = ?), false)
)
"""
_BEAT = """
INSERT INTO presences (name, who) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET beat = clock_timestamp()
"""

_CLAIM = "INSERT INTO carriers VALUES (?, ?) ON CONFLICT (run) DO NOTHING"
_LEAVE = """
WITH gone AS (DELETE FROM carriers WHERE run = ? AND owner = ? RETURNING run) SELECT pg_notify(?, run) FROM gone
"""

_FORGET = (
    "DELETE FROM presences WHERE beat < clock_timestamp() - interval '7 days'",
    "DELETE FROM carriers WHERE split_part(owner, '/', 1) NOT IN (SELECT name FROM presences)",
)

owners: dict[tuple[Server, str], str] = {}
"""Under which name this process carries a run."""


class Presence:
    """The place of one thread at a store, while it carries any run of it: a session with a lock that shows it."""

    def __init__(self, server: Server, patience: float) -> None:
        self.runs = 0
        self._server = server
        self._name = token_hex(8)
        self._who = f"{socket.gethostname()} {os.getpid()}"
        self._left: list[tuple[str, str]] = []  # what could not be said yet
        self._session = threading.Lock()
        self._db = self._present(patience)
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="stretto-presence", daemon=True)
        self._keeper.start()

    def claim(self, run: str, patience: float) -> str:
        """Carry this run, and return under which name; raises `RunBusy`."""
        owner = f"{self._name}/{next(_numbers)}"
        with self._using(patience) as db, transaction(db):
            while not db.execute(_CLAIM, (run, owner)).rowcount:
                row = db.execute("SELECT owner FROM carriers WHERE run = ? FOR UPDATE", (run,)).fetchone()
                if row is None:
                    continue  # it was left in between
                if lives(db, row[0]):
                    raise busy(run)
                db.execute("UPDATE carriers SET owner = ? WHERE run = ?", (owner, run))
                break
            db.execute("DELETE FROM queued WHERE run = ?", (run,))
            db.execute("DELETE FROM proposals WHERE run = ? AND decision IS NULL", (run,))  # it is asked about anew
        owners[self._server, run] = owner
        return owner

    def leave(self, run: str, owner: str) -> None:
        """Carry it no longer; if the server is away, it is told when it is back."""
        owners.pop((self._server, run), None)
        self._left.append((run, owner))
        with suppress(StoreLocked), self._using(_LOOK):
            pass

    def close(self) -> None:
        """Carry nothing any more."""
        self._over.set()
        self._keeper.join()
        with suppress(StoreError):
            self._db.execute("DELETE FROM presences WHERE name = ?", (self._name,))
        self._db.raw.close()  # and the lock with it

    def _present(self, patience: float) -> Session:
        """A session that holds the lock."""
        db = session(self._server, create=True, patience=patience)
        if not db.execute("SELECT pg_try_advisory_lock(?)", (_number(self._name),)).fetchone()[0]:
            db.close()
            raise StoreLocked(f"{self._server}: the server does not know yet that an earlier connection is gone")
        db.execute(_BEAT, (self._name, self._who))
        return db

    @contextmanager
    def _using(self, patience: float) -> Iterator[Session]:
        """The session, come back if it was lost, in which everything was said that was to be."""
        if not self._session.acquire(timeout=max(patience, 0.05)):
            raise StoreLocked(f"{self._server}: the connection to the database is lost, and being made again")
        try:
            if self._db.raw.closed:
                self._db = self._present(patience)
            while self._left:
                self._db.execute(_LEAVE, (*self._left[0], CHANNEL))
                del self._left[0]
            yield self._db
        finally:
            self._session.release()

    def _keep(self) -> None:
        """Say every two seconds that somebody is at work here, and come back where the connection was lost."""
        due = 0.0
        while not self._over.wait(_LOOK):
            due -= _LOOK
            with suppress(StoreError), self._using(_EACH) as db:  # else it is tried again, and whoever writes says so
                if due <= 0 or db.has_ended:
                    db.execute(_BEAT, (self._name, self._who))
                    due = _EACH


def lives(db: Database, owner: str) -> bool:
    """Whether an owner is at work, as far as the server knows."""
    name = owner.partition("/")[0]
    (living,) = db.execute(_LIVES, (_BEGUN, _number(name), _STILL, name)).fetchone()
    return bool(living)


def forget(db: Database) -> None:
    """Drop what those have left who were killed, or are cut off, for days: they are known to be gone without it."""
    for statement in _FORGET:
        db.execute(statement)


def _number(name: str) -> int:
    """The lock of this name."""
    return int.from_bytes(bytes.fromhex(name), signed=True)
