"""Locks that die with their process: by one each process shows those that cannot see it that it lives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stretto.store.schema import beside, explain, keep_private


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
