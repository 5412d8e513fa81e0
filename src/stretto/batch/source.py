"""The file that a batch reads: checked whole before anything is paid, then read again as it is carried."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Self

from stretto.batch.counts import Counts
from stretto.batch.jobs import Job, Jobs
from stretto.batch.lines import Line, raw_lines, read_line
from stretto.batch.outfile import OutFile, mark
from stretto.errors import TaskError

_TOLD = 10  # lines that cannot be used and are told of


class Source:
    """The lines of a file; what comes through a pipe is put into one first. Used as `with`."""

    def __init__(self, path: str, piped: BinaryIO) -> None:
        self.place = "standard input" if path == "-" else path
        self._path = path
        self._piped = piped
        self._stack = ExitStack()
        self._file: BinaryIO

    def __enter__(self) -> Self:
        try:
            given = self._piped if self._path == "-" else self._stack.enter_context(Path(self._path).open("rb"))
            self._file = given
            if self._path == "-" or not given.seekable():
                self._file = self._stack.enter_context(TemporaryFile())
                shutil.copyfileobj(given, self._file)
        except OSError as error:
            self._stack.close()
            why = error.strerror or error
            raise TaskError(
                f"{self.place}: cannot be read: {why}; name a file of JSON lines, or - for a pipe"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def check(self, jobs: Jobs, output: OutFile) -> tuple[Counts, set[str]]:
        """How much of it there is to do, and the models that are asked alone.

        Raises `TaskError` that names the lines that cannot be used, and what to do about each.
        """
        counts, models, seen, wrong = Counts(), set[str](), set[bytes](), list[str]()
        for number, data in raw_lines(self._file, self.place):
            counts.lines += 1
            try:
                line = read_line(number, data, self.place)
                if (known := mark(line.key)) in seen:
                    raise self._twice(line)
                seen.add(known)
                models.update(jobs.of(line, self._where(line)).workflow.all_models)
            except TaskError as error:
                wrong.append(str(error))
                continue
            if (state := output.states.get(known)) is not None:
                counts.before += 1
                counts.count(state)
        if wrong:
            more = [f"and {len(wrong) - _TOLD} more lines"] if len(wrong) > _TOLD else []
            raise TaskError("\n".join([*wrong[:_TOLD], *more]))
        if not counts.lines:
            raise TaskError(f"{self.place}: there are no lines in it; there would be nothing to do")
        return counts, models

    def jobs(self, jobs: Jobs, output: OutFile) -> Iterator[Job]:
        """What is left to be done, one after another."""
        for number, data in raw_lines(self._file, self.place):
            line = read_line(number, data, self.place)
            if mark(line.key) not in output.states:
                yield jobs.of(line, self._where(line))

    def _where(self, line: Line) -> str:
        return f"{self.place}: line {line.number}"

    def _twice(self, line: Line) -> TaskError:
        return TaskError(f"{self._where(line)}: the id {line.key[:80]!r} stands twice; give each line one of its own")
