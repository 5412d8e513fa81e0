"""One reference as a model writes it, and what there is that it may mean, subtasks with a result and inputs.

It is written `[^t3]`, `[^t1, t3]`, `[^i2:10-14]` or `[^i2 "words copied exactly"]`.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from msgspec import Struct

from stretto.ground.regex import regex

LONGEST = 400
"""Characters of a reference; what is longer is text."""

_HEAD = regex(r"\[\^[ \t]?[\w./+-][\w./+\-,;:#^ \t–—]{0,120}")
_PARAGRAPH = regex(r"\n[ \t\r]*\n")
_CLOSERS = {
    '"': '"”', "“": '”"“', "„": '“”"', "«": "»", "»": "«", "'": "'’", "‘": "’'", "「": "」", "『": "』",
}  # fmt: skip
_END = regex(r"(?<!\\)[\"”“»«'’」』](?:(?:\s{0,3}[,;]\s{0,3}|\s{1,3})\^?[\w./+:–-]{1,60}){0,8}\s{0,3}\]")
_ITEM = regex(
    r"[\s,;]*\^?(?P<label>[\w./+-]+)"
    r"(?:(?:\s*:\s*(?:lines?\s*|L)?|\s*,?\s*lines?\s+|\s*#?L)(?P<first>\d{1,9})(?:\s*[-–—]\s*L?(?P<last>\d{1,9}))?)?"
)
_NAMED = regex(
    r"(?P<label>[^\"“„«‘「『]+?)"
    r"(?:\s*:\s*(?:lines?\s*|L)?(?P<first>\d{1,9})(?:\s*[-–—]\s*L?(?P<last>\d{1,9}))?)?[\s,:]*(?=[\"“„«‘「『]|\Z)"
)
_LINES = regex(r"(\d{1,9})(?:[-–—]L?(\d{1,9}))?")
_OPENING = regex(r"[\s:,]*([\"“„«»'‘「『])")
_NEXT = regex(r"\s*(?:\Z|[\"“„«「『]|[\s,;]\s*(?:[\"“„«「『]|\^?([\w./+-]+)))")
_UNREADABLE = regex(r"\s*\S")

_USUAL = regex(r"[ti]\d{1,5}", re.IGNORECASE)
_DIGITS = regex(r"\d+")


class Part(Struct, frozen=True):
    """One source that a reference names, as it is written there; `lines` are the first and the last."""

    label: str
    lines: tuple[int, int] | None = None
    quote: str = ""


class Mark(Struct, frozen=True):
    """A reference: how long it is, what it names, and whether all of it could be read."""

    size: int
    parts: tuple[Part, ...]
    whole: bool


Knows = Callable[[str], bool]
"""Whether a label is that of something there is."""


def read_mark(window: str, knows: Knows, *, over: bool) -> Mark | bool:
    """The reference that a text begins with; False if there is none, True if it must be longer to tell.

    The text begins with `[^` and is cut after `LONGEST` characters; `over` says that the whole answer ends with it.
    """
    ended = over or len(window) >= LONGEST
    if blank := _PARAGRAPH.search(window):
        window, ended = window[: blank.start()], True
    head = _HEAD.match(window)
    if head is None:
        return not ended and window in {"[^", "[^ ", "[^\t"}
    at = head.end()
    if at == len(window):
        return not ended
    if window[at] == "]":
        return _mark(window[: at + 1], knows)
    if window[at] not in _CLOSERS:
        return False
    end = _quoted(window, at, ended=ended)
    return end if isinstance(end, bool) else _mark(window[:end], knows)


def _quoted(window: str, start: int, *, ended: bool) -> int | bool:
    """Where a reference ends that has quotes from `start` on: at a bracket behind one, or behind labels that follow it.

    A quote may hold `"]` itself (`x["a"] = 1`), so brackets inside have to match; where they never do, the first such
    bracket counts, and where there is none, the first of the line.
    """
    first, depth, seen = 0, 0, start
    for found in _END.finditer(window, start + 1):
        inside = window[seen : found.start()]
        depth += inside.count("[") - inside.count("]")
        seen = found.start()
        first = first or found.end()
        if depth <= 0:
            return found.end()
    if not ended:
        return True
    line = window.partition("\n")[0]
    return first or line.find("]", start) + 1 or False


def _mark(text: str, knows: Knows) -> Mark:
    content = text[2:-1].strip()
    if knows(content):  # an id with blanks
        return Mark(len(text), (Part(content),), whole=True)
    parts: list[Part] = []
    at, whole = 0, True
    named = _NAMED.match(content)  # a name may have blanks and colons
    while at < len(content) and (item := named if named and knows(named["label"]) else _ITEM.match(content, at)):
        at, named = item.end(), None
        label, lines = item["label"], _lines(item["first"], item["last"])
        if parts and parts[-1].lines and (more := _LINES.fullmatch(label)):  # `i2:10-14, 20-22`
            label, lines = parts[-1].label, _lines(more[1], more[2])
        quotes = list(_quotes(content, at, knows))
        parts += [Part(label, lines, quote) for quote, _ in quotes] or [Part(label, lines)]
        at = quotes[-1][1] if quotes else at
        if content[at : at + 1] not in {"", " ", ",", ";", "\t"}:
            break
    whole = not _UNREADABLE.match(content, at)
    return Mark(len(text), tuple(parts), whole=whole)


def _quotes(content: str, at: int, knows: Knows) -> Iterator[tuple[str, int]]:
    """The quotes that stand here one after the other, each with where it ends."""
    while opening := _OPENING.match(content, at):
        start, closers = opening.end(), _CLOSERS[opening[1]]
        at = next((place for place in range(start, len(content)) if _closes(content, place, closers, knows)), -1)
        text = content[start:at] if at >= 0 else content[start:]
        at = at + 1 if at >= 0 else len(content)
        yield re.sub(r"\\([\"'“”\\\[\]])", r"\1", text).strip(), at


def _closes(content: str, place: int, closers: str, knows: Knows) -> bool:
    """Whether a quotation mark ends its quote: what goes on with words is inside it."""
    if content[place] not in closers or content[place - 1] == "\\":
        return False
    after = _NEXT.match(content, place + 1)
    return after is not None and (after[1] is None or knows(after[1].rstrip(".")))


def _lines(first: str | None, last: str | None) -> tuple[int, int] | None:
    if first is None:
        return None
    one, other = int(first), int(last or first)
    return (min(one, other), max(one, other))


class Sources:
    """Tells whom a label means.

    `known`: subtasks with a text; `planned`: those that exist, text or not; `inputs`: the names of those there are
    (`i1`, …). An input goes before a subtask that has the same id, an exact id before one in another case, both before
    the name of an input, which is known by its last part too if no other has that.
    """

    def __init__(self, known: Collection[str], planned: Collection[str], inputs: Sequence[str]) -> None:
        self._inputs = {f"i{number}": number for number in range(1, len(inputs) + 1)}
        self._ids = {*known, *self._inputs}
        self._folded = _named(inputs) | {each.casefold(): each for each in sorted(self._ids, reverse=True)}
        self._planned = set(planned) - self._ids
        forms = {_DIGITS.sub("0", each) for each in {*self._ids, *self._planned} if _DIGITS.search(each)}
        self._forms = {form for form in forms if form != "0"}

    def find(self, label: str) -> str | None:
        """The id that a label means; None if there is no such source."""
        for name in (label, label.rstrip(".")):
            if name in self._ids:
                return name
        return self._folded.get(label.rstrip(".").casefold())

    def knows(self, label: str) -> bool:
        """Whether a label means anything there is."""
        return self.find(label) is not None

    def input(self, source: str) -> int | None:
        """The number of an input, from 1; None for a subtask."""
        return self._inputs.get(source)

    def owns(self, mark: Mark) -> bool:
        """Whether a reference is one of ours, not the answer's own footnote or a piece of its text.

        It is if it names anything that is known; if it can be read whole and names something planned, something like
        `t7` or `i9`, or a number in the form of a known id, it is too, though there is nothing behind it.
        """
        labels = [part.label for part in mark.parts]
        return any(map(self.knows, labels)) or (mark.whole and any(map(self._looks, labels)))

    def wants(self, label: str) -> str:
        """Why a label means nothing."""
        return f"{label} has no result" if label in self._planned else f"there is no {label}"

    def _looks(self, label: str) -> bool:
        return bool(label in self._planned or _USUAL.fullmatch(label)) or _DIGITS.sub("0", label) in self._forms


def _named(inputs: Sequence[str]) -> dict[str, str]:
    """The ids of inputs by names that nobody would give a footnote: those of files and pages."""
    numbered = [(name.casefold(), f"i{number}") for number, name in enumerate(inputs, 1)]
    ways = [*numbered, *((name.replace("\\", "/").rpartition("/")[2], id_) for name, id_ in numbered)]
    several = Counter(name for name, _ in set(ways))
    return {name: id_ for name, id_ in ways if ("." in name or "/" in name) and several[name] == 1}
