"""Which process carries a run of a file, as that itself says: under whatever name, and in a copy, it says the same.

What is written there is believed for as long as that process lives; so a killed one is in nobody's way, and a stopped
one keeps its run. Processes that cannot be seen from here (another container's, or where there is no /proc) are told by
a lock that the system holds for them. One connection and one lock serve all runs of a thread: a process that carries
hundreds must not run out of file descriptors.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout

from stretto.errors import StoreLocked
from stretto.store import late
from stretto.store.database import busy, transaction
from stretto.store.schema import beside, connect, explain, keep_private

_PROC = Path("/proc")
_numbers = count()
_ours: set[str] = set()
"""What this process is carrying, each with a number of its own."""


@contextmanager
def held(store: Path, name: str) -> Iterator[bool]:
    """Hold the lock of this name, beside the store; False if somebody else does. A dead one does not."""
    folder = _folder(store)
    lock = FileLock(folder / name, mode=0o600)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        keep_private(folder)
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise explain(store, error) from error
    try:
        yield True
    finally:
        # While it is still held: whoever has it open by now sees that it is gone, and does not take it.
        (folder / name).unlink(missing_ok=True)
        lock.release()


def is_held(store: Path, name: str) -> bool:
    """Whether somebody holds the lock of this name right now; what a dead one left is cleared away."""
    if not (_folder(store) / name).exists():
        return False
    with held(store, name) as free:
        return not free


def any_held(store: Path) -> bool:
    """Whether somebody carries any run of this store right now."""
    try:
        names = [entry.name for entry in _folder(store).iterdir()]
    except FileNotFoundError:
        return False
    return any(is_held(store, name) for name in names)


def _folder(store: Path) -> Path:
    return beside(store, ".locks")


class Presence:
    """The place of one thread at a store, while it carries any run of it: a connection, and a lock that shows it."""

    def __init__(self, path: Path, patience: float) -> None:
        self.runs = 0
        self._path = path
        self._lock = f"{os.getpid()}-{token_hex(4)}"
        with ExitStack() as stack:
            self._db = stack.enter_context(closing(connect(path, patience=patience)))
            # Often in an event loop: it waits for no disk, and moves nothing out of the write-ahead log.
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            stack.enter_context(held(path, self._lock))
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Carry nothing any more."""
        self._stack.close()

    def claim(self, run: str, patience: float) -> str:
        """Carry this run, and return what the store says of that; raises `RunBusy`."""
        db = self._db
        db.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        owner = f"{_this_process()} {self._lock}/{next(_numbers)}"
        waits = late.waits(self._path, run)
        try:
            # Who carries a run matters as long as a process lives, so after a failure of the power it may be lost.
            db.execute(f"PRAGMA synchronous = {'FULL' if waits else 'NORMAL'}")
            with transaction(db):
                late.write(db, self._path, run)  # it may say that its carrier has left
                row = db.execute("SELECT owner FROM carriers WHERE run = ?", (run,)).fetchone()
                if row is not None and lives(self._path, str(row[0])):
                    raise busy(run)
                db.execute("INSERT OR REPLACE INTO carriers VALUES (?, ?)", (run, owner))
        except sqlite3.Error as error:
            raise explain(self._path, error) from error
        if waits:
            late.clear(self._path, run)
        _ours.add(owner)
        return owner

    def leave(self, run: str, owner: str) -> None:
        """Carry it no longer."""
        _ours.discard(owner)
        try:
            self._db.execute("DELETE FROM carriers WHERE run = ? AND owner = ?", (run, owner))
        except sqlite3.Error as error:
            told = explain(self._path, error)
            if not isinstance(told, StoreLocked):
                raise told from error
            late.left(self._path, run, owner)


def lives(path: Path, owner: str) -> bool:
    """Whether an owner is at work, as far as it can be seen from here."""
    process, _, mark = owner.rpartition(" ")
    name = mark.partition("/")[0]
    if process == _this_process():
        return owner in _ours
    try:
        boot, space, number, _ = process.split(" ")
        if (boot, space) != _world():
            return is_held(path, name)
    except (ValueError, OSError):
        return is_held(path, name)
    try:
        if _process(number) == process:
            return True
    except OSError:
        pass  # there is no such process
    is_held(path, name)  # it left that
    return False


def _this_process() -> str:
    """What no other process is called, on no other machine and at no other time; a forked one is another."""
    return _this(os.getpid())


@cache
def _this(number: int) -> str:
    try:
        return _process(str(number))
    except OSError:
        return f"- - {number} -"  # nobody else can look for it


if hasattr(os, "register_at_fork"):  # a child may have the same number, in a space of its own
    os.register_at_fork(after_in_child=_this.cache_clear)


def _process(number: str) -> str:
    """A process by its number and the moment it began, for numbers are given again; `OSError` if it is over."""
    state, *facts = (_PROC / number / "stat").read_text().rpartition(")")[2].split()
    if state in "ZX":  # it is over, and only its parent has not asked yet
        raise ProcessLookupError(number)
    return " ".join((*_world(), number, facts[18]))


def _world() -> tuple[str, str]:
    """Where a number means a process: since this start of the machine, among the processes that see each other."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip(), str((_PROC / "self/ns/pid").readlink())
