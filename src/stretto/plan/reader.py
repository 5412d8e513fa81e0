"""The plan, read while it is being written: each subtask is handed over by the very piece of text that closes it.

A reply is scanned once, a run of characters at a time, so the work is linear however it is cut. What holds it up
against dirty JSON are three facts about clean JSON:

- A quote inside a string is escaped. So a quote ends a string only if `,`, `:`, `}` or `]` follows; any other belongs
  to the text, though somebody forgot its backslash.
- For the same reason `{"type":` cannot stand inside a string. Where it seems to, a new element begins at its brace.
- In an object `{` follows only `:`. Anywhere else an object was not closed, and a new element begins.
"""

import re
from collections.abc import Callable
from typing import Literal

from stretto.plan.item import LOOSE, Broken, Draft, decode_text, read_item, says_something
from stretto.text import clean

# Nothing looks further back, and no pattern that does is longer: so it never matters how the text was cut.
_REACH = 128
_WINDOW = 1024

_LIST = re.compile(r'"tasks"\s{0,40}:\s{0,40}\[')
_ELEMENT = re.compile(r'\{\s{0,40}"(?:type|description|id|needs)"\s{0,40}\Z')
_SPACE = re.compile(r"\s*+")
_BETWEEN = re.compile(r"[\s,:}]*+")
_RUN = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_STRUCTURE = re.compile(r'[{}\[\]":,]')
_SIZE = re.compile(r'"size"\s{0,40}:\s{0,40}"(\w{1,40})"')

# An atomic group, not a possessive repeat: that captures wrongly on CPython 3.11.2, which is Debian 12's own.
_BRIEF = re.compile(r'"brief"\s*:\s*"((?>(?:[^"\\]+|\\.|"(?!\s*(?:,\s*"|,?\s*(?:\}|\Z))))*))("?)', re.DOTALL)
_ANALYSIS = re.compile(
    r'"(?:analysis|brief)"\s*:\s*"((?>(?:[^"\\]+|\\.|"(?!\s*(?:,\s*"|,?\s*(?:\}|\Z))))*))("?)', re.DOTALL
)


