"""The entries of a list in JSON, cut out of a text that is still being written.

A text is scanned once, a run of characters at a time, so the work is linear however it is cut. What holds it up
against dirty JSON are three facts about clean JSON:

- A quote inside a string is escaped. So a quote ends a string only if `,`, `:`, `}` or `]` follows; any other belongs
  to the text, though somebody forgot its backslash.
- For the same reason `{"type":` cannot stand inside a string. Where it seems to, a new element begins at its brace.
- In an object `{` follows only `:`. Anywhere else an object was not closed, and a new element begins.
"""

import re
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.plan.beginning import REACH, further_at, list_at
from stretto.plan.fields import FIELD, LOOSE, QUOTES, is_field

# Nothing looks further back, and no pattern that does is longer: so it never matters how the text was cut.
_WINDOW = 1024

_ELEMENT = regex(r"""\{\s{0,40}["'“”](?:type|description|id|needs)["'“”]\s{0,40}\Z""")
_NAME = regex(rf"""["'“”]({FIELD})["'“”]\s{{0,40}}\Z""")
_SPACE = regex(r"\s*+")
_BETWEEN = regex(r"[\s,:}]*+")
_TYPOGRAPHIC = "“”„"
_RUNS = {
    '"': regex(r'(?:[^"\\]++|\\.)*+', re.DOTALL),
    "'": regex(r"(?:[^'\\]++|\\.)*+", re.DOTALL),
    _TYPOGRAPHIC: regex(r"(?:[^“”„\\]++|\\.)*+", re.DOTALL),
}
_STRUCTURE = regex(r"""[{}\[\]"'“”„:,]""")
_BEGINNING = regex(r"[\[{:]")
_COLON = regex(":")


class Entry(Struct, frozen=True):
    """An element of the list, as it is written; `headless`: an object whose brace is lost, put before it."""

    text: str
    headless: bool = False


