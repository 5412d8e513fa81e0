"""An answer on a terminal, as plain text: lines break between words while they are written."""

from stretto.cli.words import columns_of
from stretto.ground.regex import regex

_PARTS = regex(r"\n|[^\S\n]+|\S+")
_FENCES = ("```", "~~~")
_ENTRY = regex(r"[-*+]|\d{1,3}[.)]")
_CODE = 4
"""Blanks before what Markdown takes for code."""


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
