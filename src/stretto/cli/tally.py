"""How far a command is that does the same many times."""

import contextlib
import sys
import time
from typing import Self

from stretto.cli.screen import drawing_on, say

_GAP, _STILL = 5.0, 60.0  # seconds between two lines of progress, and between two that say the same


class Tally:
    """How much is done, on stderr: one line that changes on a terminal, else a line every few seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._said_at = time.monotonic()
        self._open = False
        self._line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._write("\r\x1b[K")

    def show(self, line: str) -> None:
        """It is so far; told now and then."""
        now = time.monotonic()
        gap = 0.2 if self._live else _GAP if line != self._line else _STILL
        if self._quiet or now - self._said_at < gap:
            return
        self._said_at, self._open, self._line = now, self._live, line
        self._write(f"\r{line}\x1b[K" if self._live else f"stretto: {line}\n")

    def say(self, line: str) -> None:
        """Something that is told in any case, above the line that changes."""
        if self._quiet:
            return
        if self._open:
            self._write("\r\x1b[K")
        say(line)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            drawing_on(sys.stderr)(text)
            sys.stderr.flush()
