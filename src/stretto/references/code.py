"""Where Markdown has code, as far as it matters to references (CommonMark 0.31, 4.5 and 6.1).

Every function tells None while the text that decides is not there; `over`: none will come.
"""

import re

from msgspec import Struct

from stretto.ground.regex import regex

_REACH = 120  # characters of a line that are looked at
_MAYBE_OPENING = regex(r"[ \t>*+\-\d.)`~]*\Z")
_START = regex(r"[ \t>]{0,40}(?:(?:[-*+]|\d{1,9}[.)])[ \t]{1,8}[ \t>]{0,40}){0,3}(`{3,}|~{3,})?")
_MAYBE_CLOSING = regex(r"[ \t>]*[`~]*[ \t]*\r?\Z")
_CLOSING = regex(r"[ \t>]*(`{3,}|~{3,})[ \t]*\r?(?:\n|\Z)")
_MAYBE_BREAK = regex(r"[ \t\r*+\-\d.)`~]*\Z")
_BREAK = regex(r"[ \t]*(?:\r?\n|#|>|\||```|~~~|[-*+][ \t]|\d{1,9}[.)][ \t])")
_PARAGRAPH_ENDS = regex(r"\n" + _BREAK.pattern)


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
