"""Which process carries a run, as the store itself says: under whatever name, and in a copy, the file says the same.

What is written there is believed for as long as that process lives; so a killed one is in nobody's way, and a stopped
one keeps its run. Processes that cannot be seen from here (another container's, or where there is no /proc) are told by
a lock that the system holds for them (`stretto.store.lock`). One connection and one lock serve all runs of a thread:
a process that carries hundreds must not run out of file descriptors.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from secrets import token_hex

from stretto.errors import RunBusy, StoreError, StoreLocked
from stretto.store import late, lock
from stretto.store.schema import GLANCE, PATIENCE, connect, explain, identity

_PROC = Path("/proc")
_numbers = count()
_ours: set[str] = set()
"""What this process is carrying, each with a number of its own."""


class _Presence:
    """The place of one thread at a store, while it carries any run of it: a connection, and a lock that shows it."""

    def __init__(self, path: Path, patience: float) -> None:
        self.runs = 0
        self._path = path
        self._lock = f"{os.getpid()}-{token_hex(4)}"
        with ExitStack() as stack:
            self._db = stack.enter_context(closing(connect(path, patience=patience)))
            stack.enter_context(lock.held(path, self._lock))
            self.close = stack.pop_all().close

    def claim(self, run: str, patience: float) -> str:
        """Carry this run, and return what the store says of that; raises `RunBusy`."""
        db = self._db
        db.execute(f"PRAGMA busy_timeout = {patience * 1000:.0f}")
        owner = f"{_this_process()} {self._lock}/{next(_numbers)}"
        try:
            db.execute("BEGIN IMMEDIATE")
            late.write(db, self._path, run)  # it may say that its carrier has left
            if is_carried(db, self._path, run):
                raise busy(run)
            db.execute("INSERT OR REPLACE INTO carriers VALUES (?, ?)", (run, owner))
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise explain(self._path, error) from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
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


_presences: dict[tuple[int, int, tuple[int, int] | None], _Presence] = {}
"""By process (a forked one has none), thread and file: SQLite's transactions belong to a connection."""


@contextmanager
def carrying(path: Path, run: str, patience: float = PATIENCE) -> Iterator[None]:
    """Only one at a time is inside, for one run of a store; a dead one is not inside. Raises `RunBusy`."""
    with _present(path, patience) as presence:
        owner = presence.claim(run, patience)
        try:
            yield
        finally:
            presence.leave(run, owner)


@contextmanager
def _present(path: Path, patience: float) -> Iterator[_Presence]:
    """The place of this thread at a store."""
    here = os.getpid(), threading.get_ident()
    presence = _presences.get((*here, identity(path)))
    if presence is None:
        presence = _Presence(path, patience)
        _presences[*here, identity(path)] = presence
    presence.runs += 1
    try:
        yield presence
    finally:
        presence.runs -= 1
        if not presence.runs:
            for place in [place for place, each in _presences.items() if each is presence]:
                del _presences[place]
            presence.close()


def is_carried(db: sqlite3.Connection, path: Path, run: str) -> bool:
    """Whether somebody is carrying this run right now; what a dead carrier left is cleared away."""
    row = db.execute("SELECT owner FROM carriers WHERE run = ?", (run,)).fetchone()
    return row is not None and _lives(path, str(row[0]))


def busy(run: str) -> RunBusy:
    """Somebody carries this run."""
    return RunBusy(
        f"run {run} is being carried already, by another process or by this one; wait until it ends, or stop it, then "
        "resume"
    )


def take_in_all(path: Path, patience: float = PATIENCE, run: str = "") -> None:
    """Write what was put by beside a store into it, of all runs that nobody carries, if it can be written just now.

    Of `run`, which somebody asks for, it must be, or less would be told of it than was shown: raises `StoreError`.
    """
    for each in late.those_with(path):
        try:
            # Whoever carries it does this; and who reads a store that is held, or cannot be written, reads on.
            wait = patience if each == run else GLANCE
            with closing(connect(path, patience=wait)) as db:
                carried = is_carried(db, path, each)
            if not carried:
                with carrying(path, each, wait):
                    pass
        except RunBusy:
            pass
        except (StoreError, sqlite3.Error) as error:
            if each == run:
                raise explain(path, error) if isinstance(error, sqlite3.Error) else error from error


def _lives(path: Path, owner: str) -> bool:
    """Whether an owner is at work, as far as it can be seen from here."""
    process, _, mark = owner.rpartition(" ")
    name = mark.partition("/")[0]
    if process == _this_process():
        return owner in _ours
    try:
        boot, space, number, _ = process.split(" ")
        if (boot, space) != _world():
            return lock.is_held(path, name)
    except (ValueError, OSError):
        return lock.is_held(path, name)
    try:
        if _process(number) == process:
            return True
    except OSError:
        pass  # there is no such process
    lock.is_held(path, name)  # it left that
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
