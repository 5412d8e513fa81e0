"""The tables of a store file, and opening one with an error that helps."""

import errno
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from stretto.errors import StoreError, StoreLocked

VERSION = 1
PATIENCE = 30.0
"""Seconds to wait while another process writes."""
GLANCE = 0.1
"""Seconds to wait where an event loop is held up meanwhile."""

_APPLICATION_ID = 0x53545254  # "STRT", so that `file` and we know our own
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_TABLES = """
CREATE TABLE events (
    run         TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    body        BLOB NOT NULL,
    fingerprint TEXT,
    request     BLOB,
    reply       BLOB,
    PRIMARY KEY (run, seq)
);
CREATE INDEX run_starts ON events (run) WHERE kind = 'run_started';
"""
# What a call asked stands in the row of its `call_started`, what it was answered in that of its `call_finished`: so a
# reply and its event are one row, and a batch of events is one statement (see `stretto.store.writer`).


def connect(path: Path, *, create: bool = True, patience: float = PATIENCE) -> sqlite3.Connection:
    """A connection to the store at `path`, made if it is not there; `StoreError` says what is wrong with it."""
    try:
        if create:
            _make_private(path)
        elif not path.exists():
            raise _not_there(path)
        # Autocommit: transactions are begun and ended by name, so a batch is exactly one. `rw`: SQLite itself would
        # make a missing file readable for everyone.
        uri = f"{path.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path, create=create, patience=patience)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise explain(path, error) from error
    return db


def make_folder(path: Path) -> None:
    """The store's folder is there; a new one is open to its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _make_private(path: Path) -> None:
    """The file exists and only its owner can read it: it holds prompts and replies."""
    make_folder(path)
    # Never opened if it is there: closing any handle of a file drops every lock this process has on it, SQLite's too,
    # and another process would then remove the write-ahead log under us (https://sqlite.org/howtocorrupt.html, 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare(db: sqlite3.Connection, path: Path, *, create: bool, patience: float) -> None:
    """See whose file it is before anything in it is touched; fill an empty one."""
    if _is_empty(db, path):
        if not create:
            raise _not_there(path)
        _fill(db, path)
    if create:
        _write_ahead(db, time.monotonic() + patience)
        db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not on its way there


def _write_ahead(db: sqlite3.Connection, until: float) -> None:
    """Use a write-ahead log. Where two turn it on in a new file at once, SQLite refuses without waiting its time."""
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _is_empty(db: sqlite3.Connection, path: Path) -> bool:
    """Whether nothing is in the file yet; raises `StoreError` if it is not ours."""
    # In one statement, so that it is one state of the file, whoever else is filling it right now.
    owner, version, tables = db.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if owner == _APPLICATION_ID and version > VERSION:
        raise StoreError(
            f"{path}: this store was written by a newer Stretto (format {version}, this one reads {VERSION}); "
            "upgrade Stretto, or name another file with --store"
        )
    if owner != _APPLICATION_ID and (owner or version or tables):
        raise StoreError(f"{path}: a SQLite file, but not a Stretto store; name another file with --store")
    return not tables


def _fill(db: sqlite3.Connection, path: Path) -> None:
    db.execute("BEGIN IMMEDIATE")
    if _is_empty(db, path):  # another process may have been first
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _not_there(path: Path) -> StoreError:
    return StoreError(f"{path}: there is no run store here yet; run a task first, or name another with --store")


def explain(path: Path, error: Exception) -> StoreError:
    """The same error with the file's name and a remedy."""
    text = str(error)
    if "full" in text or "disk I/O" in text or (isinstance(error, OSError) and error.errno in _NO_ROOM):
        remedy = "the disk is full or failing; free some room, then `stretto resume` the run: nothing recorded is lost"
    elif isinstance(error, OSError) or "readonly" in text or "unable to open" in text:
        text = error.strerror or text if isinstance(error, OSError) else text
        remedy = "it cannot be written; check its permissions and folder, or name another file with --store"
    elif "not a database" in text or "malformed" in text:
        remedy = "this is not an intact SQLite file; move it away, or name another file with --store"
    elif "locked" in text:
        return StoreLocked(f"{path}: {text}: another program holds it locked; close that, then try again")
    else:
        remedy = "name another file with --store"
    return StoreError(f"{path}: {text}: {remedy}")
