"""Keys that clients give their requests, so that one that is sent again begins no second run."""

from stretto.store.connecting import opened
from stretto.store.locations import Location
from stretto.store.schema import PATIENCE


def claim(location: Location, key: str, digest: str, run: str, patience: float = PATIENCE) -> tuple[str, str]:
    """Have a key stand for a run and what was asked then (`digest`); the run and digest that it stands for."""
    with opened(location, patience=patience) as db:
        db.execute("INSERT INTO idempotency VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", (key, digest, run))
        found = db.execute("SELECT run, digest FROM idempotency WHERE key = ?", (key,)).fetchone()
    return str(found[0]), str(found[1])


def release(location: Location, key: str, run: str, patience: float = PATIENCE) -> None:
    """A key stands no longer for this run, which was never begun."""
    with opened(location, patience=patience) as db:
        db.execute("DELETE FROM idempotency WHERE key = ? AND run = ?", (key, run))
