"""The plan, read while it is being written: each subtask is handed over by the very piece of text that closes it.

A reply is scanned once, a run of characters at a time, so the work is linear however it is cut. What holds it up
against dirty JSON are three facts about clean JSON:

- A quote inside a string is escaped. So a quote ends a string only if `,`, `:`, `}` or `]` follows; any other belongs
  to the text, though somebody forgot its backslash.
- For the same reason `{"type":` cannot stand inside a string. Where it seems to, a new element begins at its brace.
- In an object `{` follows only `:`. Anywhere else an object was not closed, and a new element begins.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import Struct

# Nothing looks further back, and no pattern that does is longer: so it never matters how the text was cut.
_REACH = 128
_WINDOW = 1024

_LIST = re.compile(r'"tasks"\s{0,40}:\s{0,40}\[')
_ELEMENT = re.compile(r'\{\s{0,40}"(?:type|description|id|needs)"\s{0,40}\Z')
_SPACE = re.compile(r"\s*+")
_BETWEEN = re.compile(r"[\s,:}]*+")
_RUN = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_STRUCTURE = re.compile(r'[{}\[\]":,]')

_ANALYSIS = re.compile(r'"analysis"\s*:\s*"((?:[^"\\]++|\\.|"(?!\s*(?:,\s*"|,?\s*(?:\}|\Z))))*+)("?)', re.DOTALL)
_KEY = re.compile(r'[{,"\]]\s*"(\w+)"\s*:\s*')
_COMMENT = re.compile(r"([,{\[])\s*//[^\n/]*+\n")
_QUOTED = re.compile(r'"(.*(?<!\\)(?:\\\\)*)"', re.DOTALL)
_NAMES = re.compile(r'"((?:[^"\\]|\\.)*)"|([\w.+-]+)', re.DOTALL)
_LOOSE = " \t\r\n,"
_ESCAPE = re.compile(r'(\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))|\\(\')|([\\"])')
_SAYS = re.compile(r"[^\s.…]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Draft(Struct, frozen=True):
    """A subtask as the orchestrator wrote it, unchecked."""

    type: str
    description: str
    id: str | None = None
    needs: tuple[str, ...] = ()


class Broken(Struct, frozen=True):
    """An element of `tasks` that is no subtask: its place from 1, its first 200 characters, and why."""

    place: int
    excerpt: str
    why: str


class PlanReader:
    """Finds the subtasks in a reply that comes in pieces.

    `state`: no list `tasks` was seen yet, one is open, or its `]` was seen. Prose may quote the plan's form, so a list
    without one object that says something does not count and the search goes on; what is broken in it is told when
    such an object follows, or at the end.
    """

    def __init__(self) -> None:
        self.state: Literal["absent", "open", "closed"] = "absent"
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
        if not (self._held and self._counts):
            return []
        told, self._held = self._held, []
        return told

    def end(self) -> list[Broken]:
        """Take note that the reply is over and return what is broken and was not told yet."""
        told = [item for item in self._held if isinstance(item, Broken)]
        if self._nest:
            excerpt = _clean(self._take(len(self._window))[:200])
            told.append(Broken(self._place + 1, excerpt, "the reply ended inside it"))
        self._held, self._nest = [], []
        return told

    @property
    def analysis(self) -> str:
        """The `analysis` beside the list, or "" if there is none that can be decoded."""
        after = "" if self.state == "open" else "".join(self._pieces) + self._window[self._start :]
        # Prose that quotes the form comes before the plan, so the last one before the list is meant.
        found = [*reversed(_ANALYSIS.findall("".join(self._before))), *_ANALYSIS.findall(after)]
        return next((_clean(_text(body)) for body, closed in found if closed), "")

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
        self.state, self._held, self._place, self._scan = "open", [], 0, self._between
        return match.end()

    def _between(self, at: int) -> int:
        """Look for the next element, or the end of the list."""
        at = _skip(_BETWEEN, self._window, at)
        mark = self._window[at : at + 1]
        if mark == "]":
            self._take(at + 1)
            self.state, self._scan = "closed", self._between if self._counts else self._beside
        elif self.state == "closed" and mark and not (mark == "{" and self._after_comma(at)):
            self._scan = self._beside
        elif mark:
            self._begin(at)
        return at + 1

    def _after_comma(self, at: int) -> bool:
        """Tell if a comma leads here: then the list goes on, for all that a bracket astray seemed to close it."""
        return self._window[max(0, at - _REACH) : at].rstrip().endswith(",")

    def _begin(self, at: int) -> None:
        self._take(at)
        self.state, self._last = "open", self._window[at]
        self._nest = [self._last] if self._last in "{[" else []
        self._key = self._torn = False
        self._scan = self._string if self._last == '"' else self._structure

    def _finish(self, end: int) -> None:
        self._nest, self._scan = [], self._between
        text = self._take(end).strip(_LOOSE)
        if text == "{" or text.startswith("//"):  # doubled braces, copied from a template; a comment
            return
        self._place += 1
        item = _item(text, self._place)
        self._held.append(item)
        self._counts = self._counts or isinstance(item, Draft) or any(map(_says, _salvaged(text).values()))

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


def _item(text: str, place: int) -> Draft | Broken:
    """Decode an element, mending it if need be."""
    said = _draft(_fields(text)) if text[0] == "{" else "it is not an object"
    return said if isinstance(said, Draft) else Broken(place, _clean(text[:200]), said)


def _draft(fields: dict[str, Any]) -> Draft | str:
    """Return the subtask, or why it is none."""
    for name in ("type", "description"):
        if not _says(fields.get(name)):
            return f"`{name}` is {'missing' if fields.get(name) is None else 'not a text that says something'}"
    needs = fields.get("needs")
    names = [fields.get("id"), *(needs if isinstance(needs, list) else [needs])]
    if any(isinstance(name, bool | list | dict) for name in names):
        return "`id` or `needs` holds something that is no id"
    own, *others = ["" if name is None else _clean(str(name)) for name in names]
    return Draft(_clean(fields["type"]), _clean(fields["description"]), own or None, tuple(filter(None, others)))


def _says(value: Any) -> bool:
    """Tell a text from nothing, from other things and from the dots of a quoted form."""
    return isinstance(value, str) and _SAYS.search(value) is not None


def _fields(text: str) -> dict[str, Any]:
    """Decode an object: strictly, else with what the standard library forgives, else field by field."""
    with suppress(ValueError, RecursionError):
        return msgspec.json.decode(text, type=dict[str, Any])
    with suppress(ValueError, RecursionError):
        return dict(json.loads(text, strict=False))
    return _salvaged(text)


def _salvaged(text: str) -> dict[str, Any]:
    """Cut an object that is no JSON at its keys and read what lies between them; the first of a name counts."""
    text = _COMMENT.sub(r"\1", text)
    fields, end = {}, len(text)
    for key in reversed(list(_KEY.finditer(text))):
        fields[key[1]] = _value(text[key.end() : end].strip())
        end = key.start(1) - 1
    return fields


def _value(raw: str) -> Any:
    """Read a field as far as it is certain what was meant; with a bare word it is not."""
    if raw.startswith('"'):
        quoted = _QUOTED.match(raw)
        return _text(quoted[1] if quoted else raw[1:].rstrip(_LOOSE + "}"))
    if raw.startswith("["):
        return [_text(quoted) if quoted else bare for quoted, bare in _NAMES.findall(raw)]
    bare = raw.rstrip(_LOOSE + "}")
    return bare if bare.isdecimal() else None


def _text(body: str) -> str:
    """Decode what stands between the quotes of a string, whatever its escapes."""
    return str(json.loads('"' + _ESCAPE.sub(lambda m: m[1] or m[2] or "\\" + m[3], body) + '"', strict=False))


def _clean(text: str) -> str:
    """Replace lone surrogates, which can be neither stored nor sent."""
    return _SURROGATE.sub("\ufffd", text)
