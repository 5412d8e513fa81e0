"""The file that a batch writes: a line is there whole or not at all, and what is there is not done again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Self

from stretto.batch.counts import State
from stretto.batch.results import BEGINNING, read_result
from stretto.errors import StrettoError, TaskError
from stretto.ground.files import failing_as


def mark(key: str) -> bytes:
    """An id in a few bytes, so that a hundred thousand of them take no room."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).digest()


class OutFile:
    """What a batch has written so far, and where it goes on. Used as `with`, once it is `read`.

    `retry_failed`: lines that failed are taken out, so that they are done again. `states`: by the marks of ids, what
    became of lines that need not be done again.
    """

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        self.path = path
        self.states: dict[bytes, State] = {}
        self._retry_failed = retry_failed
        self._failed = False  # whether lines are to be taken out
        self._whole = 0  # bytes up to the end of the last whole line
        self._open_end = False  # whether only the end of that line is missing
        self._file: BinaryIO | None = None

    def read(self) -> None:
        """Find out what is there already; raises `TaskError` for a file that no batch has written."""
        if str(self.path) == "-":
            raise TaskError("-o -: what a second start goes on from is the file; name one")
        if not self.path.exists():
            return
        if not self.path.is_file():  # what is read of a terminal or a pipe never ends
            raise TaskError(f"{self.path}: no regular file, and a second start reads what is there; name one with -o")
        remedy = "; name another file with -o"
        with failing_as(TaskError, f"{self.path}: cannot be read", remedy), self.path.open("rb") as file:
            for number, data in self._lines(file):
                self._take(number, data)

    def __enter__(self) -> Self:
        with self._kept():
            if self._failed:
                self._drop_failed()
            self._file = self.path.open("ab", buffering=0)
            self._file.truncate(self._whole)  # what was cut is whole in the store
            if self._open_end:
                self._file.write(b"\n")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, data: bytes) -> None:
        """One more line, in one piece; of what a full disk cuts off nothing stays."""
        assert self._file is not None  # noqa: S101 - it was entered
        start = self._file.seek(0, os.SEEK_END)
        with self._kept():
            try:
                while data:
                    data = data[self._file.write(data) :]
            except OSError:
                with suppress(OSError):
                    self._file.truncate(start)
                raise

    def _lines(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """The whole lines; the last one may be cut, and then it is left out."""
        self._whole, self._open_end = 0, False
        for number, data in enumerate(file, 1):
            if not data.endswith(b"\n") and read_result(data) is None and _may_be_ours(data):
                return
            yield number, data
            self._whole += len(data)
            self._open_end = not data.endswith(b"\n")

    def _take(self, number: int, data: bytes) -> None:
        if not data.strip():
            return
        found = read_result(data)
        if found is None:
            raise TaskError(
                f"{self.path}: line {number} is no line that a batch has written, so it stays as it is; name another "
                "file with -o"
            )
        if found[1] == "failed" and self._retry_failed:
            self._failed = True
        else:
            self.states[mark(found[0])] = found[1]

    def _drop_failed(self) -> None:
        """Put a file without the lines that failed in the place of this one."""
        path = self.path.resolve()  # a link stays one
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with self.path.open("rb") as file, beside.open("wb") as kept:
                for _, data in self._lines(file):
                    if (found := read_result(data)) and found[1] != "failed":
                        kept.write(data.rstrip(b"\n") + b"\n")
                self._whole, self._open_end = kept.tell(), False
            shutil.copymode(path, beside)
            beside.replace(path)
        finally:
            with suppress(OSError):
                beside.unlink()

    def _kept(self) -> AbstractContextManager[None]:
        """An `OSError` meanwhile is told with where the rest is."""
        return failing_as(StrettoError, f"{self.path}: cannot be written", "; what is complete is kept in the store")


def _may_be_ours(data: bytes) -> bool:
    """Whether a cut line is the beginning of one of ours."""
    return data.startswith(BEGINNING) or BEGINNING.startswith(data)
