"""Thought that stands in the text of a reply: blocks in tags, and channels (gpt-oss), taken out of it.

Sources: the chat templates of DeepSeek, Qwen, Magistral, Kimi, Seed, Command A, Gemma and OpenThinker;
https://cookbook.openai.com/articles/openai-harmony.
"""

import re

from stretto.calls import Chunk, Reasoning, Restarted, Text
from stretto.models.channels import Channels
from stretto.models.midway import Midway, Passed

_WORD = r"(?:\w{1,12}:)?"  # ByteDance's name stands before theirs
_NAMES = (
    "(?:longcat_|ant)?think(?:ing)?",
    "thoughts?",
    "reasoning(?:_content)?",
    "reflection",
    "scratchpad",
    "(?:inner|internal)_(?:monologue|thoughts?)",
    "(?:thought|think(?:ing)?)_process",
    "chain_of_thought",
    "cot",
)
_PAIRS = (
    *((rf"<{_WORD}{name}>", rf"</{_WORD}{name}>") for name in _NAMES),
    *(
        (rf"<\|(?:begin_of_|start_)?{name}(?:_start)?\|>", rf"<\|(?:(?:end_of_|end_|/){name}|{name}_end)\|>")
        for name in _NAMES[:3]
    ),
    ("◁think▷", "◁/think▷"),
    (r"(?-i:\[THINK\])", r"(?-i:\[/THINK\])"),
    (r"<\|channel>", r"<channel\|>"),
    ("<unused94>", "<unused95>"),
)
_OPENING = re.compile("|".join(f"({opening})" for opening, _ in _PAIRS), re.IGNORECASE)
_CLOSINGS = [re.compile(closing + r"\s*", re.IGNORECASE) for _, closing in _PAIRS]
_END_AGAIN = re.compile(f"(?:(?:{'|'.join(closing for _, closing in _PAIRS)})\\s*)++", re.IGNORECASE)
_ENDS = [re.compile(closing, re.IGNORECASE) for _, closing in _PAIRS]
# In the midst of a text the other names are those of sections that somebody asked for.
_WITHIN = frozenset({0, 1, *range(len(_NAMES), len(_PAIRS))})
_CHANNELS = re.compile(r"<\|(?:start|channel|message)\|>|(?:analysis|commentary|final)<\|message\|>")
_ANY = "|".join(_NAMES)
# In the midst of a text: the end of a block, of which a chat template has put the beginning into the prompt. Any tag at
# once, for a text may be full of what is none.
_UNOPENED = re.compile(
    rf"<(?:/{_WORD}(?:{_ANY})>|\|(?:(?:end_of_|end_|/)(?:{_ANY})|(?:{_ANY})_end)\|>|channel\|>|unused95>"
    r"|(?:\|(?:end|return)\|>\s{0,4}<)?\|start\|>assistant<\|channel\|>final<\|message\|>)"
    r"|◁/think▷|(?-i:\[/THINK\])",
    re.IGNORECASE,
)
_OPENED = re.compile(
    rf"<(?:{_WORD}(?:{_ANY})>|\|(?:begin_of_|start_)?(?:{_ANY})(?:_start)?\|>|\|channel>|unused94>|\|channel\|>(?:analysis|commentary))"
    r"|◁think▷|(?-i:\[THINK\])",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"[ \t]{0,4}\r?\n")
