"""Files that somebody names: read as a whole if they have an end, and found by their own name; else an `OSError`."""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stretto.errors import StrettoError

SHIPPED = Path(__file__).parents[1]
"""Where the files lie that come with the package, beside its modules."""
LARGEST = 1 << 26
"""Bytes of a file that is read as a whole: a task, a plan, a prompt. No model takes as much."""


def read_bytes(path: Path) -> bytes:
    """All that is in a file."""
    with path.open("rb") as file:
        return read_all(file, str(path))


def read_text(path: Path) -> str:
    """The text in a file, without a byte order mark and whatever system's ends of lines it has."""
    return io.TextIOWrapper(io.BytesIO(read_bytes(path)), "utf-8-sig").read()


def read_all(file: BinaryIO, name: str) -> bytes:
    """All that comes of an open file or pipe, which may have no end."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, f"more than {LARGEST >> 20} MB, which no model reads", name)
    return data


def write_private(path: Path, data: Iterable[bytes]) -> None:
    """All of it, or nothing: beside the file first, and for its owner only, because it may hold prompts and replies."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a number
            file.writelines(data)
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def failing_as(kind: type[StrettoError], what: str, remedy: str = "") -> Iterator[None]:
    """An `OSError` meanwhile becomes an error of this kind: what could not be done, why, and the remedy.

    But not that nobody reads a pipe any more, which is no fault.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise kind(f"{what}: {error.strerror or error}{remedy}") from error


def resolved(path: Path) -> Path:
    """The file's own name, whatever links lead to it."""
    try:
        found = path.resolve()
    except RuntimeError as error:  # what Python says of a circle of links before 3.13
        raise OSError(errno.ELOOP, "links that lead in a circle", str(path)) from error
    if found.is_symlink():  # from 3.13 on it stops there, and says nothing
        raise OSError(errno.ELOOP, "links that lead in a circle", str(path))
    return found


def is_a_file(path: Path) -> bool:
    """Whether there is a file of this name, as far as one may look."""
    try:
        return path.is_file()
    except OSError:  # a folder that is closed to us
        return False
