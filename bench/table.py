"""The rows of the table and their printing."""

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

_FIRST, _OTHERS = 72, 9  # widths of columns


class Row(Struct, frozen=True):
    """One line: what was measured, the figure, the one it is compared with, their ratio, and the most it may be."""

    what: str
    figure: str
    bare: str = ""
    ratio: float | None = None
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met, if there is one."""
        return None if self.target is None or self.ratio is None else self.ratio <= self.target


class Setting(Struct, frozen=True):
    """How much time there is, and a folder on the disk for what is written."""

    quick: bool
    folder: Path

    def rounds(self, quick: int, full: int) -> int:
        """How often to measure."""
        return quick if self.quick else full


Part = Iterator[Row | str]
"""The rows of one part; a text stands for itself."""


def heading() -> str:
    """The machine, and the names of the columns."""
    model = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    columns = line("what", "figure", "bare", "ratio", "target", "met")
    return f"{model}, {date}, {load}\n\n{columns}\n" + line("-" * _FIRST, *["-" * (_OTHERS - 1)] * 5)


def show(row: Row | str) -> str:
    """The row as a line."""
    if isinstance(row, str):
        return row
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}" if row.ratio < 1.1 else f"{row.ratio:.2f}"
    target = "" if row.target is None else f"<= {row.target:g}"
    met = {True: "yes", False: "NO", None: ""}[row.met]
    return line(row.what, row.figure, row.bare, ratio, target, met)


def line(*cells: str) -> str:
    """Cells in their columns; the first to the left, the others to the right."""
    first, *others = cells
    return " ".join([first.ljust(_FIRST), *(cell.rjust(_OTHERS) for cell in others)]).rstrip()


def ms(seconds: float) -> str:
    """Seconds as milliseconds."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds * 1e3:.0f} ms"


def sec(seconds: float) -> str:
    """Seconds."""
    return f"{seconds:.3f} s"
