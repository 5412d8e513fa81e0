"""The form of a store in PostgreSQL: the tables of a store file, in a schema of their own, and making them."""

import re

from stretto.errors import NoStore, StoreError
from stretto.store import tables
from stretto.store.database import Database, transaction
from stretto.store.locations import Server

SCHEMA = "stretto"
CHANNEL = "stretto"
"""Where it is told which runs have new events, or are carried by nobody any more: a notification is `RUN[ SEQ]`."""

GONE = frozenset({"42P01", "3F000"})
"""What PostgreSQL says where there is no such table, or schema."""

_TYPES = {"INTEGER": "BIGINT", "BLOB": "BYTEA", "REAL": "DOUBLE PRECISION", " WITHOUT ROWID": ""}
_ROWID = "    rowid BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE"
"""What SQLite has by itself: the order in which rows came."""

_prepared: set[Server] = set()


def _here(table: str) -> str:
    """A table of a store file as PostgreSQL has it; ids and times are sorted by their letters, in whatever language."""
    for there, here in _TYPES.items():
        table = table.replace(there, here)
    return re.sub(r"\b(run|started_at|last_at)(\s+)TEXT", r'\1\2TEXT COLLATE "C"', table)


EVENTS = _here(tables.EVENTS).replace("    PRIMARY KEY", f"{_ROWID},\n    PRIMARY KEY")

REPLIES = "CREATE INDEX replies ON events (fingerprint, rowid) WHERE reply IS NOT NULL"

RUNS = _here(tables.RUNS).replace("\n)", f",\n{_ROWID}\n)")

PRESENCES = """
CREATE TABLE presences (
    name TEXT PRIMARY KEY,
    who  TEXT NOT NULL,
    beat TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
)
"""
# Who carries runs, and when they last said that they are at work; see `stretto.store.postgres.presence`.

QUEUED = 'CREATE TABLE queued (run TEXT COLLATE "C" PRIMARY KEY)'
# Runs that wait for a worker.

PROPOSALS = """
CREATE TABLE proposals (
    run      TEXT COLLATE "C" PRIMARY KEY,
    proposal BYTEA NOT NULL,
    decision BYTEA
)
"""
# Plans that wait for approval, whose runs nobody carries meanwhile; and what was decided, until somebody goes on.

ORDERS = """
CREATE TABLE orders (
    id      TEXT PRIMARY KEY,
    said    BYTEA NOT NULL,
    taken   BOOLEAN NOT NULL DEFAULT false,
    outcome TEXT
)
"""
# What whoever carries a run is to do about one of its subtasks; see `stretto.cluster.orders`.

IDEMPOTENCY = "CREATE TABLE idempotency (key TEXT PRIMARY KEY, digest TEXT NOT NULL, run TEXT NOT NULL)"

FORM = "CREATE TABLE form (version BIGINT NOT NULL)"

TABLES = (
    EVENTS,
    REPLIES,
    RUNS,
    *map(_here, (tables.IMPORTS, tables.MODELS, tables.CARRIERS)),
    PRESENCES,
    QUEUED,
    PROPOSALS,
    ORDERS,
    IDEMPOTENCY,
    _here(tables.ASIDE),
    FORM,
    f"INSERT INTO form VALUES ({tables.VERSION})",  # noqa: S608 - our own number
)


def prepare(db: Database, server: Server, *, create: bool) -> None:
    """See that the tables are there, and that this program knows their form."""
    if server in _prepared:
        return
    form = _form(db)
    if not form and not create:
        raise NoStore(
            f"{server}: there is no run store in this database yet; run a task first, or name another (--store)"
        )
    if form > tables.VERSION:
        raise StoreError(
            f"{server}: this store was written by a newer Stretto (format {form}, this one reads {tables.VERSION}); "
            "upgrade Stretto, or name another with --store"
        )
    if 0 < form < tables.VERSION:
        raise StoreError(
            f"{server}: this store was written by an earlier Stretto (format {form}, this one reads {tables.VERSION}); "
            "export its runs with that one, and import them into another database (--store)"
        )
    if not form:
        _make(db)
    _prepared.add(server)


def _form(db: Database) -> int:
    """The version of the tables' form, 0 if there are none."""
    # Not `to_regclass`: what it remembers may be of before another process has made them.
    if not db.execute("SELECT 1 FROM pg_tables WHERE schemaname = ? AND tablename = 'form'", (SCHEMA,)).fetchone():
        return 0
    return int(db.execute("SELECT max(version) FROM form").fetchone()[0])


def _make(db: Database) -> None:
    """Make the tables, in one transaction; only one at a time is at it."""
    with transaction(db):
        db.execute("SELECT pg_advisory_xact_lock(hashtext(?))", (SCHEMA,))
        if not _form(db):
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for table in TABLES:
                db.execute(table)


def unprepared(server: Server) -> None:
    """Look once more whether its tables are there."""
    _prepared.discard(server)
