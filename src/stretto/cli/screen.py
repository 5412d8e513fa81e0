"""Where text meets a terminal: nothing that one would obey gets there, but for what is drawn on purpose."""

import codecs
import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from stretto.cli.words import Folding, folded
from stretto.ground.text import seemly


class Screen:
    """A standard stream through which only seemly text goes, whoever writes: models, endpoints and file names say it.

    `draw` is for what we draw ourselves, with sequences of our own around texts that are seemly already.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without what a terminal would obey."""
        if not isinstance(text, str):  # click finds out in this way that bytes go to `buffer`
            raise TypeError(f"a text is written here, not {type(text).__name__}")
        self._stream.write(seemly(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after another."""
        for line in lines:
            self.write(line)

    def draw(self, text: str) -> None:
        """Write a text as it is."""
        self._stream.write(text)

    @property
    def buffer(self) -> "_Bytes":
        """Takes the bytes of a text in UTF-8."""
        return _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bytes:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> int:
        self._screen.write(self._decoder.decode(data))
        return len(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._screen.flush()


def guard() -> None:
    """From now on stderr, and stdout if it is a terminal, take only what is seemly; into a pipe goes what there is."""
    if not isinstance(sys.stderr, Screen):
        sys.stderr = Screen(sys.stderr)
    if sys.stdout.isatty() and not isinstance(sys.stdout, Screen):
        sys.stdout = Screen(sys.stdout)


def drawing_on(stream: TextIO) -> Callable[[str], object]:
    """How something is drawn on a stream."""
    return stream.draw if isinstance(stream, Screen) else stream.write


def say(line: str) -> None:
    """One line to stderr, if anyone is there to read it; on a terminal as many as it takes."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{fitted(f'stretto: {line}', sys.stderr)}\n")
        sys.stderr.flush()


def tell(line: str, indent: str | None = None) -> None:
    """One line to stdout; on a terminal as many as it takes (see `folded`)."""
    sys.stdout.write(f"{fitted(line, sys.stdout, indent)}\n")


def tell_text(text: str) -> None:
    """A text to stdout; on a terminal its lines break between words, but for those of code and tables."""
    folding, columns = Folding(), size_of(sys.stdout)[0]
    sys.stdout.write(f"{folding.take(text, columns) + folding.end(columns) if sys.stdout.isatty() else text}\n")


def fitted(text: str, stream: TextIO, indent: str | None = None) -> str:
    """The text as it is, or if the stream is a terminal, in lines that break between words."""
    return folded(text, size_of(stream)[0], indent) if stream.isatty() else text


def size_of(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of a stream's terminal; what the environment says, if the terminal does not."""
    columns = lines = 0
    with contextlib.suppress(OSError, ValueError):
        columns, lines = os.get_terminal_size(stream.fileno())
    return columns or _said("COLUMNS", 80), lines or _said("LINES", 24)


def _said(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() and int(value) > 0 else otherwise