# The end of what was seen, if it may be that of a tag or the tags of channels, of which more is to come.
_MAY_GO_ON = re.compile(r"(?:<(?:/?[\w:]{0,32}>?|\|[\w|<>\s]{0,70})|\[(?:/?T?H?I?N?K?\]?)|◁/?\w{0,5}▷?)[ \t]{0,4}\r?$")
_MAYBE = re.compile(r"[<\[◁][|\uff5c]?/?[\w:▁]{0,32}[|\uff5c]?>?")
"""What may become the beginning of a block or a channel, or the mark of a template before one."""
_BEGINNINGS = (
    "analysis<|message|>",
    "commentary<|message|>",
    "final<|message|>",
    "assistant<|channel|>",
    "Here is my thought process:",
    "Here's my thought process:",
    "Here are my reasoning steps:",
)
# What templates put before a reply, and servers leave there that do not know them; and what they put behind one.
_LEAD = re.compile(
    r"(?:<\|(?:im_start|start_header_id|begin_of_text|startoftext|assistant|bot|begin_of_box|START_RESPONSE)\|>"
    r"|<start_of_turn>|<bos>|</?s>(?=\s*[<\[\u25c1])|<\uff5c(?:begin▁of▁sentence|Assistant)\uff5c>|\[/INST\]|assistant(?=<\|channel\|>))\s*"
)
_LED = re.compile(rf"(?:{_LEAD.pattern}|(?:assistant\b|model\b|<\|(?:end_header_id|im_sep)\|>)\s*)++")
_UNSEEN = " \t\r\n\v\f\xa0\ufeff\u200b\u200e\u2060"
_ROLES = ("assistant", "model", "<|end_header_id|>", "<|im_sep|>")
_LAST = (
    r"(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_box|END_RESPONSE|END_OF_TURN_TOKEN)\|>"
    r"|<end_of_turn>|</s>|<eos>|<\uff5cend▁of▁sentence\uff5c>)"
)
# A mark that is spoken of has a blank or a quote before it.
_TRAIL = re.compile(rf"(?<![ \t`\"'(]){_LAST}(?:\s*{_LAST})*\s*\Z")
_MARK = r"<[|\uff5c/]?[\w▁]{0,24}[|\uff5c]?"
_MAY_TRAIL = re.compile(rf"{_MARK}(?:>\s{{0,8}}(?:{_MARK}>?\s{{0,8}}){{0,3}})?\Z")
_TAIL = 40  # longer than any tag with the end of its line
_LONG_TAIL = 80  # longer than the tags of channels that follow each other
_BLANK = 256  # characters that are held back while a tag may follow them: some models write blanks without end
# What is left of channels where a server leaves out all tags: analysisThe user wants…assistantfinalThe answer. And the
# words of models that have no tags (Granite, Apriel); they are text until those follow that end a thought.
_UNTAGGED = re.compile(r"analysis(?=[\s\S])|Here(?:'s| is| are) my (?:thought process|reasoning steps):")
_UNTAGGED_END = re.compile(r"assistantfinal|\[BEGIN FINAL RESPONSE\]|Here(?:'s| is) my response:")
_LONGEST_END = 24


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
        self._closing = _CLOSINGS[0]
        self._channels: Channels | None = None
        self._midway: Midway | None = None
        self._passed = Passed()
        self._led = self._struck = False
        self._last = self._trail = ""

    def feed(self, piece: str) -> list[Chunk]:
        """What can be told apart so far."""
        if not self._trail and "<" not in piece:  # nearly always
            self._last = piece
            return self._watch(piece) if self._state == "open" else self._sort(piece)
        seen = self._trail + piece
        self._struck = self._struck or "<s>" in seen
        found = _MAY_TRAIL.search(seen, max(0, len(seen) - _LONG_TAIL))
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
        last = self._last[-1:]
        ended = not self._struck or not self._trail.rstrip().endswith("</s>")  # of a text that is struck out
        rest = _TRAIL.sub("", last + self._trail).removeprefix(last) if ended else self._trail
        self._trail = ""
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
        text = held.lstrip(_UNSEEN)
        while lead := (_LED if self._led else _LEAD).match(text):
            text, self._led, self._struck = text[lead.end() :], True, False
        if self._thought and (again := _END_AGAIN.match(text)):
            text = held = self._held = text[again.end() :]
        if self._led:
            held = self._held = text
        if tag := _OPENING.match(text):
            self._state, self._held = "inside", ""
            self._closing = _CLOSINGS[(tag.lastindex or 1) - 1]
            return self._inside(text[tag.end() :])
        if _CHANNELS.match(text):
            self._state, self._held = "channels", ""
            self._channels = Channels()
            return self._channels.feed(text)
        if len(held) < _BLANK and (not text or _MAYBE.fullmatch(text) or _may_begin(text, led=self._led)):
            return []  # it may still become a tag
        self._held = ""
        if not self._thought and _UNTAGGED.match(text):
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
        keep = min(len(self._held), _TAIL)
        thought, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return [Reasoning(thought)] if thought else []

    def _watch(self, piece: str) -> list[Chunk]:
        """Pass text on, and look for blocks, and for an end without a beginning; `_held` may become a tag."""
        if not piece:
            return []
        if not self._held and "<" not in piece and "[" not in piece and "◁" not in piece:  # nearly always
            return self._pass(piece)
        seen = self._passed.last + self._held + piece
        self._held = ""
        opened = _OPENED.search(seen)
        # Only one end can be without a beginning.
        unopened = () if self._thought else _UNOPENED.finditer(seen, 0, opened.start() if opened else len(seen))
        for found in unopened:
            if _ends_thought(seen, found.start(), found.end()):
                self._thought = True
                return [Restarted(), *self._after(seen, found)]
        at = opened.start() if opened else _tail(seen)
        chunks = self._pass(seen[1:at])
        return [*chunks, *self._open(seen[at:], opened[0])] if opened else self._hold(chunks, seen[at:])

    def _pass(self, text: str) -> list[Chunk]:
        if not text:
            return []
        self._passed.take(text)
        return [Text(text)]

    def _hold(self, chunks: list[Chunk], rest: str) -> list[Chunk]:
        self._held = rest
        return chunks

    def _open(self, text: str, tag: str) -> list[Chunk]:
        """A block opens in the midst of a text, which begins with its tag here; or the text speaks of one."""
        found = _OPENING.match(text)
        pair = (found.lastindex or 1) - 1 if found else -1
        if self._passed.allows_thought():
            if not found and _CHANNELS.match(text):
                self._state, self._channels = "channels", Channels()
                return self._channels.feed(text)
            if found and pair in _WITHIN:
                self._state = "midway"
                self._midway = Midway(tag, _ENDS[pair], line=self._passed.last == "\n")
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
        end = _UNTAGGED_END.search(seen)
        if end is None:
            self._held = seen[-_LONGEST_END:]
            return [Text(piece)] if piece else []
        rest = seen[end.end() :]
        self._held, self._state, self._thought = "", "start", True
        return [Restarted(), *(self._begin(rest) if rest else [])]


def _may_begin(text: str, *, led: bool) -> bool:
    """Whether a text may be the first letters of what is none; `led`: the mark of a template stood before it."""
    return any(word.startswith(text) for word in (*_BEGINNINGS, *(_ROLES if led else ())))


def _ends_thought(seen: str, start: int, end: int) -> bool:
    """Whether an end without a beginning is one, and no word about tags: ends a line, begins one, or joins words.

    One that is the last of what was seen tells nothing yet.
    """
    if seen[start:end].endswith("<|message|>") or _LINE_END.match(seen, end):
        return True
    before, after = seen[start - 1] if start else "", seen[end : end + 1]
    if not after or after.isspace():
        return False
    return before == "\n" or ((before.isalnum() or before in ".!?…") and after.isalnum() and bool(before))


def _tail(text: str) -> int:
    """Where at the end of a text a tag may have begun."""
    found = _MAY_GO_ON.search(text, max(1, len(text) - _LONG_TAIL))
    return found.start() if found else len(text)
