"""`<think>` blocks: what open models say to themselves before they reply, taken out of the reply."""

import re

from stretto.calls import Chunk, Reasoning, Restarted, Text

_OPENING = ("<think>", "<thinking>")
_CLOSING = re.compile(r"</think(?:ing)?>\s*")
# Some chat templates open the block in the prompt, so that a reply has only its end, on the end of a line.
_TAG = re.compile(r"(<think(?:ing)?>)|</think(?:ing)?>[ \t]{0,4}\r?\n")
_TAIL = 18  # longer than any tag with the end of its line
_BLANK = 256  # characters that are held back while a tag may follow them: some models write blanks without end


class ThinkFilter:
    """Sorts the pieces of one reply into thought and text.

    Only a block at the very beginning is thought; later, `<think>` is text like any other, and so is the end that
    belongs to it. An end without a beginning turns everything before it into thought, taken back by `Restarted`.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"
        self._thought = False

    def feed(self, piece: str) -> list[Chunk]:
        """What can be told apart so far."""
        if self._state == "start":
            return self._begin(piece)
        if self._state == "inside":
            return self._inside(piece)
        if self._state == "open":
            return self._watch(piece)
        return [Text(piece)] if piece else []

    def end(self) -> list[Chunk]:
        """What was held back to the last."""
        held, self._held = self._held, ""
        if self._state == "start" and self._thought:
            held = held.lstrip()
        if not held or self._state == "open":
            return []
        return [Reasoning(held)] if self._state == "inside" else [Text(held)]

    def _begin(self, piece: str) -> list[Chunk]:
        self._held += piece
        held = self._held
        text = held.lstrip()
        for tag in _OPENING:
            if text.startswith(tag):
                self._state, self._held = "inside", ""
                return self._inside(text[len(tag) :])
            if tag.startswith(text) and len(held) < _BLANK:
                return []  # it may still become the tag
        self._held = ""
        if self._thought:  # only one end can be without a beginning
            self._state = "through"
            return [Text(text)]
        self._state = "open"
        return self._watch(held)

    def _inside(self, piece: str) -> list[Chunk]:
        self._held += piece
        if match := _CLOSING.search(self._held):
            thought, rest = self._held[: match.start()], self._held[match.end() :]
            self._held, self._state, self._thought = "", "start", True  # another block may follow
            return [*([Reasoning(thought)] if thought else []), *(self._begin(rest) if rest else [])]
        keep = min(len(self._held), _TAIL)
        thought, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return [Reasoning(thought)] if thought else []

    def _watch(self, piece: str) -> list[Chunk]:
        """Pass text on, and look for an end without a beginning; `_held` is what was passed on last."""
        if not piece:
            return []
        if not self._held and "<" not in piece:  # nearly always
            return [Text(piece)]
        seen = self._held + piece
        match = _TAG.search(seen)
        if match is None:
            self._held = _tail(seen)
            return [Text(piece)]
        self._held = ""
        if match[1]:
            self._state = "through"
            return [Text(piece)]
        self._state, self._thought = "start", True  # what follows begins as after any block
        rest = seen[match.end() :]
        return [Restarted(), *(self._begin(rest) if rest else [])]


def _tail(text: str) -> str:
    """The end of a text from where a tag may have begun."""
    at = text.rfind("<")
    return text[at:] if at >= 0 and len(text) - at <= _TAIL else ""
