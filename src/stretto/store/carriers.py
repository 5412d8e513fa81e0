"""Which process carries a run: one at a time, and a dead one is in nobody's way."""

import os
import sqlite3
import threading
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager
from typing import Protocol

from stretto.errors import RunBusy, StoreError
from stretto.store import late, presence
from stretto.store.connecting import connect, identity
from stretto.store.database import Database
from stretto.store.locations import Location, Server
from stretto.store.schema import GLANCE, PATIENCE, explain


class _Presence(Protocol):
    """The place of one thread at a store, while it carries any run of it."""

    runs: int

    def claim(self, run: str, patience: float) -> str:
        """Carry this run, and return what the store says of that; raises `RunBusy`."""
        ...

    def leave(self, run: str, owner: str) -> None:
        """Carry it no longer."""
        ...

    def close(self) -> None:
        """Carry nothing any more."""
        ...


_presences: dict[tuple[int, int, Hashable], _Presence] = {}
"""By process (a forked one has none), thread and file: SQLite's transactions belong to a connection."""


@contextmanager
def carrying(location: Location, run: str, patience: float = PATIENCE) -> Iterator[None]:
    """Only one at a time is inside, for one run of a store; a dead one is not inside. Raises `RunBusy`."""
    with _present(location, patience) as present:
        owner = present.claim(run, patience)
        try:
            yield
        finally:
            present.leave(run, owner)


@contextmanager
def _present(location: Location, patience: float) -> Iterator[_Presence]:
    """The place of this thread at a store."""
    here = os.getpid(), threading.get_ident()
    found = _presences.get((*here, identity(location)))
    if found is None:
        found = _presence(location, patience)
        _presences[*here, identity(location)] = found
    found.runs += 1
    try:
        yield found
    finally:
        found.runs -= 1
        if not found.runs:
            for place in [place for place, each in _presences.items() if each is found]:
                del _presences[place]
            found.close()


def _presence(location: Location, patience: float) -> _Presence:
    if isinstance(location, Server):
        from stretto.store.postgres import presence as there

        return there.Presence(location, patience)
    return presence.Presence(location, patience)


def is_carried(db: Database, location: Location, run: str) -> bool:
    """Whether somebody is carrying this run right now; what a dead carrier left is cleared away."""
    row = db.execute("SELECT owner FROM carriers WHERE run = ?", (run,)).fetchone()
    if row is None:
        return False
    if isinstance(location, Server):
        from stretto.store.postgres import presence as there

        return there.lives(db, str(row[0]))
    return presence.lives(location, str(row[0]))


def is_queued(db: Database, location: Location, run: str) -> bool:
    """Whether this run waits for a worker to carry it."""
    found = isinstance(location, Server) and db.execute("SELECT 1 FROM queued WHERE run = ?", (run,)).fetchone()
    return bool(found)


def goes_on(db: Database, location: Location, run: str) -> bool:
    """Whether somebody is carrying this run, or would be if its plan did not wait for approval."""
    if is_carried(db, location, run):
        return True
    if not isinstance(location, Server):
        return False
    return db.execute("SELECT 1 FROM proposals WHERE run = ?", (run,)).fetchone() is not None


def any_carried(location: Location) -> bool:
    """Whether somebody carries any run of this store right now."""
    if not isinstance(location, Server):
        return presence.any_held(location)
    with closing(connect(location, create=False)) as db:
        runs = db.execute("SELECT run FROM carriers").fetchall()
        return any(is_carried(db, location, run) for (run,) in runs)


def take_in_all(location: Location, patience: float = PATIENCE, run: str = "") -> None:
    """Write what was put by beside a store into it, of all runs that nobody carries, if it can be written just now.

    Of `run`, which somebody asks for, it must be, or less would be told of it than was shown: raises `StoreError`.
    """
    if isinstance(location, Server):
        return  # nothing is ever put by
    for each in late.those_with(location):
        try:
            # Whoever carries it does this; and who reads a store that is held, or cannot be written, reads on.
            wait = patience if each == run else GLANCE
            with closing(connect(location, patience=wait)) as db:
                carried = is_carried(db, location, each)
            if not carried:
                with carrying(location, each, wait):
                    pass
        except RunBusy:
            pass
        except (StoreError, sqlite3.Error) as error:
            if each == run:
                raise explain(location, error) if isinstance(error, sqlite3.Error) else error from error
