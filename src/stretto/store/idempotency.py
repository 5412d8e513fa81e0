"""Keys that clients give their requests, so that one that is sent again begins no second run."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stretto.store.schema import PATIENCE, connect, explain


def claim(path: Path, key: str, digest: str, run: str, patience: float = PATIENCE) -> tuple[str, str]:
    """Have a key stand for a run and what was asked then (`digest`); the run and digest that it stands for."""
    with _writing(path, patience) as db:
        db.execute("INSERT OR IGNORE INTO idempotency VALUES (?, ?, ?)", (key, digest, run))
        found = db.execute("SELECT run, digest FROM idempotency WHERE key = ?", (key,)).fetchone()
    return str(found[0]), str(found[1])


def release(path: Path, key: str, run: str, patience: float = PATIENCE) -> None:
    """A key stands no longer for this run, which was never begun."""
    with _writing(path, patience) as db:
        db.execute("DELETE FROM idempotency WHERE key = ? AND run = ?", (key, run))


@contextmanager
def _writing(path: Path, patience: float) -> Iterator[sqlite3.Connection]:
    with closing(connect(path, patience=patience)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise explain(path, error) from error
