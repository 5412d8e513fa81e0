"""Reading a store, and the right to carry a run."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from stretto.errors import RunNotFound, StoreError
from stretto.events import AnyEvent
from stretto.fold import fold
from stretto.ground.text import clean
from stretto.runs import Run
from stretto.store import carriers, late
from stretto.store.connecting import connect
from stretto.store.database import Database
from stretto.store.listing import LAST_LETTER, Wanted, listed
from stretto.store.locations import Location, Server
from stretto.store.logs import Recorded, events_of, not_found, records_of
from stretto.store.schema import PATIENCE, explain
from stretto.store.summary import Standing, Summary
from stretto.types import Reply, Request

_SHORT = 8  # letters of an id that are told where there is little room


class Record(msgspec.Struct, frozen=True):
    """What was asked and what came back, for one fingerprint of a run."""

    request: Request | None
    reply: Reply | None


class Store:
    """Everything there is to read in one store file; each question opens and closes its own connection.

    `patience`: seconds to wait while another program holds the file, before `StoreLocked` is raised. `tell` is called
    with a line for every record that is damaged; such a record counts as not there.
    """

    def __init__(
        self, location: Location, patience: float = PATIENCE, tell: Callable[[str], None] | None = None
    ) -> None:
        self.location = location
        self._patience = patience
        self._tell = tell

    def check(self, run: str) -> None:
        """The store can be read and holds this run; raises `RunNotFound` or `StoreError` if not."""
        with self._reading(clean(run)) as db:
            if not db.execute("SELECT 1 FROM events WHERE run = ? LIMIT 1", (clean(run),)).fetchone():
                raise not_found(self.location, run)

    def has(self, run: str) -> bool:
        """Whether the store holds this run."""
        with self._reading(run) as db:
            return db.execute("SELECT 1 FROM events WHERE run = ? LIMIT 1", (run,)).fetchone() is not None

    def events(self, run: str) -> list[AnyEvent]:
        """The log of a run, oldest first; raises `RunNotFound`, or `StoreError` if a part of the log is damaged."""
        with self._reading(run) as db:
            return events_of(db, self.location, run)

    def run(self, run: str) -> Run:
        """A run as its events tell it."""
        return fold(self.events(run))

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first; one whose log is damaged is `unreadable` and hides no other."""
        with self._reading() as db:
            rows = db.execute("SELECT run FROM runs ORDER BY rowid DESC LIMIT ?", (limit,)).fetchall()
            return [self._told(db, run) for (run,) in rows]

    def has_ended(self, run: str) -> bool:
        """Whether its last execution is over, as the list of runs says: one that was killed in it is not."""
        with self._reading() as db:
            row = db.execute("SELECT status FROM runs WHERE run = ?", (run,)).fetchone()
            return row is not None and row[0] != "running"

    def is_imported(self, run: str) -> bool:
        """Whether a run came from a file, so that somebody else may have written what it says."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM imports WHERE run = ?", (run,)).fetchone() is not None

    def mark_imported(self, run: str) -> None:
        """Take note that what a run says is, in part, from one that came from a file."""
        with closing(connect(self.location, patience=self._patience)) as db:
            try:
                db.execute("INSERT INTO imports VALUES (?) ON CONFLICT (run) DO NOTHING", (run,))
            except sqlite3.Error as error:
                raise explain(self.location, error) from error

    def listing(self, wanted: Wanted | None = None) -> list[Summary]:
        """The wanted runs in a few words each, newest first; without a wish, the newest 20."""
        with self._reading() as db:
            return listed(db, self.location, wanted or Wanted())

    def find(self, prefix: str) -> str:
        """The id of the one run that begins with these letters, in either case; if none does, that ends with them."""
        letters = clean(prefix).upper()
        waiting = (run for run in late.those_with(self.location) if run.startswith(letters) or run.endswith(letters))
        with self._reading(next(waiting, "")) as db:
            count, some = _ids(db, "run BETWEEN ? AND ?", letters, letters + LAST_LETTER)
            if not count:
                count, some = _ids(db, "substr(run, length(run) - ?) = ?", len(letters) - 1, letters)
            if not count and db.execute("SELECT 1 FROM events WHERE run = ?", (letters,)).fetchone():
                return letters  # its line in the list of runs is lost
        if not count:
            raise not_found(self.location, prefix)
        if count > 1:
            named = ", ".join(some) + (", …" if count > len(some) else "")
            raise RunNotFound(f"{self.location}: {prefix!r} fits {count} runs ({named}); write more of the id")
        return some[0]

    def short_ids(self, runs: Sequence[str]) -> dict[str, str]:
        """For each of these runs so much of the end of its id, eight letters at least, that `find` finds no other."""
        found, length = dict[str, str](), _SHORT
        with self._reading() as db:
            while left := [run for run in runs if run not in found]:
                ends = "SELECT substr(run, length(run) - ?) FROM runs GROUP BY 1 HAVING count(*) > 1"
                shared = {end for (end,) in db.execute(ends, (length - 1,))}
                for run in left:
                    end = run[-length:]
                    others = db.execute(
                        "SELECT 1 FROM runs WHERE run BETWEEN ? AND ? LIMIT 1", (end, end + LAST_LETTER)
                    )
                    if length >= len(run) or (end not in shared and not others.fetchone()):
                        found[run] = end
                length *= 2
        return found

    def records(self, run: str, only: Collection[str] | None = None) -> dict[str, Record]:
        """Requests and replies of a run by fingerprint, or `only` these; one that is damaged is told, and not there."""
        found: dict[str, Record] = {}
        with self._reading(run) as db:
            for row in self._whole_records(db, run, only):
                before = found.get(row.fingerprint, Record(None, None))
                found[row.fingerprint] = Record(row.request or before.request, row.reply or before.reply)
        return found

    def replies(self, run: str) -> dict[str, list[Reply]]:
        """The complete replies of a run by fingerprint, oldest first; one that is damaged is told, and not there."""
        replies: dict[str, list[Reply]] = {}
        with self._reading(run) as db:
            for row in self._whole_records(db, run):
                if row.reply is not None:
                    replies.setdefault(row.fingerprint, []).append(row.reply)
        return replies

    @contextmanager
    def carrying(self, run: str) -> Iterator[None]:
        """Only one carrier at a time is inside, for one run; a dead one is not inside. Raises `RunBusy`."""
        with carriers.carrying(self.location, run, self._patience):
            yield

    def is_carried(self, run: str) -> bool:
        """Whether somebody is carrying this run right now; what a dead carrier left is cleared away."""
        with self._reading() as db:
            return carriers.is_carried(db, self.location, run)

    def queued(self) -> int:
        """How many runs wait for a worker; raises `StoreError` if nobody can know."""
        with self._reading() as db:
            if not isinstance(self.location, Server):
                return 0
            return int(db.execute("SELECT count(*) FROM queued").fetchone()[0])

    def is_queued(self, run: str) -> bool:
        """Whether a run waits for a worker, which may go on with one that was interrupted."""
        with self._reading() as db:
            return carriers.is_queued(db, self.location, run)

    def is_awaited(self, run: str) -> bool:
        """Whether a run goes on by itself: somebody carries it, or is to, or its plan waits for approval."""
        with self._reading() as db:
            return carriers.goes_on(db, self.location, run) or carriers.is_queued(db, self.location, run)

    def standing(self, run: Run[Any]) -> Standing:
        """The status of one of its runs, as lists tell it: one that is carried by nobody was killed, or is queued."""
        if run.status == "finished":
            return run.status
        with self._reading() as db:
            if carriers.is_queued(db, self.location, run.id):
                return "queued"
            killed = run.status == "running" and not carriers.goes_on(db, self.location, run.id)
        return "killed" if killed else run.status

    @contextmanager
    def _reading(self, run: str = "") -> Iterator[Database]:
        """A connection for one question, about one run maybe; what goes wrong names the file."""
        carriers.take_in_all(self.location, self._patience, run)
        with closing(connect(self.location, create=False, patience=self._patience)) as db:
            try:
                yield db
            except sqlite3.Error as error:
                raise explain(self.location, error) from error

    def _whole_records(self, db: Database, run: str, only: Collection[str] | None = None) -> Iterator[Recorded]:
        for row in records_of(db, run, only):
            if row.whole:
                yield row
            elif self._tell is not None:
                self._tell(
                    f"{self.location}: what was recorded with event {row.seq} of run {run} is damaged, and counts as "
                    "not there"
                )

    def _told(self, db: Database, run: str) -> Run:
        try:
            return fold(events_of(db, self.location, run))
        except StoreError as error:
            return Run(id=run, task="", workflow={}, status="unreadable", error=str(error))


def _ids(db: Database, which: str, *values: str | int) -> tuple[int, list[str]]:
    """How many runs fit, and the newest three of them."""
    (count,) = db.execute(f"SELECT count(*) FROM runs WHERE {which}", values).fetchone()  # noqa: S608 - our own words
    some = db.execute(f"SELECT run FROM runs WHERE {which} ORDER BY rowid DESC LIMIT 3", values)  # noqa: S608
    return count, [run for (run,) in some]