class PlanReader:
    """Finds the subtasks in a reply that comes in pieces.

    `state`: no list `tasks` was seen yet, one is open, or its `]` was seen. `size`: what stands before the list as the
    plan's size, or "". Prose may quote the plan's form, so a list
    without one object that says something does not count and the search goes on; what is broken in it is told when
    such an object follows, or at the end.
    """

    def __init__(self) -> None:
        self.state: Literal["absent", "open", "closed"] = "absent"
        self.size = ""
        self._scan: Callable[[int], int] = self._beside
        self._window = ""  # the newest text
        self._start = 0  # where in it the current section, an element or the text beside the list, begins or goes on
        self._pieces: list[str] = []  # of that section, what left the window
        self._before: list[str] = []  # the text before the list
        self._place = 0
        self._counts = False  # the list has an object that says something
        self._held: list[Draft | Broken] = []
        self._nest: list[str] = []  # the brackets open in the element
        self._last = ""  # the mark of structure before
        self._key = False  # the string is a key
        self._escape = False  # a backslash was the last that was seen of the string
        self._torn = False  # the string holds a quote without a backslash
        self._comma = False  # a comma followed the quote that may end the string

    def feed(self, text: str) -> list[Draft | Broken]:
        """Take the next piece of the reply and return what it closed, in order."""
        at = len(self._window)
        self._window += text
        while at < len(self._window):
            at = self._scan(at)
        # Longer than needed: shortening it at every piece would cost more than adding to it.
        if (excess := len(self._window) - _REACH) > _WINDOW:
            self._pieces.append(self._window[self._start : excess])
            self._start = max(0, self._start - excess)
            self._window = self._window[excess:]
        told, self._held = (self._held, []) if self._counts else ([], self._held)
        return told

    def end(self) -> list[Broken]:
        """Take note that the reply is over and return what is broken and was not told yet."""
        told = [item for item in self._held if isinstance(item, Broken)]
        if self._nest:
            excerpt = clean(self._take(len(self._window))[:200])
            told.append(Broken(self._place + 1, excerpt, "the reply ended inside it"))
        self._held, self._nest = [], []
        return told

    @property
    def brief(self) -> str:
        """The `brief` before the list, or "" if there is none that can be decoded."""
        found = _BRIEF.findall("".join(self._before))
        return next((clean(decode_text(body)) for body, closed in reversed(found) if closed), "")

    @property
    def analysis(self) -> str:
        """The `analysis` beside the list, or "" if there is none that can be decoded."""
        after = "" if self.state == "open" else "".join(self._pieces) + self._window[self._start :]
        # Prose that quotes the form comes before the plan, so the last one before the list is meant.
        found = [*reversed(_ANALYSIS.findall("".join(self._before))), *_ANALYSIS.findall(after)]
        return next((clean(decode_text(body)) for body, closed in found if closed), "")

    def _take(self, end: int) -> str:
        """Return the section that ends here and begin the next."""
        section = "".join([*self._pieces, self._window[self._start : end]])
        self._pieces, self._start = [], end
        return section

    # Each `_scan` gets where to go on and returns where the next one shall.

    def _beside(self, at: int) -> int:
        """Look for the list, unless it was read."""
        match = None if self._counts else _LIST.search(self._window, max(self._start, at - _REACH))
        if match is None:
            return len(self._window)
        self._before.append(self._take(match.end()))
        self.size = (_SIZE.findall(self._before[-1]) or [self.size])[-1]
        self.state, self._held, self._place, self._scan = "open", [], 0, self._between
        return match.end()

    def _between(self, at: int) -> int:
        """Look for the next element, or the end of the list."""
        at = _skip(_BETWEEN, self._window, at)
        mark, before = self._window[at : at + 1], self._window[max(0, at - _REACH) : at].rstrip()
        # A comma and a brace behind the list's bracket prove that it was astray, and that the list goes on.
        if mark == "]":
            self._take(at + 1)
            self.state, self._scan = "closed", self._between if self._counts else self._beside
        elif self.state == "closed" and mark and not (mark == "{" and before.endswith(",")):
            self._scan = self._beside
        elif mark:
            self._begin(at)
        return at + 1

    def _begin(self, at: int) -> None:
        self._take(at)
        self.state, self._last = "open", self._window[at]
        self._nest = [self._last] if self._last in "{[" else []
        self._key = self._torn = False
        self._scan = self._string if self._last == '"' else self._structure

    def _finish(self, end: int) -> None:
        self._nest, self._scan = [], self._between
        text = self._take(end).strip(LOOSE)
        if text == "{" or text.startswith("//"):  # doubled braces, copied from a template; a comment
            return
        self._place += 1
        item = read_item(text, self._place)
        self._held.append(item)
        self._counts = self._counts or isinstance(item, Draft) or says_something(text)

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
        if mark == '"':
            self._key, self._torn, self._scan = astray, False, self._string
        elif mark in "{[" and not astray:
            self._nest.append(mark)
        elif mark == "{":
            self._finish(at)
            self._begin(at)
        elif mark in "}]":
            self._close(mark, at)
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

    def _string(self, at: int) -> int:
        at = _skip(_RUN, self._window, at + self._escape)
        mark = self._window[at : at + 1]
        self._escape = mark == "\\"
        if mark == '"':
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
        if mark == ":" and self._torn and (lost := _ELEMENT.search(self._window, max(0, at - _REACH), at)):
            self._finish(lost.start())
            self._begin(lost.start())
        elif mark in ('"}]{/' if self._comma else ",}]:" if self._key else ",}]"):
            self._scan = self._structure
        else:
            self._torn, self._scan = True, self._string
        return at


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
