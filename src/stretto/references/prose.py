"""A Markdown text that comes in pieces, told apart into code and prose.

Whatever pieces it comes in, the same is found: nothing is decided before the text that decides it is there. That is at
most `LONGEST` characters further, and only what may still become a reference is kept back so long.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.references.marks import LONGEST

_REACH = 120  # characters of a line that are looked at
_MAYBE_OPENING = regex(r"[ \t>*+\-\d.)`~]*\Z")
_START = regex(r"[ \t>]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8}[ \t>]{0,40}){0,3}(`{3,}|~{3,})?")
_MAYBE_CLOSING = regex(r"[ \t>]*[`~]*[ \t]*\r?\Z")
_CLOSING = regex(r"[ \t>]*(`{3,}|~{3,})[ \t]*\r?(?:\n|\Z)")
_MAYBE_BREAK = regex(r"[ \t\r*+\-\d.)`~]*\Z")
_BREAK = regex(r"[ \t]*(?:\r?\n|#|>|\||```|~~~|[-*+][ \t]|\d{1,9}[.)][ \t])")
_PARAGRAPH_ENDS = regex(r"\n" + _BREAK.pattern)

HOLD = -1
"""What a piece of scanning returns that needs more text to go on."""
_LEAD = r"(?:[ \xa0]?[(\uff08])?[ \xa0]?\[\^"
_STOP = regex(rf"\\[!-/:-@\[-`{{-~]?|`{{1,100}}|\n|{_LEAD}")
_STOP_IN_SPAN = regex(rf"`{{1,100}}|\n|{_LEAD}")
_NEAR_STOP = regex(r"[\\`\n\[]")  # of which each stop has one, behind three letters at most
_STOP_IN_INFO = regex(r"[`\n]")
_TAIL = regex(r"[ \xa0]?[(\uff08][ \xa0]?\[?\Z|[ \xa0]?\[\Z|[ \xa0]\Z")  # what may become a lead


# Where Markdown has code, as far as it matters here (CommonMark 0.31, 4.5 and 6.1). Each of these tells None while the
# text that decides is not there; `over`: none will come.


class Opening(Struct, frozen=True):
    """The start of a line: where its markers end, and the mark of the fence that opens there, if one does."""

    end: int
    mark: str = ""


def opening(text: str, at: int, *, over: bool) -> Opening | None:
    """How the line begins that begins here."""
    start = text[at : at + _REACH]
    if not over and len(start) < _REACH and _MAYBE_OPENING.match(start):
        return None
    found = _START.match(start)
    return Opening(at + found.end(), found[1] or "") if found else Opening(at)


def closing_fence(text: str, at: int, mark: str, *, over: bool) -> int | None:
    """Where the line ends that begins here, if it closes the fence that opened with this mark; else 0."""
    start = text[at : at + _REACH]
    if not over and len(start) < _REACH and _MAYBE_CLOSING.match(start):
        return None
    found = _CLOSING.match(start)
    closes = found is not None and found[1].startswith(mark)
    return at + found.end() if found and closes else 0


def breaks(text: str, at: int, *, over: bool) -> bool | None:
    """Whether the line that begins here is not of the paragraph before."""
    start = text[at : at + _REACH]
    if not over and len(start) < _REACH and _MAYBE_BREAK.match(start):
        return None
    return _BREAK.match(start) is not None


def span_closes(window: str, mark: str, *, over: bool) -> int | None:
    """Where in a text a span of code ends that opened with these backticks; 0 if it does not in its paragraph."""
    close = re.compile(rf"(?<!`){mark}(?!`)").search(window)
    end = _PARAGRAPH_ENDS.search(window)
    if close and (over or close.end() < len(window)) and not (end and end.start() < close.start()):
        return close.end()
    return 0 if over or end else None


class Prose(ABC):
    """Reads a text and shows it, but for what `_reference` and `_after` take out of its prose.

    Each `_scan` gets where in the held text to go on, and returns where the next one shall, or `HOLD`.
    """

    def __init__(self) -> None:
        self._held = ""
        self._pieces: list[str] = []
        self._length = 0
        self._last = "\n"
        self._passed = 0  # characters read before those that are held
        self._over = False
        self._scan: Callable[[int], int] = self._line
        self._mark = ""  # the backticks or tildes that opened the code that is being read
        self._since = 0  # characters read up to there
        self._bare = 0  # where in the clean text the words of its line begin
        self._fenced = 0  # where in the clean text its fence began
        self._behind = False  # a reference has just been removed
        self._fences: list[tuple[int, int]] = []

    def feed(self, text: str) -> str:
        """Take the next piece of the text and return what can be shown of it now."""
        self._held += text
        told, at = len(self._pieces), 0
        while at < len(self._held) and (further := self._scan(at)) != HOLD:
            at = further
        self._passed += at
        self._held = self._held[at:]
        return "".join(self._pieces[told:])

    def end(self) -> str:
        """Take note that the text is over and return the rest of it."""
        self._over = True
        rest = self.feed("")
        if self.unclosed:
            self._fences.append((self._fenced, self._length))
        return rest

    @property
    def text(self) -> str:
        """The clean text so far."""
        return "".join(self._pieces)

    @property
    def fences(self) -> tuple[tuple[int, int], ...]:
        """Where in the clean text its blocks of code stand."""
        return tuple(self._fences)

    @property
    def unclosed(self) -> str:
        """What would close the block of code that the text ends in; empty if it does not."""
        return self._mark if self._over and self._scan in {self._info, self._fence, self._code} else ""

    @abstractmethod
    def _reference(self, at: int, lead: re.Match[str]) -> int:
        """What `lead` begins (`[^`, with the blank and the parenthesis before it), shown or taken out."""

    @abstractmethod
    def _after(self, at: int) -> int:
        """What follows a reference that was taken out."""

    def _emit(self, start: int, end: int) -> int:
        """Show this part of what is held."""
        self._put(self._held[start:end])
        return end

    def _put(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self._length += len(text)
            self._last = text[-1]

    def _line(self, at: int) -> int:
        """Begin a line."""
        fence = opening(self._held, at, over=self._over)
        if fence is None:
            return HOLD
        self._scan = self._prose
        if fence.mark:
            self._mark, self._fenced, self._since = fence.mark, self._length, self._passed + fence.end
            self._scan = self._info if fence.mark[0] == "`" else self._code
        self._emit(at, fence.end)
        self._bare = self._length
        return fence.end

    def _info(self, at: int) -> int:
        """The rest of a line that opens a fence, unless it has backticks: then it was no fence."""
        stop = _STOP_IN_INFO.search(self._held, at)
        if stop is None:
            return self._emit(at, len(self._held))
        if stop[0] == "`":
            self._scan = self._span
            return self._emit(at, stop.start())
        self._scan = self._fence
        return self._emit(at, stop.end())

    def _fence(self, at: int) -> int:
        """Begin a line of code."""
        end = closing_fence(self._held, at, self._mark, over=self._over)
        if end is None:
            return HOLD
        self._scan = self._line if end else self._code
        if not end:
            return at
        self._emit(at, end)
        self._fences.append((self._fenced, self._length - (self._last == "\n")))
        return end

    def _code(self, at: int) -> int:
        """The rest of a line of code."""
        end = self._held.find("\n", at) + 1
        self._scan = self._fence if end else self._code
        return self._emit(at, end or len(self._held))

    def _span(self, at: int) -> int:
        """Code between backticks, if they close."""
        stop = _STOP_IN_SPAN.search(self._held, at)
        if stop is None:
            return self._all_but_a_lead(at)
        start = self._emit(at, stop.start())
        if stop[0][0] == "`":
            return self._ticks(at, stop, closes=True)
        if stop[0] == "\n":
            broken = breaks(self._held, start + 1, over=self._over)
            if broken is None:
                return wait(at, start)
            self._scan = self._line if broken else self._span
            self._emit(start, start + 1)
            self._bare = self._length
            return start + 1
        limit = max(0, self._since + LONGEST - self._passed - start)
        window = self._held[start : start + limit]
        end = span_closes(window, self._mark, over=self._over or len(window) == limit)
        if end is None:
            return wait(at, start)
        self._scan = self._prose
        return self._emit(start, start + end)

    def _ticks(self, at: int, run: re.Match[str], *, closes: bool) -> int:
        """A run of backticks: it opens a span, or closes one."""
        if run.end() == len(self._held) and not self._over:
            return wait(at, run.start())
        if not closes:
            self._scan, self._mark, self._since = self._span, run[0], self._passed + run.end()
        elif run[0] == self._mark:
            self._scan = self._prose
        return self._emit(run.start(), run.end())

    def _prose(self, at: int) -> int:
        """Text in which references are looked for."""
        if self._behind:
            return self._after(at)
        # Looking for a few letters costs a tenth of trying the whole pattern at each.
        near = _NEAR_STOP.search(self._held, at)
        stop = _STOP.search(self._held, max(at, near.start() - 3)) if near else None
        if stop is None:
            return self._all_but_a_lead(at)
        self._emit(at, stop.start())
        if stop[0][0] == "`":
            return self._ticks(at, stop, closes=False)
        if stop[0] == "\n":
            self._scan = self._line
        elif stop[0][0] != "\\":
            return self._reference(at, stop)
        elif len(stop[0]) == 1 and stop.end() == len(self._held) and not self._over:
            return wait(at, stop.start())
        return self._emit(stop.start(), stop.end())

    def _all_but_a_lead(self, at: int) -> int:
        tail = None if self._over else _TAIL.search(self._held, max(at, len(self._held) - 4))
        end = tail.start() if tail else len(self._held)
        return wait(at, self._emit(at, end))


def wait(at: int, start: int) -> int:
    """Nothing can be told from `start` on: go on there next time, which says so if that is where it began."""
    return HOLD if at == start else start
