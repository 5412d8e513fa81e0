"""Figures and texts as people read them: on one line, or in lines that break between words."""

from collections.abc import Sequence
from decimal import Decimal

from stretto.ground.regex import regex

_BESIDE = 20  # columns in front of what a line of progress says
_WORDS = regex(r"(\s*)(`[^`]*`\S*|\S+)")
_CELL = regex(r" *\S+(?: \S+)*(?<![.!?:,;]) {2,}")
_ENTRIES = ("- ", "* ", "stretto: ")
_OTHERS = 4  # models that are named
_PARTS = regex(r"\n|[^\S\n]+|\S+")
_FENCES = ("```", "~~~")
_ENTRY = regex(r"[-*+]|\d{1,3}[.)]")
_CODE = 4
"""Blanks before what Markdown takes for code."""


def dollars(cost: Decimal) -> str:
    """Money for people: cents if it comes to some, else as many digits as it takes."""
    return f"${cost:.2f}" if cost >= 1 else f"${float(cost):.2g}" if cost < Decimal("0.01") else f"${cost:.3f}"


def short(text: str | None, most: int = 100) -> str:
    """A text on one line, short, and without anything that a terminal would obey."""
    start = (text or "")[: 8 * most]
    line = "".join(letter for letter in " ".join(start.split()) if letter.isprintable())
    return line if len(line) <= most and len(start) == len(text or "") else line[: most - 1] + "…"


def columns_of(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fitting(text: str, columns: int) -> str:
    """A text on one line of so many columns; what does not fit is cut between two words, if that leaves the half."""
    line = short(text, 4 * columns)
    if columns_of(line) <= columns:
        return line
    end = len(line)
    while columns_of(line[:end]) > columns - 1:
        end -= 1
    words = line[:end].rpartition(" ")[0].rstrip() if line[end : end + 1] not in {"", " "} else line[:end].rstrip()
    return f"{words if 2 * columns_of(words) >= columns else line[:end]}…"


def folded(text: str, columns: int, indent: str | None = None) -> str:
    """A text whose lines, where they take more columns, break between words; what follows is indented.

    `indent` None: as it begins, below a second column if there is one, or by two in an entry of a list or a message.
    A word that is too long for any line (a path, an id) is the terminal's to break: it can be copied as a whole then.
    So is a command in backquotes.
    """
    return "\n".join(_folded(line, columns, indent) for line in text.split("\n"))


def _folded(line: str, columns: int, indent: str | None) -> str:
    if columns_of(line) <= columns:
        return line
    told, used = "", 0
    if indent is None:
        cell = _CELL.match(line)
        if cell and len(cell[0]) <= columns * 2 // 3:
            indent = " " * len(cell[0])
        else:
            indent = line[: len(line) - len(line.lstrip())] + "  " * line.lstrip().startswith(_ENTRIES)
    for blanks, word in _WORDS.findall(line):
        width = columns_of(word)
        if told and used + len(blanks) + width > columns:
            told, used = f"{told}\n{indent}{word}", len(indent) + width
        else:
            told, used = told + blanks + word, used + len(blanks) + width
    return told


def hung(text: str, columns: int) -> str:
    """A text behind a time and a word, folded; below them where there is too little room beside."""
    if columns < 2 * _BESIDE and columns_of(text) > columns - _BESIDE:
        return "".join(f"\n  {line}" for line in folded(text, columns - 2, "").split("\n"))
    return "  " + folded(text, columns - _BESIDE, "").replace("\n", "\n" + " " * _BESIDE)


class Folding:
    """Breaks a text that comes in pieces, where a line is wider than the terminal; code and tables stay as they are.

    What may still be the beginning of a longer word is held back.
    """

    def __init__(self) -> None:
        self._held = ""
        self._fenced = False
        self._begin()

    def _begin(self) -> None:
        self._used = 0
        self._blanks = ""
        self._indent = ""
        self._whole: bool | None = None  # None: the line has no word yet

    def take(self, text: str, columns: int) -> str:
        """What is to be written now, on a terminal of so many columns."""
        parts = _PARTS.findall(self._held + text)
        self._held = parts.pop() if parts and parts[-1] != "\n" else ""
        return "".join(self._written(part, columns) for part in parts)

    def end(self, columns: int) -> str:
        """What was held back; what comes then begins anew."""
        rest = self._written(self._held, columns) if self._held else ""
        self._held, self._fenced = "", False
        self._begin()
        return rest

    def _written(self, part: str, columns: int) -> str:
        if part == "\n":
            blanks = self._blanks
            self._begin()
            return f"{blanks}\n"
        if part.isspace():
            self._blanks += part
            return ""
        if self._whole is None:
            self._look_at(part)
        blanks, self._blanks, width = self._blanks, "", columns_of(part)
        if not self._whole and self._used and self._used + len(blanks) + width > columns:
            self._used = len(self._indent) + width
            return f"\n{self._indent}{part}"
        self._used += len(blanks) + width
        return blanks + part

    def _look_at(self, word: str) -> None:
        """What the first word of a line says of all of it."""
        fence = word.startswith(_FENCES)
        self._whole = self._fenced or fence or word.startswith("|") or len(self._blanks.expandtabs(_CODE)) >= _CODE
        self._fenced ^= fence
        self._indent = self._blanks + " " * (len(word) + 1 if _ENTRY.fullmatch(word) else 0)


def not_listed(model: str, others: Sequence[str]) -> str:
    """That a server on this machine does not list a model, as written, and what it has."""
    provider, _, name = model.partition(":")
    listed = ", ".join(short(other, 60) for other in others[:_OTHERS]) + (", …" if len(others) > _OTHERS else "")
    return f"{provider} lists no {short(name, 60)!r}, but {listed}; it may refuse that name, or answer to any"


def span(seconds: float) -> str:
    """A length of time: 0.4 s, 94.0 s, 12m05s, 3h07m."""
    return long_span(seconds) if seconds >= 99.95 else f"{seconds:.1f} s"


def long_span(seconds: float) -> str:
    """A length of time that is no matter of single seconds: 12m05s, and from 100 minutes on 3h07m."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes}m{rest:02}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes:02}m"