class Scanner:
    """Finds the list and calls `opened` with the text before it and its name, and `entry` with each closed element.

    `state`: no list was seen yet, one is open, or its `]` was seen. A list is the plan's once `counts` is set; until
    then another may follow it.
    """

    def __init__(self, opened: Callable[[str, str], None], entry: Callable[[Entry], None]) -> None:
        self.state: Literal["absent", "open", "closed"] = "absent"
        self.counts = False
        self._opened = opened
        self._entry = entry
        self._scan: Callable[[int], int] = self._beside
        self._window = ""  # the newest text
        self._start = 0  # where in it the current section, an element or the text beside the list, begins or goes on
        self._pieces: list[str] = []  # of that section, what left the window
        self._nest: list[str] = []  # the brackets open in the element
        self._headless = False
        self._last = ""  # the mark of structure before
        self._key = False  # the string is a key
        self._quotes = '"'  # those that may end the string
        self._named = False  # the list has a name that says what it is
        self._keys: str | None = None  # those around the element's keys
        self._escape = False  # a backslash was the last that was seen of the string
        self._torn = False  # the string holds a quote without a backslash
        self._comma = False  # a comma followed the quote that may end the string

    def feed(self, text: str) -> None:
        """Take the next piece of the text."""
        at = len(self._window)
        self._window += text
        while at < len(self._window):
            at = self._scan(at)
        # Longer than needed: shortening it at every piece would cost more than adding to it.
        if (excess := len(self._window) - REACH) > _WINDOW:
            self._pieces.append(self._window[self._start : excess])
            self._start = max(0, self._start - excess)
            self._window = self._window[excess:]

    def unfinished(self) -> str:
        """The element that the end of the text leaves open; empty if there is none."""
        text = self._take(len(self._window)) if self._nest else ""
        self._nest = []
        return text

    @property
    def section(self) -> str:
        """The text since the list, or since its newest element."""
        return "".join([*self._pieces, self._window[self._start :]])

    def _take(self, end: int) -> str:
        """Return the section that ends here and begin the next."""
        section = "".join([*self._pieces, self._window[self._start : end]])
        self._pieces, self._start = [], end
        return section

    # Each `_scan` gets where to go on and returns where the next one shall.

    def _beside(self, at: int) -> int:
        """Look for a list, or for a further one of the plan's."""
        match = (_COLON if self.counts else _BEGINNING).search(self._window, at)
        if match is None:
            return len(self._window)
        if self.counts:
            return self._further(match.end())
        at, begin = match.end(), max(self._start, match.end() - REACH)
        if (found := list_at(self._window[begin:at])) is None:
            return at
        at = begin + found.start
        self._opened(self._take(at), found.name)
        self._named = bool(found.name)
        self.state, self._scan = "open", self._between
        return at

    def _further(self, at: int) -> int:
        """Go on with the list that a name here begins, if it is the plan's next: phases may have one each."""
        if at - self._start > REACH or any(self._pieces):
            return len(self._window)  # too far behind the first
        begin = further_at(self._window[self._start : at], named=self._named)
        if begin is None:
            return at
        at = self._start + begin
        self._begin(at)
        return at + 1

    def _between(self, at: int) -> int:
        """Look for the next element, or the end of the list."""
        at = _skip(_BETWEEN, self._window, at)
        mark, before = self._window[at : at + 1], self._window[max(0, at - REACH) : at].rstrip()
        # A brace behind the list's bracket, or behind a comma, proves that it was astray, and that the list goes on; so
        # does a bracket behind a comma: lists of lists.
        if mark == "]":
            self._take(at + 1)
            self.state, self._scan = "closed", self._between if self.counts else self._beside
        elif self.state == "closed" and mark and not before.endswith({"{": (",", "]"), "[": (",",)}.get(mark, ())):
            self._scan = self._beside
        elif mark:
            self._begin(at)
        return at + 1

    def _begin(self, at: int) -> None:
        self._take(at)
        self.state, self._last = "open", self._window[at]
        self._nest = [self._last] if self._last in "{[" else []
        self._keys, self._headless = None, False
        self._scan = self._structure
        if self._last in QUOTES:
            self._open(self._last, key=False)

    def _finish(self, end: int) -> None:
        self._nest, self._scan = [], self._between
        text = self._take(end).strip(LOOSE)
        if text != "{" and not text.startswith(("//", "/*", "#")):  # doubled braces, copied from a template; a comment
            self._entry(Entry("{" + text if self._headless else text, self._headless))

    def _structure(self, at: int) -> int:
        """Follow the brackets of an element to its next string or its end."""
        match = _STRUCTURE.search(self._window, at)
        if match is None:
            return len(self._window)
        mark, at = match.group(), match.start()
        if not self._nest:  # a string, a number, a word, an ellipsis
            self._finish(at)
            return at
        astray = self._nest[-1] == "{" and self._last != ":"
        if mark in QUOTES:
            if mark != '"' and self._window[max(0, at - REACH) : at].rstrip()[-1:] not in {"{", "[", ",", ":"}:
                return at + 1  # an apostrophe
            self._open(mark, key=astray)
        elif mark == "{" and self._nest == ["["] and not self._window[self._start + 1 : at].strip(LOOSE):
            self._begin(at)  # a bracket too many
        elif mark in "{[" and not astray:
            self._nest.append(mark)
        elif mark == "{":
            self._finish(at)
            self._begin(at)
        elif mark in "}]":
            self._close(mark, at)
        elif mark == ":" and self._keys is None:
            self._keys = ""  # the first of them has no quotes
        self._last = mark
        return at + 1

    def _close(self, mark: str, at: int) -> None:
        if mark == "}":  # closes the arrays left open in its object too
            while self._nest and self._nest.pop() != "{":
                pass
        elif "[" in self._nest[-2:]:
            while self._nest.pop() != "[":
                pass
        elif len(self._nest) == 1:  # if only the brace before is missing, this ends the list
            self.state = "closed"
        if not self._nest:
            self._finish(at + 1)

    def _open(self, mark: str, *, key: bool) -> None:
        """A string begins."""
        self._quotes = _TYPOGRAPHIC if mark in _TYPOGRAPHIC else mark
        self._key, self._torn, self._scan = key, False, self._string
        if key and self._keys is None:
            self._keys = self._quotes

    def _string(self, at: int) -> int:
        at = _skip(_RUNS[self._quotes], self._window, at + self._escape)
        mark = self._window[at : at + 1]
        self._escape = mark == "\\"
        if mark and mark in self._quotes:
            self._scan, self._comma = self._quote, False
        return at + 1

    def _quote(self, at: int) -> int:
        """Judge by what follows it whether a quote ended its string."""
        at = _skip(_SPACE, self._window, at)
        if at == len(self._window):
            return at
        mark = self._window[at]
        if mark == "," and self._nest[-1:] == ["{"] and not self._comma:
            self._comma, self._last = True, mark
            return at + 1
        if mark == ":" and self._torn and (lost := self._behind(_ELEMENT, at)) is not None:
            self._finish(lost)
            self._begin(lost)
            self._keys = self._quotes
        elif mark == ":" and not self._nest and self._is_name(at):
            self._nest, self._headless, self._keys = ["{"], True, self._quotes
            self._scan = self._structure
        elif self._follows(mark):
            self._scan = self._structure
        else:
            self._torn, self._scan = True, self._string
        return at

    def _follows(self, mark: str) -> bool:
        """Whether this can stand behind a string."""
        if not self._comma:
            return mark in (",}]:" if self._key else ",}]")
        if self._keys == "":  # a key without quotes, then
            return mark in "}]{/" or mark in QUOTES or mark.isalpha()
        return mark in "}]{/" + (self._keys or '"')

    def _behind(self, pattern: re.Pattern[str], at: int) -> int | None:
        """Where what matches the pattern up to here begins."""
        match = pattern.search(self._window, max(0, at - REACH), at)
        return match.start() if match else None

    def _is_name(self, at: int) -> bool:
        """Whether the string that ended here, and began its element, is the name of a field."""
        match = _NAME.search(self._window, max(self._start, at - REACH), at)
        return match is not None and match.start() == self._start and is_field(match[1])


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
