"""The common axis of time in cells: bars that show what overlaps with what."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from stretto.cli.live.lines import Span
from stretto.views.timeline.rows import Row

_LEVELS = "▁▂▃▄▅▆▇█"
_AT_WORK, _HELD = "━", "╌"


class Axis:
    """So many cells for the seconds from 0 to `end`."""

    def __init__(self, width: int, end: float, now: float) -> None:
        self.width = width
        self.end = max(end, 0.001)
        self._now = now

    def bar(self, row: Row, style: str) -> list[Span]:
        """When a row's calls were under way, and when they were held back."""
        marks = [" "] * self.width
        for start, end in self._at_work(row):
            self._mark(marks, start, end, _AT_WORK)
        for call in row.calls:
            for span in call.spans(self._now):
                if span.kind in {"held", "retry"}:
                    self._mark(marks, span.start, span.end, _HELD)
        return _runs(marks, style)

    def crowd(self, rows: Iterable[Row], style: str) -> list[Span]:
        """How many of these rows were at work at a time, the most of them as a full block."""
        steps = [0] * (self.width + 1)
        for row in rows:
            for start, end in self._at_work(row):
                first, last = self._cells(start, end)
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

    def _at_work(self, row: Row) -> Iterator[tuple[float, float]]:
        """From when until when each of its calls was under way."""
        for call in row.calls:
            if call.start is not None:
                yield call.start, self._now if call.end is None else min(call.end, self._now)

    def _mark(self, marks: list[str], start: float, end: float, mark: str) -> None:
        first, last = self._cells(start, end)
        marks[first:last] = [mark] * (last - first)

    def _cells(self, start: float, end: float) -> tuple[int, int]:
        first = min(self.width - 1, int(start / self.end * self.width))
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
    return f"{seconds:.0f} s" if seconds == int(seconds) else f"{seconds:.1f} s"
