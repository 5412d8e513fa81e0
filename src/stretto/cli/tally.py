"""How far a rehearsal is."""

import contextlib
import sys
import time
from typing import Self

from stretto.cli.screen import drawing_on

_GAP = 5.0  # seconds between two lines of progress


class Tally:
    """How many trials are done, on stderr: one line that changes on a terminal, else a line every few seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._said_at = time.monotonic()
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._write("\r\x1b[K")

    def show(self, done: int, of: int) -> None:
        """So many of so many."""
        now = time.monotonic()
        if self._quiet or now - self._said_at < (0.2 if self._live else _GAP):
            return
        self._said_at, self._open = now, self._live
        line = f"rehearsed {done:,} of {of:,} runs"
        self._write(f"\r{line}" if self._live else f"stretto: {line}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            drawing_on(sys.stderr)(text)
            sys.stderr.flush()
