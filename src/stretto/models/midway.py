"""A block in tags of thought that opens in the midst of a text: what it is, is known when it ends.

Some models think once more after they have begun to answer. An answer may speak of such tags, too: then they stand in
quotes or in code, or as words of a sentence, with blanks around them.
"""

import re

from stretto.ground.regex import regex

_FENCE = regex(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_QUOTES = "`\"'“„«\u2018("
_REACH = 40  # longer than any tag that ends a block
_FEW = 2  # words within a line that are more than an example of a tag


class Passed:
    """The text that was passed on: whether a tag behind it may open a block, and stands in no quotes and in no code."""

    def __init__(self) -> None:
        self.last = "\n"
        """Its last letter; a newline at the start."""
        self._pieces: list[str] = []  # from the beginning of a line on
        self._fenced = False

    def take(self, text: str) -> None:
        """More of it."""
        self._pieces.append(text)
        self.last = text[-1]

    def allows_thought(self) -> bool:
        """Whether a tag that follows may open a block of thought."""
        lines, newline, begun = "".join(self._pieces).rpartition("\n")
        self._fenced ^= len(_FENCE.findall(lines)) % 2 == 1 if newline else False
        self._pieces = [begun[:_REACH]]  # of a line only its beginning can be a fence
        return self.last not in _QUOTES and not self._fenced


class Midway:
    """The block that a tag has opened; `line`: it begins a line."""

    def __init__(self, tag: str, closing: re.Pattern[str], *, line: bool) -> None:
        self.held = tag
        """All of it so far, with its tag."""
        self.rest = ""
        """What follows its end."""
        self._tag = len(tag)
        self._closing = closing
        self._line = line

    def feed(self, piece: str) -> bool | None:
        """Take more of it in: whether it was thought, once it has ended; it is text at once if its tag is a word."""
        start = max(self._tag, len(self.held) - _REACH)
        self.held += piece
        if not self._line and self.held[self._tag : self._tag + 1].isspace() and self.held[self._tag] != "\n":
            return self._end(len(self.held), thought=False)
        if found := self._closing.search(self.held, start):
            return self._end(found.end(), thought=self._is_thought(self.held[self._tag : found.start()]))
        return None

    def end(self) -> bool:
        """Whether what never ended was thought: a tag that had its line for itself opened no sentence."""
        return self._line and self.held[self._tag : self._tag + 1] in {"\n", "\r"}

    def _is_thought(self, inside: str) -> bool:
        if self._line:
            return not (inside[:1] == " " and inside[-1:] == " ")
        return "\n" in inside or len(inside.split()) >= _FEW

    def _end(self, at: int, *, thought: bool) -> bool:
        self.held, self.rest = self.held[:at], self.held[at:]
        return thought
