"""The common axis of time: bars that show what overlaps with what."""

from collections.abc import Iterable, Sequence
from math import ceil

from stretto.cli.live.lines import Span
from stretto.cli.live.rows import Row, Stretch

_STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 45)
_LEVELS = "▁▂▃▄▅▆▇█"
_AT_WORK, _HELD = "━", "╌"


def reach(now: float) -> float:
    """Where the axis ends while a run goes on: a round number of seconds, so that bars seldom move."""
    scale = 1.0
    while True:
        for step in _STEPS:
            if now <= step * scale:
                return step * scale
        scale *= 60 if scale < 60 else 10


class Axis:
    """So many cells for the seconds from 0 to `end`."""

    def __init__(self, width: int, end: float, now: float) -> None:
        self.width = width
        self.end = max(end, 0.001)
        self._now = now

    def bar(self, row: Row, style: str) -> list[Span]:
        """When a row's calls were under way, and when they were held back."""
        marks = [" "] * self.width
        for stretch in sorted(row.stretches, key=lambda each: each.held):
            first, last = self._cells(stretch)
            marks[first:last] = [_HELD if stretch.held else _AT_WORK] * (last - first)
        return _runs(marks, style)

    def crowd(self, rows: Iterable[Row], style: str) -> list[Span]:
        """How many of these rows were at work at a time, the most of them as a full block."""
        steps = [0] * (self.width + 1)
        for row in rows:
            for stretch in row.stretches:
                if not stretch.held:
                    first, last = self._cells(stretch)
                    steps[first] += 1
                    steps[last] -= 1
        heights, height = [], 0
        for step in steps[:-1]:
            height += step
            heights.append(height)
        most = max(heights, default=0) or 1
        marks = [_LEVELS[ceil(height / most * len(_LEVELS)) - 1] if height else " " for height in heights]
        return [("".join(marks), style)]

    def scale(self) -> str:
        """What the axis reaches from and to."""
        start, end = "0", _label(self.end)
        rest = self.width - len(start) - len(end) - 2
        return f"{start} {'─' * rest} {end}" if rest > 0 else end.rjust(self.width)

    def _cells(self, stretch: Stretch) -> tuple[int, int]:
        end = self._now if stretch.end is None else min(stretch.end, self._now)
        first = min(self.width - 1, int(stretch.start / self.end * self.width))
        return first, max(first + 1, min(self.width, ceil(end / self.end * self.width)))


def _runs(marks: Sequence[str], style: str) -> list[Span]:
    """The marks, neighbours of one style as one text."""
    spans: list[Span] = []
    for mark in marks:
        wanted = "warn" if mark == _HELD else style
        if spans and (spans[-1][1] == wanted or mark == " "):
            spans[-1] = (spans[-1][0] + mark, spans[-1][1])
        else:
            spans.append((mark, wanted))
    return spans


def _label(seconds: float) -> str:
    if seconds >= 120:
        return f"{seconds / 60:.3g} min"
    return f"{seconds:.3g} s"
