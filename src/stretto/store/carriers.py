"""Which process carries a run, as the store itself says: under whatever name, and in a copy, the file says the same.

A lock file alone would not do: another name of the store has another one, and whoever clears up its folder clears it
away. What is written here is believed for as long as that process lives; so a killed one is in nobody's way, and a
stopped one keeps its run. Processes that cannot be seen from here (another container's, or where there is no /proc) are
told by the lock file, which the system holds (`stretto.store.lock`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from stretto.errors import RunBusy, StoreError, StoreLocked
from stretto.store import late, lock
from stretto.store.schema import GLANCE, PATIENCE, connect, explain

_PROC = Path("/proc")
_numbers = count()
_ours: set[str] = set()
"""What this process is carrying, each with a number of its own."""


@contextmanager
def carrying(path: Path, run: str, patience: float = PATIENCE) -> Iterator[None]:
    """Only one at a time is inside, for one run of a store; a dead one is not inside. Raises `RunBusy`."""
    with closing(connect(path, patience=patience)) as db, lock.held(path, run):
        try:
            late.take_in(db, path, run)  # it may say that its carrier has left
            owner = _claim(db, run)
        except sqlite3.Error as error:
            raise explain(path, error) from error
        _ours.add(owner)
        try:
            yield
        finally:
            _ours.discard(owner)
            _leave(db, path, run, owner)


def is_carried(db: sqlite3.Connection, path: Path, run: str) -> bool:
    """Whether somebody is carrying this run right now; what a dead carrier left is cleared away."""
    return lock.is_held(path, run) or _lives(_owner(db, run))


def take_in_all(path: Path, patience: float = PATIENCE, run: str = "") -> None:
    """Write what was put by beside a store into it, of all runs that nobody carries, if it can be written just now.

    Of `run`, which somebody asks for, it must be, or less would be told of it than was shown: raises `StoreError`.
    """
    for each in late.those_with(path):
        try:
            # Whoever carries it does this; and who reads a store that is held, or cannot be written, reads on.
            with closing(connect(path, patience=patience if each == run else GLANCE)) as db:
                if not is_carried(db, path, each):
                    with lock.held(path, each):
                        late.take_in(db, path, each)
        except RunBusy:
            pass
        except (StoreError, sqlite3.Error) as error:
            if each == run:
                raise explain(path, error) if isinstance(error, sqlite3.Error) else error from error


def _claim(db: sqlite3.Connection, run: str) -> str:
    db.execute("BEGIN IMMEDIATE")  # what it does not come to the end of is undone when the connection is closed
    if _lives(_owner(db, run)):
        raise lock.busy(run)
    owner = f"{_this_process()} {next(_numbers)}"
    db.execute("INSERT OR REPLACE INTO carriers VALUES (?, ?)", (run, owner))
    db.execute("COMMIT")
    return owner


def _leave(db: sqlite3.Connection, path: Path, run: str, owner: str) -> None:
    try:
        db.execute("DELETE FROM carriers WHERE run = ? AND owner = ?", (run, owner))
    except sqlite3.Error as error:
        told = explain(path, error)
        if not isinstance(told, StoreLocked):
            raise told from error
        late.left(path, run, owner)


def _owner(db: sqlite3.Connection, run: str) -> str:
    row = db.execute("SELECT owner FROM carriers WHERE run = ?", (run,)).fetchone()
    return str(row[0]) if row else ""


def _lives(owner: str) -> bool:
    """Whether an owner is at work, as far as it can be seen from here."""
    process, _, _ = owner.rpartition(" ")
    if process == _this_process():
        return owner in _ours
    try:
        boot, space, number, _ = process.split(" ")
        return (boot, space) == _world() and _process(number) == process
    except (ValueError, OSError):  # there is no such process
        return False


def _this_process() -> str:
    """What no other process is called, on no other machine and at no other time; a forked one is another."""
    try:
        return _process(str(os.getpid()))
    except OSError:
        return f"- - {os.getpid()} -"  # nobody else can look for it


def _process(number: str) -> str:
    """A process by its number and the moment it began, for numbers are given again; `OSError` if it is over."""
    state, *facts = (_PROC / number / "stat").read_text().rpartition(")")[2].split()
    if state in "ZX":  # it is over, and only its parent has not asked yet
        raise ProcessLookupError(number)
    return " ".join((*_world(), number, facts[18]))


def _world() -> tuple[str, str]:
    """Where a number means a process: since this start of the machine, among the processes that see each other."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip(), str((_PROC / "self/ns/pid").readlink())
