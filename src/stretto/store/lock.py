"""The lock by which exactly one process carries a run; it dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stretto.errors import RunBusy
from stretto.store.schema import beside, explain, keep_private


@contextmanager
def held(store: Path, run: str) -> Iterator[None]:
    """Only one at a time is inside, for one run of a store; a dead one is not inside. Raises `RunBusy`."""
    folder = _folder(store)
    lock = FileLock(folder / run, mode=0o600)
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        keep_private(folder)
        lock.acquire(blocking=False)
    except Timeout:
        raise busy(run) from None
    except OSError as error:
        raise explain(store, error) from error
    try:
        yield
    finally:
        # While it is still held: whoever has it open by now sees that it is gone, and does not take it.
        (folder / run).unlink(missing_ok=True)
        lock.release()


def busy(run: str) -> RunBusy:
    """Somebody carries this run."""
    return RunBusy(
        f"run {run} is being carried already, by another process or by this one; wait until it ends, or stop it, then "
        "resume"
    )


def is_held(store: Path, run: str) -> bool:
    """Whether somebody is inside right now; what a dead one left is cleared away."""
    if not (_folder(store) / run).exists():
        return False
    try:
        with held(store, run):
            return False
    except RunBusy:
        return True


def any_held(store: Path) -> bool:
    """Whether somebody carries any run of this store right now."""
    try:
        runs = [entry.name for entry in _folder(store).iterdir()]
    except FileNotFoundError:
        return False
    return any(is_held(store, run) for run in runs)


def _folder(store: Path) -> Path:
    return beside(store, ".locks")
