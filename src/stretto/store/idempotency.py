"""Keys that clients give their requests, so that one that is sent again begins no second run."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from stretto.store.connecting import connect
from stretto.store.database import Database
from stretto.store.locations import Location
from stretto.store.schema import PATIENCE, explain


def claim(location: Location, key: str, digest: str, run: str, patience: float = PATIENCE) -> tuple[str, str]:
    """Have a key stand for a run and what was asked then (`digest`); the run and digest that it stands for."""
    with _writing(location, patience) as db:
        db.execute("INSERT INTO idempotency VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", (key, digest, run))
        found = db.execute("SELECT run, digest FROM idempotency WHERE key = ?", (key,)).fetchone()
    return str(found[0]), str(found[1])


def release(location: Location, key: str, run: str, patience: float = PATIENCE) -> None:
    """A key stands no longer for this run, which was never begun."""
    with _writing(location, patience) as db:
        db.execute("DELETE FROM idempotency WHERE key = ? AND run = ?", (key, run))


@contextmanager
def _writing(location: Location, patience: float) -> Iterator[Database]:
    with closing(connect(location, patience=patience)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise explain(location, error) from error
