"""The tables of a store file, and opening one with an error that helps."""

import os
import sqlite3
from pathlib import Path

from stretto.errors import StoreError

VERSION = 1
_APPLICATION_ID = 0x53545254  # "STRT", so that `file` and we know our own

_TABLES = """
CREATE TABLE events (
    run  TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE INDEX run_starts ON events (run) WHERE kind = 'run_started';
CREATE TABLE records (
    run         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request     BLOB,
    reply       BLOB,
    PRIMARY KEY (run, fingerprint)
);
"""


def connect(path: Path, *, create: bool = True) -> sqlite3.Connection:
    """A connection to the store at `path`, made if it is not there; `StoreError` says what is wrong with it."""
    try:
        if create:
            _make_private(path)
        elif not path.exists():
            raise StoreError(f"{path}: there is no run store here yet; run a task first, or name another with --store")
        # Autocommit: transactions are begun and ended by name, so a batch is exactly one.
        db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path, create=create)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise explain(path, error) from error
    return db


def _make_private(path: Path) -> None:
    """The file exists and only its owner can read it: it holds prompts and replies."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare(db: sqlite3.Connection, path: Path, *, create: bool) -> None:
    if create:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not on its way there
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreError(
            f"{path}: this store was written by a newer Stretto (format {version}, this one reads {VERSION}); "
            "upgrade Stretto, or name another file with --store"
        )
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreError(f"{path}: a SQLite file, but not a Stretto store; name another file with --store")
    if create:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:  # another process may have been first
            for statement in _TABLES.split(";\n"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")


def explain(path: Path, error: Exception) -> StoreError:
    """The same error with the file's name and a remedy."""
    text = str(error)
    if isinstance(error, PermissionError) or "readonly" in text or "unable to open" in text:
        remedy = "it cannot be written; check its permissions and folder, or name another file with --store"
    elif "not a database" in text or "malformed" in text:
        remedy = "this is not an intact SQLite file; move it away, or name another file with --store"
    elif "full" in text or "disk I/O" in text:
        remedy = "the disk is full or failing; free some room, then `stretto resume` the run: nothing recorded is lost"
    elif "locked" in text:
        remedy = "another program holds it locked; close that, then `stretto resume` the run"
    else:
        remedy = "name another file with --store"
    return StoreError(f"{path}: {text}: {remedy}")
