"""An answer that stands as a whole in one fence of Markdown, as chat models like to hand over a document."""

import re

from stretto.ground.regex import regex

_OPENING = regex(r"\s{0,40}(`{3,}|~{3,})[ \t]{0,8}(?:markdown|md)[ \t]{0,8}\r?\n", re.IGNORECASE)
_LONGEST = 110  # characters of a line that may be a fence
_FENCE = regex(r"[ \t]{0,3}(`{3,}|~{3,})[ \t]*(\S?)")


class Unwrapped:
    """Takes such a fence off an answer that comes in pieces; one whose fence names another language is code, and stays.

    Of `feed` and `end` comes what can be shown. Nothing is held back but a line that may be the fence's last. Where
    text follows behind it the fence was not around everything: `wrong` then, and the answer is to be shown as it is.
    """

    def __init__(self) -> None:
        self._held = ""
        self._mark = ""
        self._depth = 0
        self._amid = False  # a line has been shown in part
        self._decided = False
        self.wrong = False

    def feed(self, text: str) -> str:
        """Take the next piece of the answer and return what can be shown of it now."""
        if self._decided and not self._mark:
            return text  # nearly always
        self._held += text
        if not self._decided and not self._begin():
            return ""
        return self._inside() if self._mark else self._release()

    def end(self) -> str:
        """Take note that the answer is over and return the rest of it."""
        if self._depth and not self._amid:
            self._line(self._held)
        return "" if self._mark and not self._depth else self._release()

    def _begin(self) -> bool:
        """Whether it is known now how the answer begins."""
        found = _OPENING.match(self._held)
        line = self._held.lstrip()
        self._decided = bool(found) or len(self._held) > _LONGEST or "\n" in line or line[:1] not in {"", "`", "~"}
        if found:
            self._held, self._mark, self._depth = self._held[found.end() :], found[1], 1
        return self._decided

    def _inside(self) -> str:
        """What is certain to be in the fence: all but a line that may close it, and what follows that."""
        shown = []
        while self._held and self._depth:
            end = self._held.find("\n") + 1
            start = self._held.lstrip(" \t")[:1]
            maybe = not self._amid and start in {"", self._mark[0]}
            if maybe and (self._line(self._held[:end]) if end else len(self._held) <= _LONGEST):
                break
            shown.append(self._held[: end or len(self._held)])
            self._held, self._amid = self._held[len(shown[-1]) :], not end
        if not self._depth:
            self.wrong = bool(self._held.partition("\n")[2].strip())
        return "".join(shown)

    def _line(self, line: str) -> bool:
        """Take a line of what is in the fence; whether it closes that."""
        if (fence := _FENCE.match(line)) and fence[1].startswith(self._mark):
            self._depth += 1 if fence[2] else -1
        return not self._depth

    def _release(self) -> str:
        held, self._held = self._held, ""
        return held
