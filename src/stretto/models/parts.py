"""What a message says in another form than a text: as parts with a type, in a list or alone, or as the JSON itself."""

import re
from typing import Any

import msgspec

from stretto.calls import Chunk, Reasoning, Text
from stretto.ground.regex import regex

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
