"""Whether words stand in an input, and where."""

import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.types import Input

_FEWEST = 8
"""Letters of a quote that is evidence; an ideograph counts for two."""

_LONG = 20_000  # characters of a line in which letters are counted

_ALIKE = {"'": '"‘’‚‛‹›“”„‟«»′″', "-": "‐‑‒–—―−"}
_MARKUP = regex(r"`+|(?<!\w)[*_~]{1,3}(?=\S)|(?<=\S)[*_~]{1,3}(?!\w)")  # of code and emphasis, not of products
_ELLIPSIS = regex(r"\s?(?:\[(?:…|\.{3})\]|\((?:…|\.{3})\)|…|\.{3,})\s?")
_IDEOGRAPH = "\u2e80"


class Place(Struct, frozen=True):
    """Where words stand in an input: lines, first and last, from 1, and the words as they stand there."""

    lines: tuple[int, int]
    words: str


def is_evidence(quote: str) -> bool:
    """Whether a quote is long enough that finding it says something."""
    letters = sum(2 if letter >= _IDEOGRAPH else 1 for letter in quote if letter.isalnum())
    return letters >= _FEWEST


class _Bare:
    """A text without the marks of code and emphasis, and where in it what stood."""

    def __init__(self, plain: str) -> None:
        kept, at, length = [], 0, 0
        self._places: list[tuple[int, int]] = []  # in the bare text and in the plain one
        for found in (*_MARKUP.finditer(plain), None):
            end = found.start() if found else len(plain)
            kept.append(plain[at:end])
            self._places.append((length, at))
            length += end - at
            at = found.end() if found else end
        self.text = "".join(kept)

    def bare(self, plain: int) -> int:
        """Where a place of the plain text is in this one."""
        begin, at = self._places[bisect_right(self._places, plain, key=lambda place: place[1]) - 1]
        return begin + plain - at

    def plain(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the plain text something stands."""
        return self._plain(begin), self._plain(end - 1) + 1

    def _plain(self, bare: int) -> int:
        begin, at = self._places[bisect_right(self._places, bare, key=lambda place: place[0]) - 1]
        return at + bare - begin


class Evidence:
    """An input in which words are looked for.

    Alike are all blanks and runs of them, quotation marks of every kind, hyphens and dashes, and the case of the first
    letter; an ellipsis stands for any words; the marks of code and emphasis may be there or not. Everything else has to
    be as it is written. The input is prepared once, when the first quote is looked for.
    """

    def __init__(self, source: Input) -> None:
        self.name = source.name
        self.readable = bool(source.text)  # an image has no words
        self._text = source.text
        self._found: dict[tuple[str, tuple[int, int] | None], Place | None] = {}

    @cached_property
    def lines(self) -> int:
        """How many lines there are."""
        return self._text.count("\n") + (not self._text.endswith("\n"))

    def find(self, quote: str, near: tuple[int, int] | None = None) -> Place | None:
        """Where a quote stands first (in the lines `near`, if it does); None if it does not."""
        key = (quote, near)
        if key not in self._found:
            self._found[key] = self._find(" ".join(_alike(quote).split()), near)
        return self._found[key]

    def _find(self, quote: str, near: tuple[int, int] | None) -> Place | None:
        if not quote:
            return None
        start = self._starts[min(near[0], len(self._starts)) - 1] if near else 0
        spans = self._spans(self._plain, quote, start)
        if not spans and (bare := _MARKUP.sub("", quote)):
            found = self._spans(self._bare.text, bare, self._bare.bare(start))
            spans = [self._bare.plain(*span) for span in found]
        if near and (not spans or self._line(spans[0][0]) > near[1]):
            return self._find(quote, None)
        return self._place(spans) if spans else None

    def _spans(self, text: str, quote: str, start: int) -> list[tuple[int, int]]:
        """Where a quote stands, or all of its parts; nothing if it does not."""
        parts = _parts(quote)
        return _search(text, [quote], start) or (_search(text, parts, start) if parts != [quote] else [])

    @cached_property
    def _bare(self) -> _Bare:
        return _Bare(self._plain)

    @cached_property
    def _rows(self) -> list[str]:
        return [" ".join(line.split()) for line in _alike(self._text).split("\n")]

    @cached_property
    def _plain(self) -> str:
        """The text with one blank for each run of them."""
        return " ".join(row for row in self._rows if row)

    @cached_property
    def _starts(self) -> list[int]:
        """Where in the plain text each line begins; an empty one where the next does."""
        return [0, *accumulate(len(row) + 1 if row else 0 for row in self._rows[:-1])]

    @cached_property
    def _offsets(self) -> list[int]:
        """Where in the text itself each line begins."""
        return [0, *accumulate(len(line) + 1 for line in self._text.split("\n")[:-1])]

    def _line(self, place: int) -> int:
        """The line, from 1, in which a place of the plain text is."""
        return bisect_right(self._starts, place)

    def _place(self, spans: list[tuple[int, int]]) -> Place:
        words = " … ".join(self._words(begin, end) for begin, end in spans)
        return Place((self._line(spans[0][0]), self._line(spans[-1][1] - 1)), words)

    def _words(self, begin: int, end: int) -> str:
        """What stands there in the text itself, unless that is mostly blanks or its line has no end."""
        lines = self._line(begin), self._line(end - 1)
        plain = self._plain[begin:end]
        if any(len(self._rows[line - 1]) > _LONG for line in lines):
            return plain
        start, stop = self._exact(lines[0], begin), self._exact(lines[1], end - 1)
        return self._text[start : stop + 1] if stop - start < 2 * len(plain) + 200 else plain

    def _exact(self, line: int, place: int) -> int:
        """The place in the text itself: as many letters into its line, blanks not counted."""
        row, at = self._rows[line - 1], self._offsets[line - 1]
        inside = place - self._starts[line - 1]
        letters = inside - row.count(" ", 0, inside)
        rest = self._text[at : self._offsets[line] if line < len(self._offsets) else None]
        for word in re.finditer(r"\S+", rest):
            if letters < (size := word.end() - word.start()):
                return at + word.start() + letters
            letters -= size
        raise IndexError(place)


def _search(text: str, parts: list[str], start: int) -> list[tuple[int, int]]:
    """Where in a text parts stand that follow each other; nothing if one of them does not."""
    spans: list[tuple[int, int]] = []
    for part in parts:
        found = text.find(part, spans[-1][1]) if spans else _find_either(text, part, start)
        if found < 0:
            return []
        spans.append((found, found + len(part)))
    return spans


def _find_either(text: str, part: str, start: int) -> int:
    """Where a part stands, whatever the case of its first letter."""
    first, rest = part[0], part[1:]
    if not rest or len(first.swapcase()) != 1:
        return text.find(part, start)
    cases = {first, first.swapcase()}
    found = text.find(rest, start + 1)
    while found >= 0 and text[found - 1] not in cases:
        found = text.find(rest, found + 1)
    return found - (found >= 0)


def _parts(quote: str) -> list[str]:
    parts = [part for part in _ELLIPSIS.split(quote) if part.strip(" .,;:")]
    return parts if is_evidence("".join(parts)) else []


def _alike(text: str) -> str:
    """One form of each mark that has several; as long as before."""
    for mark, forms in _ALIKE.items():
        for form in forms:
            text = text.replace(form, mark)
    return text
