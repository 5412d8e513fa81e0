"""The lowest lines of a terminal, which are written again and again while everything above them stays."""

import contextlib
from collections.abc import Sequence
from typing import TextIO

from stretto.cli.live.lines import cells
from stretto.cli.screen import drawing_on, size_of
from stretto.ground.regex import regex

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_TOGETHER, _DONE = "\x1b[?2026h", "\x1b[?2026l"
"""Terminals that know synchronized output show what is between these two at once; others pass over it."""
_ECHO = "\x1b[4D"
"""Back by what a terminal echoes of Ctrl-C, twice: in the last cell it would wrap, and all be off by a line."""
_CODE = regex(r"\x1b\[[\d;]*m")


class Region:
    """Lines at the bottom of the terminal that `stream` writes to; the cursor rests in the last one, near its end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn: list[str] = []
        self._columns = 0
        self._hidden = False

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        return size_of(self._stream)

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, as a terminal takes them, in place of those before; each narrower than the terminal."""
        columns, _ = self.size()
        if list(lines) == self._drawn and columns == self._columns:
            return
        told = [_TOGETHER, "" if self._hidden else _HIDE, self._back()]
        # Written over, not cleared first: what stays the same does not flicker.
        told += ["\r\n".join(f"{line}\x1b[K" for line in lines), "\x1b[J", _ECHO, _DONE]
        self._hidden = True
        self._drawn, self._columns = list(lines), columns
        self.write("".join(told))

    def clear(self) -> None:
        """Take the lines away; what comes next stands where they stood."""
        if self._drawn:
            self.write(f"{self._back()}\x1b[J")
            self._drawn = []

    def keep(self) -> None:
        """The lines stay as they are; what comes next stands below them."""
        if self._drawn:
            self.write("\r\n")
            self._drawn = []

    def release(self) -> None:
        """The cursor is to be seen, and whatever was drawn is none of ours any more."""
        self._drawn = []
        if self._hidden:
            self.write(_SHOW)
            self._hidden = False

    def write(self, text: str) -> None:
        """Write to the terminal; nobody may be there to see it."""
        with contextlib.suppress(OSError):
            drawing_on(self._stream)(text)
            self._stream.flush()

    def _back(self) -> str:
        """To the first cell of what is drawn."""
        rows = self._rows()
        return f"\r\x1b[{rows - 1}A" if rows > 1 else "\r"

    def _rows(self) -> int:
        """Lines of the screen that what is drawn takes: a terminal that became narrower has wrapped it."""
        columns, height = self.size()
        if columns >= self._columns:
            return min(len(self._drawn), height)
        rows = sum(max(1, -(-cells(_CODE.sub("", line)) // columns)) for line in self._drawn)
        return min(rows, height)
