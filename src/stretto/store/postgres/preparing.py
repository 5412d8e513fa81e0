"""The tables of a store in PostgreSQL: made where there are none, and refused where their form is another."""

from stretto.errors import NoStore, StoreError
from stretto.store.database import Database, transaction
from stretto.store.locations import Server
from stretto.store.postgres.tables import SCHEMA, TABLES
from stretto.store.tables import VERSION

GONE = frozenset({"42P01", "3F000"})
"""What PostgreSQL says where there is no such table, or schema."""

_prepared: set[Server] = set()


def prepare(db: Database, server: Server, *, create: bool) -> None:
    """See that the tables are there, and that this program knows their form."""
    if server in _prepared:
        return
    form = _form(db)
    if not form and not create:
        raise NoStore(
            f"{server}: there is no run store in this database yet; run a task first, or name another (--store)"
        )
    if form > VERSION:
        raise StoreError(
            f"{server}: this store was written by a newer Stretto (format {form}, this one reads {VERSION}); "
            "upgrade Stretto, or name another with --store"
        )
    if 0 < form < VERSION:
        raise StoreError(
            f"{server}: this store was written by an earlier Stretto (format {form}, this one reads {VERSION}); "
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
