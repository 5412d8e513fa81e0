"""The chat-completions bodies we read, as far as we read them, and reading them whatever state they are in.

What the model says is read strictly: nothing of it is lost. All else (usage, names, details) is read loosely: what has
another form than it should have is unknown, and never an error. A message may be another thing than a text: parts with
a type, in a list or alone, or the JSON itself.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from stretto.calls import LOOPED, Chunk, Reasoning, Text
from stretto.ground.regex import regex
from stretto.models.loosely import rough, tidied

_DEEP = 6  # lists and parts in each other; what is nested deeper is no text
_THOUGHT = regex(r".*(?:reason|think|thought).*|summary\w*", re.IGNORECASE)
# Types of parts, as far as they are known: an object with another is what the model wrote.
_TYPES = regex(
    r"text|(?:in|out)put_\w+|refusal|redacted\w*|image\w*|audio|video\w*|file\w*|document|tool_\w+|function_\w+"
    r"|reference|citation\w*|server_\w+|web_search_\w+|search_result\w*",
    re.IGNORECASE,
)
_SAID = ("text", "thinking", "refusal", "content", "value", "summary")
_BESIDE = frozenset({*_SAID, "annotations", "signature", "thought", "thoughtSignature", "index", "id", "logprobs"})
BROKEN = "broken"
"""What a finish reason means which says that the provider did not get to the end."""
_MEANINGS = (
    (regex(r"filter|safety|sensitive|recitation|block|prohibit|spii|refus|moderat|guardrail|violat|toxic"), ""),
    (
        regex(
            r"error|abort|network|insufficient|resource|load|unavailable|busy|time_?(?:d_?)?(?:out|limit)|rate_?limit"
            r"|cancel|interrupt|disconnect|fail|crash|evict|preempt|malformed|unexpected|shut_?down|exception|killed"
        ),
        BROKEN,
    ),
    (regex(r"repeti|loop"), LOOPED),
    (regex(r"length|max|limit|context|incomplete|partial|trunc|not_?finished|budget"), "length"),
)


def pieces_of(said: Any, deep: int = _DEEP) -> list[Chunk]:
    """What is said in another form than a text: as a list of typed parts, as one of them, or as the JSON itself."""
    if not said or said is True:
        return [Text("0")] if said.__class__ in {int, float} else []
    if isinstance(said, str):
        return [Text(said)]
    if isinstance(said, dict) and _is_part(said):
        return _part(said, deep - 1) if deep else []
    if isinstance(said, list) and all(not isinstance(each, dict) or _is_part(each) for each in said):
        return [piece for each in said for piece in pieces_of(each, deep - 1)] if deep else []
    return [Text(msgspec.json.encode(said).decode())]


def _is_part(form: dict[str, Any]) -> bool:
    """Whether an object is a part of a message, and not what the model wrote."""
    kind = form.get("type")
    if not isinstance(kind, str):
        return not form or ("text" in form and form.keys() <= _BESIDE)
    return kind in form or _TYPES.fullmatch(kind) is not None or _THOUGHT.fullmatch(kind) is not None


def _part(form: dict[str, Any], deep: int) -> list[Chunk]:
    """What a part says."""
    kind = str(form.get("type", ""))
    if kind.startswith(("tool_", "function_", "server_")):
        return []
    said = next((form[name] for name in _SAID if form.get(name)), None)
    said = said.get("value", said) if isinstance(said, dict) else said
    pieces = pieces_of(said, deep)
    if form.get("thought") is True or "thinking" in form or _THOUGHT.fullmatch(kind):
        return [Reasoning(each.text) for each in pieces if isinstance(each, Text | Reasoning)]
    return pieces


class _Message(Struct):
    role: Any = None
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None

    def pieces(self) -> list[Chunk]:
        """Text and reasoning, told apart."""
        chunks: list[Chunk] = []
        if thought := self.reasoning_content or self.reasoning:
            chunks += [Reasoning(piece.text) for piece in pieces_of(thought) if isinstance(piece, Text | Reasoning)]
        if isinstance(self.content, str):
            if self.content:
                chunks.append(Text(self.content))
        elif self.content:
            chunks += pieces_of(self.content)
        if self.refusal and isinstance(self.refusal, str):
            chunks.append(Text(self.refusal))
        return chunks


class Choice(Struct):
    """One of several replies to a request, or a piece of it."""

    index: Any = None
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None  # of completions that are none of a chat
    content: Any = None  # where somebody forgot the message around it
    finish_reason: str | None = None
    finishReason: Any = None  # noqa: N815 - its name on the wire
    stop_reason: Any = None
    usage: Any = None  # where Moonshot says it
    error: Any = None

    @property
    def plain(self) -> str | None:
        """Its text, if it is a piece of one and nothing else."""
        said = self.delta
        if said is None or said.reasoning_content or said.reasoning or said.refusal:
            return None
        return said.content if said.content and said.content.__class__ is str else None

    def pieces(self, *, repeated: bool) -> list[Chunk]:
        """What it says; a whole message that only repeats the pieces which came before it (`repeated`) is nothing."""
        if self.delta and (chunks := self.delta.pieces()):
            return chunks
        if repeated:
            return []
        if self.message and (chunks := self.message.pieces()):
            return chunks
        return pieces_of(self.text or self.content)

    @property
    def reason(self) -> str | None:
        """Why it ended, under whichever name that is said."""
        told = self.finish_reason or self.finishReason or self.stop_reason
        return told if isinstance(told, str) else None

    def arguments(self) -> list[tuple[str, str]]:
        """Pieces of what it would call tools with, each with the place of the call."""
        said = self.delta or self.message
        calls = said.tool_calls if said and isinstance(said.tool_calls, list) else []
        whole = [{"function": said.function_call}] if said and said.function_call else []
        found = []
        for place, each in enumerate([*calls, *whole]):
            function = each.get("function", each) if isinstance(each, dict) else None
            told = function.get("arguments") if isinstance(function, dict) else None
            if told:
                text = told if isinstance(told, str) else msgspec.json.encode(told).decode()
                found.append((str(each.get("index", place)), text))
        return found


class Body(Struct):
    """A whole reply, or one event of a streamed one."""

    choices: list[Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None
    x_groq: Any = None

    def choice(self, index: Any = None) -> Choice | None:
        """What is said of the choice with this index, if it has one: of the first that says anything without it."""
        if not self.choices:
            return None
        if len(self.choices) == 1:  # nearly always
            only = self.choices[0]
            return only if index is None or only.index == index or _same(only.index, index) else None
        same = [each for each in self.choices if index is None or _same(each.index, index)]
        return next((each for each in same if each.pieces(repeated=False)), same[0] if same else None)

    @property
    def failed(self) -> bool:
        """Whether it holds an error, of its own or of a choice."""
        if self.choices and len(self.choices) == 1:  # nearly always
            return bool(self.error or self.choices[0].error)
        return bool(self.error) or any(choice.error for choice in self.choices or ())

    @property
    def told(self) -> Any:
        """What is said of the usage, wherever it is said; see `usage_of`."""
        groq = self.x_groq.get("usage") if isinstance(self.x_groq, dict) else None
        return self.usage or groq or (self.choices[0].usage if self.choices else None)


def _same(index: Any, other: Any) -> bool:
    """Whether a choice without an index, or with this one however it is written, is that of another."""
    return index is None or str(index) == str(other)


@lru_cache(256)
def meaning(reason: str) -> str:
    """What a provider's finish reason means: `stop`, `length`, `looped`, `BROKEN`; that of a filter is its own.

    There are dozens of words for each, and new ones all the time. Of one that is none of these we know only that the
    reply came to an end in order; whether it says anything is looked at all the same.
    """
    said = reason.lower()
    if said == "stop":  # nearly always
        return said
    for words, means in _MEANINGS:
        if words.search(said):
            return means or said
    return "stop"


_decoder = msgspec.json.Decoder(Body)


def read(data: bytes, charset: str = "") -> Body:
    """The body in these bytes, which are said to be in this charset; raises `ValueError` if there is none.

    A list of one is taken for its member (Gemini wraps its errors so).
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        form = rough(data, charset)
        form = form[0] if isinstance(form, list) and len(form) == 1 else form
        body = _body(tidied(form))
        return _with_halves(body, _body(form))


