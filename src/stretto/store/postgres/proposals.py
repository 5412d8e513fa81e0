"""Plans that wait for approval, and what was decided about them, on whichever machine."""

from contextlib import closing

from stretto.store.connecting import connect
from stretto.store.locations import Server

_KEEP = """
INSERT INTO proposals (run, proposal) VALUES (?, ?)
ON CONFLICT (run) DO UPDATE SET proposal = excluded.proposal, decision = NULL
"""
_DECIDE = "UPDATE proposals SET decision = ? WHERE run = ? AND decision IS NULL"
_TAKE = "DELETE FROM proposals WHERE run = ? AND decision IS NOT NULL RETURNING decision"


def keep(server: Server, run: str, proposal: bytes) -> None:
    """A plan of this run waits, with its forecast."""
    with closing(connect(server)) as db:
        db.execute(_KEEP, (run, proposal))


def waiting(server: Server, run: str) -> bytes | None:
    """The proposal of a run that waits to be decided about."""
    with closing(connect(server)) as db:
        row = db.execute("SELECT proposal FROM proposals WHERE run = ? AND decision IS NULL", (run,)).fetchone()
    return bytes(row[0]) if row else None


def decide(server: Server, run: str, decision: bytes) -> bool:
    """Keep what is decided; False if nothing waits."""
    with closing(connect(server)) as db:
        return db.execute(_DECIDE, (decision, run)).rowcount > 0


def is_decided(server: Server, run: str) -> bool:
    """Whether something was decided that nobody has taken yet."""
    with closing(connect(server)) as db:
        row = db.execute("SELECT 1 FROM proposals WHERE run = ? AND decision IS NOT NULL", (run,)).fetchone()
    return row is not None


def take(server: Server, run: str) -> bytes | None:
    """What was decided, which is then kept no longer."""
    with closing(connect(server)) as db:
        row = db.execute(_TAKE, (run,)).fetchone()
    return bytes(row[0]) if row else None
