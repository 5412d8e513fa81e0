"""How thought is marked in the text of a reply: tags, channels, and what templates leave around them.

Sources: the chat templates of DeepSeek, Qwen, Magistral, Kimi, Seed, Command A, Gemma and OpenThinker;
https://cookbook.openai.com/articles/openai-harmony.
"""

import re

from stretto.ground.regex import regex

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
OPENING = regex("|".join(f"({opening})" for opening, _ in _PAIRS), re.IGNORECASE)
CLOSINGS = [regex(closing + r"\s*", re.IGNORECASE) for _, closing in _PAIRS]
END_AGAIN = regex(f"(?:(?:{'|'.join(closing for _, closing in _PAIRS)})\\s*)++", re.IGNORECASE)
ENDS = [regex(closing, re.IGNORECASE) for _, closing in _PAIRS]
# In the midst of a text the other names are those of sections that somebody asked for.
WITHIN = frozenset({0, 1, *range(len(_NAMES), len(_PAIRS))})
CHANNELS = regex(r"<\|(?:start|channel|message)\|>|(?:analysis|commentary|final)<\|message\|>")
_ANY = "|".join(_NAMES)
# In the midst of a text: the end of a block, of which a chat template has put the beginning into the prompt. Any tag at
# once, for a text may be full of what is none.
UNOPENED = regex(
    rf"<(?:/{_WORD}(?:{_ANY})>|\|(?:(?:end_of_|end_|/)(?:{_ANY})|(?:{_ANY})_end)\|>|channel\|>|unused95>"
    r"|(?:\|(?:end|return)\|>\s{0,4}<)?\|start\|>assistant<\|channel\|>final<\|message\|>)"
    r"|◁/think▷|(?-i:\[/THINK\])",
    re.IGNORECASE,
)
OPENED = regex(
    rf"<(?:{_WORD}(?:{_ANY})>|\|(?:begin_of_|start_)?(?:{_ANY})(?:_start)?\|>|\|channel>|unused94>|\|channel\|>(?:analysis|commentary))"
    r"|◁think▷|(?-i:\[THINK\])",
    re.IGNORECASE,
)
_LINE_END = regex(r"[ \t]{0,4}\r?\n")
# The end of what was seen, if it may be that of a tag or the tags of channels, of which more is to come.
_MAY_GO_ON = regex(r"(?:<(?:/?[\w:]{0,32}>?|\|[\w|<>\s]{0,70})|\[(?:/?T?H?I?N?K?\]?)|◁/?\w{0,5}▷?)[ \t]{0,4}\r?$")
MAYBE = regex(r"[<\[◁][|\uff5c]?/?[\w:▁]{0,32}[|\uff5c]?>?")
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
FIRST = frozenset("<[◁").union(word[0] for word in _BEGINNINGS)
"""The first letters of all that may stand before a reply and is none of its text."""
# What templates put before a reply, and servers leave there that do not know them; and what they put behind one.
LEAD = regex(
    r"(?:<\|(?:im_start|start_header_id|begin_of_text|startoftext|assistant|bot|begin_of_box|START_RESPONSE)\|>"
    r"|<start_of_turn>|<bos>|</?s>(?=\s*[<\[\u25c1])|<\uff5c(?:begin▁of▁sentence|Assistant)\uff5c>|\[/INST\]|assistant(?=<\|channel\|>))\s*"
)
LED = regex(rf"(?:{LEAD.pattern}|(?:assistant\b|model\b|<\|(?:end_header_id|im_sep)\|>)\s*)++")
UNSEEN = " \t\r\n\v\f\xa0\ufeff\u200b\u200e\u2060"
_ROLES = ("assistant", "model", "<|end_header_id|>", "<|im_sep|>")
_LAST = (
    r"(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_box|END_RESPONSE|END_OF_TURN_TOKEN)\|>"
    r"|<end_of_turn>|</s>|<eos>|<\uff5cend▁of▁sentence\uff5c>)"
)
# A mark that is spoken of has a blank or a quote before it.
TRAIL = regex(rf"(?<![ \t`\"'(]){_LAST}(?:\s*{_LAST})*\s*\Z")
_MARK = r"<[|\uff5c/]?[\w▁]{0,24}[|\uff5c]?"
MAY_TRAIL = regex(rf"{_MARK}(?:>\s{{0,8}}(?:{_MARK}>?\s{{0,8}}){{0,3}})?\Z")
TAIL = 40  # longer than any tag with the end of its line
LONG_TAIL = 80  # longer than the tags of channels that follow each other
BLANK = 256  # characters that are held back while a tag may follow them: some models write blanks without end
# What is left of channels where a server leaves out all tags: analysisThe user wants…assistantfinalThe answer. And the
# words of models that have no tags (Granite, Apriel); they are text until those follow that end a thought.
UNTAGGED = regex(r"analysis(?=[\s\S])|Here(?:'s| is| are) my (?:thought process|reasoning steps):")
UNTAGGED_END = regex(r"assistantfinal|\[BEGIN FINAL RESPONSE\]|Here(?:'s| is) my response:")
LONGEST_END = 24


def may_mark(text: str) -> bool:
    """Whether a tag of a block may be in a text, or begin at its end; the brackets of JSON are none."""
    if "<" in text or "◁" in text:
        return True
    return "[" in text and ("[T" in text or "[/" in text or text.rstrip(" \t\r").endswith("["))


def may_begin(text: str, *, led: bool) -> bool:
    """Whether a text may be the first letters of what is none; `led`: the mark of a template stood before it."""
    return any(word.startswith(text) for word in (*_BEGINNINGS, *(_ROLES if led else ())))


def ends_thought(seen: str, start: int, end: int) -> bool:
    """Whether an end without a beginning is one, and no word about tags: ends a line, begins one, or joins words.

    One that is the last of what was seen tells nothing yet.
    """
    if seen[start:end].endswith("<|message|>") or _LINE_END.match(seen, end):
        return True
    before, after = seen[start - 1] if start else "", seen[end : end + 1]
    if not after or after.isspace():
        return False
    return before == "\n" or ((before.isalnum() or before in ".!?…") and after.isalnum() and bool(before))


def tail(text: str) -> int:
    """Where at the end of a text a tag may have begun."""
    found = _MAY_GO_ON.search(text, max(1, len(text) - LONG_TAIL))
    return found.start() if found else len(text)