def _body(form: Any) -> Body:
    """What can be read of a body whose fields are not all as they should be."""
    if not isinstance(form, dict):
        raise ValueError("no object")  # noqa: TRY004 - what was read is not what was wanted
    choices, model = form.get("choices"), form.get("model")
    if isinstance(choices, dict):
        choices = [choices] if {"message", "delta", "text"} & choices.keys() else list(choices.values())
    return Body(
        [_choice(each) for each in choices if isinstance(each, dict)] if isinstance(choices, list) else None,
        form.get("usage"),
        model if isinstance(model, str) else None,
        form.get("error"),
        form.get("x_groq"),
    )


def _with_halves(body: Body, halves: Body) -> Body:
    """The body with its text as it came: a letter may have been cut in two between two events."""
    for choice, other in zip(body.choices or (), halves.choices or (), strict=True):
        if choice.delta and other.delta and isinstance(other.delta.content, str):
            choice.delta.content = other.delta.content
    return body


def _choice(form: dict[str, Any]) -> Choice:
    reason, text = form.get("finish_reason"), form.get("text")
    return Choice(
        form.get("index"),
        _message(form.get("delta")),
        _message(form.get("message")),
        text if isinstance(text, str) else None,
        form.get("content"),
        reason if isinstance(reason, str) else None,
        form.get("finishReason"),
        form.get("stop_reason"),
        form.get("usage"),
        form.get("error"),
    )


def _message(form: Any) -> _Message | None:
    if isinstance(form, dict):
        return _Message(*(form.get(name) for name in _Message.__struct_fields__))
    return _Message(content=form) if isinstance(form, str) else None
