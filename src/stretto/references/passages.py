"""Which passage of a text a place in it belongs to: a sentence, a list item, a cell, a heading, a block of code."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from stretto.ground.regex import regex

Span = tuple[int, int]

_MARKER = regex(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?:\[[ xX]\][ \t]+)?(?:#{1,6}[ \t]+)?")
_CLOSING = "\"'”’»)\\]」』*_"
_ENDS = "。！？｡؟।॥።"  # what ends a sentence without a blank behind it
_SENTENCE = regex(rf"[{_ENDS}]+[{_CLOSING}]*[ \t\xa0\u3000]*|(?<![\\.!?…])[.!?…]++[{_CLOSING}]*+[ \t\xa0]+")
_AFTER = "\"'”’»)\\])」』*_"
_FINAL = regex(rf"[{_AFTER}]*[{_ENDS}]+[”’»)」』]*|[{_AFTER}]*(?:[.!?…]+[{_AFTER}]*)?(?!\w)")
_SHORT = regex(
    r"(?:^|[\s(\[])(?:[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]|Dr|Mr|Mrs|Ms|Prof|St|No|Nr|Fig|Sec|vs|cf|al|approx|ca|bzw|etc|p|pp)\.$"
)
_CELL = regex(r"(?<!\\)\|[ \t]*")
_ABOVE = 20  # lines that are searched for what a reference on a line of its own belongs to
_UNDERLINE = regex(r"[ \t]*[-=*_|: \t\r]*")


class Passages:
    """The passages of a text, found once. `fences`: spans of its blocks of code, in order."""

    def __init__(self, text: str, fences: Sequence[Span]) -> None:
        self._text = text
        self._fences = fences
        self._opened = [start for start, _ in fences]
        self._starts = list(self._boundaries())

    def at(self, place: int) -> Span:
        """The passage that something at this place is said of: what it stands at the end of, or else in front of."""
        line = self._text.rfind("\n", 0, place) + 1
        if self._text[self._inside(line) : place].strip():
            return self._before(place)
        after = self._ahead(place)
        return after or self._above(line) or (place, place)

    def _before(self, place: int) -> Span:
        end = len(self._text[max(0, place - 2000) : place].rstrip()) + max(0, place - 2000)
        final = _FINAL.match(self._text, place) if end == place else None
        start = self._starts[max(0, bisect_left(self._starts, end) - 1)]
        return start, final.end() if final else end

    def _ahead(self, place: int) -> Span | None:
        """What follows on the same line, if anything does."""
        stop = self._text.find("\n", place)
        stop = len(self._text) if stop < 0 else stop
        rest = self._text[place:stop]
        if not rest.strip():
            return None
        start = place + len(rest) - len(rest.lstrip())
        index = bisect_right(self._starts, start)
        end = min(stop, self._starts[index]) if index < len(self._starts) else stop
        return start, start + len(self._text[start:end].rstrip())

    def _above(self, line: int) -> Span | None:
        """The passage that ends before this line, or the block of code."""
        for _ in range(_ABOVE):
            end = line - 1
            if end < 0:
                break
            line = self._text.rfind("\n", 0, end) + 1
            row = self._text[line:end]
            if fence := self._fence(end):
                return fence
            if not _UNDERLINE.fullmatch(row):
                whole = row.lstrip().startswith("|")
                last = line + len(row.rstrip())
                return (line, last) if whole else self._before(last)
        return None

    def _fence(self, place: int) -> Span | None:
        index = bisect_right(self._opened, place) - 1
        fence = self._fences[index] if index >= 0 else (0, -1)
        return fence if fence[0] <= place <= fence[1] else None

    def _inside(self, line: int) -> int:
        """Where a line's own text begins, behind its marker."""
        marker = _MARKER.match(self._text, line)
        return marker.end() if marker else line

    def _boundaries(self) -> Iterator[int]:
        """Where each passage begins."""
        start = 0
        while start <= len(self._text):
            end = self._text.find("\n", start)
            end = len(self._text) if end < 0 else end
            inside = min(self._inside(start), end)
            yield inside
            yield from self._within(inside, end)
            start = end + 1

    def _within(self, start: int, end: int) -> Iterator[int]:
        row = self._text.startswith("|", start)
        cells = {cell.end() for cell in _CELL.finditer(self._text, start, end)} if row else set()
        stops = {found.end() for found in _SENTENCE.finditer(self._text, start, end) if self._ends(found, start, end)}
        yield from sorted(cells | stops)

    def _ends(self, found: re.Match[str], start: int, end: int) -> bool:
        """Whether a full stop ends its sentence, or an abbreviation, an initial or a number."""
        mark, after = found[0], self._text[found.end() : found.end() + 1]
        if not mark.startswith(".") or found.end() >= end:
            return found.end() < end
        short = _SHORT.search(self._text[max(start, found.start() - 12) : found.start() + 1])
        return not (short or after.islower())
