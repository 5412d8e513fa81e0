"""Thought that stands in the text of a reply: blocks in tags, and channels (gpt-oss), taken out of it."""

import re

from stretto.calls import Chunk, Reasoning, Restarted, Text
from stretto.ground.regex import regex
from stretto.models import marks
from stretto.models.channels import Channels

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
    """The block that a tag has opened in the midst of a text: what it is, is known when it ends. `line`: it begins one.

    Some models think once more after they have begun to answer. An answer may speak of such tags, too: then they stand
    in quotes or in code, or as words of a sentence, with blanks around them.
    """

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


class ThinkFilter:
    """Sorts the pieces of one reply into thought and text.

    Blocks at the beginning are thought; later ones too, unless the text speaks of such tags (`Midway`): from then on
    a tag is text like any other. An end without a beginning turns everything before it into thought, taken back by
    `Restarted`.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"
        self._thought = False
        self._closing = marks.CLOSINGS[0]
        self._channels: Channels | None = None
        self._midway: Midway | None = None
        self._passed = Passed()
        self._led = self._struck = False
        self._last = self._trail = ""

    def is_plain(self, text: str) -> bool:
        """Whether a text that comes next goes through as it is, in one piece or in several."""
        return not (self._held or self._trail or self._state != "open" or marks.may_mark(text))

    def feed(self, piece: str) -> list[Chunk]:
        """What can be told apart so far."""
        if not self._trail and "<" not in piece:  # nearly always
            self._last = piece
            return self._watch(piece) if self._state == "open" else self._sort(piece)
        seen = self._trail + piece
        self._struck = self._struck or "<s>" in seen
        found = marks.MAY_TRAIL.search(seen, max(0, len(seen) - marks.LONG_TAIL))
        at = found.start() if found else len(seen)
        self._trail, self._last = seen[at:], seen[:at] or self._last
        return self._sort(seen[:at]) if at else []

    def _sort(self, piece: str) -> list[Chunk]:
        if self._state == "open":  # nearly always
            return self._watch(piece)
        if self._state == "start":
            return self._begin(piece)
        if self._state == "inside":
            return self._inside(piece)
        if self._midway:
            return self._block(self._midway, piece)
        if self._state == "untagged":
            return self._untagged(piece)
        if self._channels:
            return self._channels.feed(piece)
        return [Text(piece)] if piece else []

    def end(self) -> list[Chunk]:
        """What was held back to the last; marks that end a reply are no part of it."""
        rest, self._trail, last = self._trail, "", self._last[-1:]
        struck = self._struck and rest.rstrip().endswith("</s>")  # the end of a text that is struck out
        if rest and not struck:
            rest = marks.TRAIL.sub("", last + rest).removeprefix(last)
        chunks = self._sort(rest) if rest else []
        if self._channels:
            return chunks + self._channels.end()
        held, self._held = self._held, ""
        if self._state == "start" and self._thought:
            held = held.lstrip()
        if self._midway:
            thought = self._midway.end()
            return [*chunks, Reasoning(self._midway.held) if thought else Text(self._midway.held)]
        if not held or self._state == "untagged":
            return chunks
        return [*chunks, Reasoning(held) if self._state == "inside" else Text(held)]

    def _begin(self, piece: str) -> list[Chunk]:
        self._held += piece
        held = self._held
        text = held.lstrip(marks.UNSEEN)
        if text and text[0] not in marks.FIRST and not self._led:  # nearly always
            self._state, self._held = "open", ""
            return self._watch(text if self._thought else held)
        while lead := (marks.LED if self._led else marks.LEAD).match(text):
            text, self._led, self._struck = text[lead.end() :], True, False
        if self._thought and (again := marks.END_AGAIN.match(text)):
            text = held = self._held = text[again.end() :]
        if self._led:
            held = self._held = text
        if tag := marks.OPENING.match(text):
            self._state, self._held = "inside", ""
            self._closing = marks.CLOSINGS[(tag.lastindex or 1) - 1]
            return self._inside(text[tag.end() :])
        if marks.CHANNELS.match(text):
            self._state, self._held = "channels", ""
            self._channels = Channels()
            return self._channels.feed(text)
        if len(held) < marks.BLANK and (
            not text or marks.MAYBE.fullmatch(text) or marks.may_begin(text, led=self._led)
        ):
            return []  # it may still become a tag
        self._held = ""
        if not self._thought and marks.UNTAGGED.match(text):
            self._state = "untagged"
            return self._untagged(held)
        self._state = "open"
        return self._watch(text if self._thought else held)

    def _inside(self, piece: str) -> list[Chunk]:
        self._held += piece
        if match := self._closing.search(self._held):
            thought, rest = self._held[: match.start()], self._held[match.end() :]
            self._held, self._state, self._thought = "", "start", True  # another block may follow
            return [*([Reasoning(thought)] if thought else []), *(self._begin(rest) if rest else [])]
        keep = min(len(self._held), marks.TAIL)
        thought, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return [Reasoning(thought)] if thought else []

    def _watch(self, piece: str) -> list[Chunk]:
        """Pass text on, and look for blocks, and for an end without a beginning; `_held` may become a tag."""
        if not piece:
            return []
        if not self._held and not marks.may_mark(piece):  # nearly always
            return self._pass(piece)
        seen = self._passed.last + self._held + piece
        self._held = ""
        opened = marks.OPENED.search(seen)
        # Only one end can be without a beginning.
        unopened = () if self._thought else marks.UNOPENED.finditer(seen, 0, opened.start() if opened else len(seen))
        for found in unopened:
            if marks.ends_thought(seen, found.start(), found.end()):
                self._thought = True
                return [Restarted(), *self._after(seen, found)]
        at = opened.start() if opened else marks.tail(seen)
        chunks = self._pass(seen[1:at])
        if opened:
            return [*chunks, *self._open(seen[at:], opened[0])]
        self._held = seen[at:]
        return chunks

    def _pass(self, text: str) -> list[Chunk]:
        if not text:
            return []
        self._passed.take(text)
        return [Text(text)]

    def _open(self, text: str, tag: str) -> list[Chunk]:
        """A block opens in the midst of a text, which begins with its tag here; or the text speaks of one."""
        found = marks.OPENING.match(text)
        pair = (found.lastindex or 1) - 1 if found else -1
        if self._passed.allows_thought():
            if not found and marks.CHANNELS.match(text):
                self._state, self._channels = "channels", Channels()
                return self._channels.feed(text)
            if found and pair in marks.WITHIN:
                self._state = "midway"
                self._midway = Midway(tag, marks.ENDS[pair], line=self._passed.last == "\n")
                return self._block(self._midway, text[len(tag) :])
        self._state = "through"
        return [Text(text)]

    def _block(self, block: Midway, piece: str) -> list[Chunk]:
        """More of a block in the midst of a text; what follows its end is text again."""
        thought = block.feed(piece) if piece else None
        if thought is None:
            return []
        self._midway, self._thought = None, True
        if not thought:
            self._state = "through"
            return [Text(block.held + block.rest)]
        self._state = "open"
        return [Reasoning(block.held), *self._watch(block.rest)]

    def _after(self, seen: str, found: re.Match[str]) -> list[Chunk]:
        """What follows an end without a beginning begins as after any block."""
        self._held, self._state, self._passed = "", "start", Passed()
        rest = seen[found.end() :]
        if found[0].endswith("<|message|>"):
            rest = f"final<|message|>{rest}"
        return self._begin(rest) if rest else []

    def _untagged(self, piece: str) -> list[Chunk]:
        seen = self._held + piece
        end = marks.UNTAGGED_END.search(seen)
        if end is None:
            self._held = seen[-marks.LONGEST_END :]
            return [Text(piece)] if piece else []
        rest = seen[end.end() :]
        self._held, self._state, self._thought = "", "start", True
        return [Restarted(), *(self._begin(rest) if rest else [])]
