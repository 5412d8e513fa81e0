"""References become citations: what passage each supports, and whether the words it quotes are in the input.

A passage is a sentence, a list item, a cell, a heading, a block of code.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct
from msgspec.structs import replace

from stretto.ground.regex import regex
from stretto.references.evidence import Evidence, is_evidence
from stretto.references.marks import Part, Sources
from stretto.types import Citation, Input

_MOST = 2_000
"""Citations of one answer; what comes after is removed from it all the same."""

_REMARKS = 20
_LONG = 100_000  # characters of an answer; a passage has a tenth of that
_QUOTATION = regex(r"[\"“„«「]([^\"“”„«»「」\n]{1,600})[\"“”»」][.,;:!?。，、！？*_]*\s*\Z")
_BACK = 640

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


class Found(Struct, frozen=True):
    """One source that a reference named, and where the reference stood in the clean text."""

    at: int
    part: Part


def cite(
    text: str, fences: Sequence[Span], found: Sequence[Found], sources: Sources, inputs: Sequence[Input]
) -> tuple[tuple[Citation, ...], tuple[str, ...]]:
    """What the passages of a text rest on, in its order, and what is to be said of it."""
    if not found:
        return (), ()
    if len(text) > _LONG:  # behind the last that is looked at nothing matters
        text = text[: found[-1].at + _LONG // 10]
    citing = _Citing(text, Passages(text, fences), sources, inputs)
    told: dict[Citation, None] = {}
    for at, together in groupby(found, key=lambda each: each.at):
        told.update(dict.fromkeys(citing.place(at, [each.part for each in together])))
        if len(told) > _MOST:
            citing.remark(f"of {len(found):,} references only the first {_MOST:,} are told")
            break
    return tuple(told)[:_MOST], _bounded(tuple(citing.remarks))


class _Citing:
    def __init__(self, text: str, passages: Passages, sources: Sources, inputs: Sequence[Input]) -> None:
        self.remarks: dict[str, None] = {}
        self._text = text
        self._passages = passages
        self._sources = sources
        self._evidence = [Evidence(each) for each in inputs]

    def remark(self, text: str) -> None:
        """Note something to be told of the answer; what is told already is not told again."""
        self.remarks[line(text, 240)] = None

    def place(self, at: int, parts: list[Part]) -> Iterator[Citation]:
        """The citations that references at one place make."""
        start, end = self._passages.at(at)
        quotation = _QUOTATION.search(self._text, max(0, at - _BACK), at)
        if quotation and quotation.start() < start:  # it has several sentences
            start = self._passages.at(quotation.start() + 1)[0]
        said = quotation[1] if quotation and is_evidence(quotation[1]) else ""
        known = [part for part in parts if self._knows(part)]
        # One quotation before several inputs is from one of them.
        bare = [self._of_input(part, said) for part in known if said and not part.quote and self._is_input(part)]
        proven = any(each.verified for each in bare)
        for part in known:
            one = Citation(start, end, self._sources.find(part.label) or "", quote=part.quote)
            if self._is_input(part):
                one = self._of_input(part, said)
                if proven and not part.quote and not one.verified:
                    one = self._of_input(part, "")
                one = replace(one, start=start, end=end)
                self._doubt(part, one)
            yield one

    def _knows(self, part: Part) -> bool:
        known = self._sources.knows(part.label)
        if not known:
            self.remark(f"[^{part.label}] was removed: {self._sources.wants(part.label)}")
        return known

    def _is_input(self, part: Part) -> bool:
        return self._sources.input(self._sources.find(part.label) or "") is not None

    def _of_input(self, part: Part, said: str) -> Citation:
        """What a reference to an input comes to, with its own quote or the quotation it stands behind."""
        source = self._sources.find(part.label) or ""
        evidence = self._evidence[(self._sources.input(source) or 1) - 1]
        if not evidence.readable:
            return Citation(0, 0, source, evidence.name, quote=part.quote)
        there = part.lines and 0 < part.lines[0] <= part.lines[1] <= evidence.lines
        doubt = False if part.lines and not there else None
        one = Citation(0, 0, source, evidence.name, part.lines, part.quote or said, doubt)
        if not is_evidence(one.quote):
            return one
        place = evidence.find(one.quote, part.lines if there else None)
        if place is None:
            return replace(one, verified=False)
        return replace(one, lines=place.lines, quote=place.words, verified=True)

    def _doubt(self, part: Part, one: Citation) -> None:
        """Say so if something is not in the input."""
        if one.verified is not False:
            return
        if is_evidence(one.quote):
            self.remark(f'{one.name} ({one.source}) does not have these words: "{one.quote[:120]}"')
        elif part.lines:
            wanted = "-".join(str(line) for line in dict.fromkeys(part.lines))
            lines = self._evidence[(self._sources.input(one.source) or 1) - 1].lines
            self.remark(f"{one.name} ({one.source}) has {lines:,} lines, and no {wanted}")


def _bounded(remarks: tuple[str, ...]) -> tuple[str, ...]:
    more = len(remarks) - _REMARKS
    return (*remarks[:_REMARKS], f"and {more:,} more like these") if more > 0 else remarks


def line(text: str, most: int) -> str:
    """A text on one line, without control characters."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return line if len(line) <= most else line[: most - 1] + "…"
