"""The tables of a store file, and opening one with an error that helps."""

import errno
import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path

from stretto.errors import NoStore, StoreError, StoreLocked
from stretto.ground.files import resolved
from stretto.ground.text import one_line
from stretto.store.migration import migrate
from stretto.store.tables import APPLICATION_ID, TABLES, VERSION

PATIENCE = 30.0
"""Seconds to wait while another process writes."""
GLANCE = 0.1
"""Seconds to wait where an event loop is held up meanwhile."""

# A store is made of tables and indices. A trigger acts whenever something is written, and a view may stand where a
# table was; a view of another name is nobody's harm.
_WHOSE = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master),
    (SELECT type || ' ' || name FROM sqlite_master WHERE type = 'trigger' OR (type = 'view' AND
     lower(name) IN ('events', 'runs', 'imports', 'models', 'carriers', 'idempotency', 'aside')))
FROM pragma_application_id, pragma_user_version
"""


class File(sqlite3.Connection):
    """A connection to a store file, as `stretto.store.database.Database`."""

    each = sqlite3.Connection.execute  # its rows come one after the other anyway


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def connect(path: Path, *, create: bool = True, patience: float = PATIENCE) -> "File":
    """A connection to the store at `path`, made if it is not there; `StoreError` says what is wrong with it."""
    try:
        if create:
            _make_private(path)
        elif not path.exists():
            raise _not_there(path)
        _check_kind(path, written=create)
        # Autocommit: transactions are begun and ended by name, so a batch is exactly one. `rw`: SQLite itself would
        # make a missing file readable for everyone.
        uri = f"{path.absolute().as_uri()}?{'immutable=1' if not create and _is_still(path) else 'mode=rw'}"
        db = sqlite3.connect(
            uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False, factory=File
        )
        # A damaged text must not keep anyone from the others; its checksum tells.
        db.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            _prepare(db, path, create=create, patience=patience)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise explain(path, error) from error
    return db


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None if none has."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def beside(path: Path, ending: str) -> Path:
    """What belongs to a store and lies beside it, by the file's own name: a link to it leads to the same."""
    real = resolved(path)
    return real.with_name(real.name + ending)


def _make_private(path: Path) -> None:
    """The file exists and only its owner can read it: it holds prompts and replies."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Never opened if it is there: closing any handle of a file drops every lock this process has on it, SQLite's too,
    # and another process would then remove the write-ahead log under us (https://sqlite.org/howtocorrupt.html, 2.2).
    with suppress(FileExistsError):
        # Where a link leads to nothing yet, O_EXCL would say that something is there.
        os.close(os.open(resolved(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _check_kind(path: Path, *, written: bool) -> None:
    """Raise `StoreError` if this is no file, or has a second name: SQLite has a log for each, and mixes them up."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path}: a folder, pipe or device; name a file as the store (--store)")
    if written and found.st_nlink > 1:  # https://sqlite.org/howtocorrupt.html, 2.5
        raise StoreError(
            f"{path}: this file has another name, too (a hard link), and SQLite would spoil it if it were written under"
            " both; remove one, or make that a copy (`stretto backup`)"
        )


def keep_private(path: Path) -> None:
    """A file or folder of ours that was made by other means (`touch`, a copy) is its owner's only, too."""
    with suppress(FileNotFoundError):
        found = path.stat()
        if found.st_mode & 0o077 and found.st_uid == getattr(os, "getuid", lambda: None)():
            path.chmod(found.st_mode & 0o700)


def _is_still(path: Path) -> bool:
    """Whether nobody here can write into the store's folder, nor has: SQLite would want to, if only to read."""
    return not os.access(resolved(path).parent, os.W_OK) and not beside(path, "-wal").exists()


def _prepare(db: File, path: Path, *, create: bool, patience: float) -> None:
    """See whose file it is before anything in it is touched; fill an empty one, bring an older one up to date."""
    form = _form(db, path)
    if not form and not create:
        raise _not_there(path)
    if form != VERSION:
        _bring_up_to_date(db, path)
    if create:
        for name in ("", "-wal", "-shm"):
            keep_private(path.with_name(path.name + name))
        _write_ahead(db, time.monotonic() + patience)
        db.execute("PRAGMA cache_size = -512")  # kB: whoever only writes reads little twice (2 MB else, each)
        db.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not on its way there


def _write_ahead(db: File, until: float) -> None:
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


def _form(db: File, path: Path) -> int:
    """The version of the file's form, 0 if nothing is in it yet; raises `StoreError` if it is not ours."""
    # In one statement, so that it is one state of the file, whoever else is filling it right now.
    owner, version, tables, strange = db.execute(_WHOSE).fetchone()
    if owner == APPLICATION_ID and version > VERSION:
        raise StoreError(
            f"{path}: this store was written by a newer Stretto (format {version}, this one reads {VERSION}); "
            "upgrade Stretto, or name another file with --store"
        )
    if owner != APPLICATION_ID and (owner or version or tables):
        raise StoreError(f"{path}: a SQLite file, but not a Stretto store; name another file with --store")
    if strange:
        raise StoreError(
            f"{path}: it has the {one_line(strange)[:80]}, which is not Stretto's, and may change what is written or "
            "read; drop that, or name another file with --store"
        )
    if tables and version < 1:
        raise _not_intact(path, f"format {version} was never written")
    return int(version) if tables else 0


def _bring_up_to_date(db: File, path: Path) -> None:
    """Make the tables, or an older format's anew, in one transaction: whoever is killed in it changed nothing."""
    db.execute("BEGIN IMMEDIATE")
    form = _form(db, path)  # another process may have been first
    if 0 < form < VERSION:
        try:
            migrate(db, path, form)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise
            raise StoreError(
                f"{path}: this store has an older format and has to be brought up to date, but it cannot be written; "
                "check its permissions and folder, or name a copy of it with --store"
            ) from error
    elif not form:
        for table in TABLES:
            db.execute(table)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _not_there(path: Path) -> NoStore:
    return NoStore(f"{path}: there is no run store here yet; run a task first, or name another with --store")


def _not_intact(location: object, how: str) -> StoreError:
    return StoreError(
        f"{location}: {how}: this is not an intact SQLite file; move it away, or name another file with --store"
    )


def explain(location: object, error: Exception) -> StoreError:
    """The same error with the file's name and a remedy."""
    text = str(error)
    if "full" in text or "disk I/O" in text or (isinstance(error, OSError) and error.errno in _NO_ROOM):
        remedy = "the disk is full or failing; free some room, then `stretto resume` the run: nothing recorded is lost"
    elif isinstance(error, OSError) or "readonly" in text or "unable to open" in text:
        text = error.strerror or text if isinstance(error, OSError) else text
        remedy = "it cannot be written; check its permissions and folder, or name another file with --store"
    elif "not a database" in text or "malformed" in text:
        return _not_intact(location, text)
    elif "locked" in text or "busy" in text:
        return StoreLocked(f"{location}: {text}: another program holds it locked; close that, then try again")
    else:
        remedy = "name another file with --store"
    return StoreError(f"{location}: {text}: {remedy}")
