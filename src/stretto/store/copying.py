"""A copy of a store while other processes write to it, by SQLite's own means (https://sqlite.org/backup.html)."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stretto.errors import StoreError, TaskError
from stretto.ground.ids import new_ulid
from stretto.store.carriers import take_in_all
from stretto.store.schema import PATIENCE, connect
from stretto.store.tables import APPLICATION_ID, VERSION


def copy(store: Path, target: Path, *, replace: bool = False, patience: float = PATIENCE) -> int:
    """Write a whole, checked copy of the store as it is at one moment to `target`; its size in bytes.

    Only its owner can read it. It is written beside and renamed: whoever is stopped leaves no half of one. An existing
    file is a `TaskError` unless `replace`; the store itself always is.
    """
    if target.exists():
        if target.is_dir():
            raise TaskError(f"{target}: a folder; name a file to copy the store to")
        if store.exists() and target.samefile(store):
            raise TaskError(f"{target}: this is the store itself; name another file to copy it to")
        if not target.is_file():  # a device would be replaced, not written to
            raise TaskError(f"{target}: no regular file; name one to copy the store to")
        if not replace:
            raise TaskError(f"{target}: exists already; name another file, or say --force to replace it")
    take_in_all(store, patience)
    with closing(connect(store, create=False, patience=patience)) as db, _beside(target) as part:
        try:
            with closing(sqlite3.connect(part, isolation_level=None)) as made:
                db.backup(made)  # in one step: a single snapshot, which holds up no writer
                made.execute("PRAGMA journal_mode = DELETE")  # one file, that can be read where nothing can be written
                _check(made, store)
            _settle(part, target, replace=replace)
        except FileExistsError as error:
            raise TaskError(f"{target}: exists by now; name another file, or say --force to replace it") from error
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{target}: {store} could not be copied to it: {error}; nothing is left of the copy, and nothing there "
                "was replaced. Free some room or name another file; if it is not that, `stretto doctor` looks into "
                "the store"
            ) from error
    return target.stat().st_size


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty file that only its owner can read, in the target's folder; gone in the end, unless it was renamed."""
    part = target.with_name(f".{target.name}.{new_ulid()}")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}; name another file") from error
    try:
        yield part
    finally:
        for left in (part, part.with_name(part.name + "-journal")):
            left.unlink(missing_ok=True)


def _check(made: sqlite3.Connection, store: Path) -> None:
    found = [line for (line,) in made.execute("PRAGMA integrity_check(3)")]
    marks = made.execute("PRAGMA application_id").fetchone() + made.execute("PRAGMA user_version").fetchone()
    if found != ["ok"] or marks != (APPLICATION_ID, VERSION):
        raise StoreError(
            f"{store}: the copy is not intact ({'; '.join(found)}), because the store is not; `stretto doctor` says "
            "what is lost. Nothing was written"
        )


def _settle(part: Path, target: Path, *, replace: bool) -> None:
    """On the disk, then under its name."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if replace:
        part.replace(target)
        return
    try:
        os.link(part, target)  # unlike a rename, this replaces nothing that came meanwhile
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP}:
            raise
        part.rename(target)  # a file system without links
