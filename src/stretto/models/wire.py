"""The chat-completions bodies we read, as far as we read them, and reading them whatever state they are in."""

import json
import math
from typing import Any

import msgspec
from msgspec import Struct

from stretto.calls import Chunk, Reasoning, Text
from stretto.text import clean


class _Message(Struct):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None


class _Choice(Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    usage: Any = None  # where Moonshot says it


# Other names for "it was done" and "it met the limit": Together, Hugging Face, Anthropic, Mistral, Gemini.
_FINISH = {
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn", "complete"), "stop"),
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens"), "length"),
}


class Body(Struct):
    """A whole reply, or one event of a streamed one."""

    choices: list[_Choice] | None = None
    usage: Any = None
    model: str | None = None
    error: Any = None
    x_groq: Any = None

    @property
    def finish(self) -> str | None:
        """The finish reason, once there is one."""
        reason = self.choices[0].finish_reason if self.choices else None
        return _FINISH.get(reason.lower(), reason.lower()) if reason else None

    @property
    def told(self) -> Any:
        """What is said of the usage, wherever it is said; see `usage_of`."""
        groq = self.x_groq.get("usage") if isinstance(self.x_groq, dict) else None
        return self.usage or groq or (self.choices[0].usage if self.choices else None)

    def pieces(self) -> list[Chunk]:
        """Text and reasoning, told apart."""
        if not self.choices:
            return []
        message = self.choices[0].delta or self.choices[0].message
        if message is None:
            return []
        chunks: list[Chunk] = []
        thought = message.reasoning_content or message.reasoning
        if isinstance(thought, str) and thought:
            chunks.append(Reasoning(thought))
        if isinstance(message.content, str):
            if message.content:
                chunks.append(Text(message.content))
        elif isinstance(message.content, list):
            chunks.extend(_parts(message.content))
        if message.refusal and isinstance(message.refusal, str):
            chunks.append(Text(message.refusal))
        return chunks


def _parts(parts: list[Any]) -> list[Chunk]:
    """Content as a list of typed parts (Mistral's reasoning models)."""
    chunks: list[Chunk] = []
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            chunks.append(Text(part["text"]))
        elif isinstance(part, dict) and isinstance(part.get("thinking"), list):
            chunks.extend(Reasoning(p.text) for p in _parts(part["thinking"]) if isinstance(p, Text))
        elif isinstance(part, str):
            chunks.append(Text(part))
    return chunks


_decoder = msgspec.json.Decoder(Body)


def read(data: bytes) -> Body:
    """The body in these bytes; raises `msgspec.MsgspecError` or `ValueError` if there is none.

    A list is taken for its first member (Gemini wraps its errors so).
    """
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        form = loose(data)
        return msgspec.convert(form[0] if isinstance(form, list) and form else form, Body)


def loose(data: bytes) -> Any:
    """The JSON in these bytes; raises `ValueError` if there is none.

    Bytes that are no UTF-8 and escaped lone surrogates, on which a strict reader stops, become U+FFFD.
    """
    form = json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=_none, parse_float=_finite)
    return msgspec.json.decode(clean(json.dumps(form, ensure_ascii=False)))


def _none(_: str) -> None:
    """What JSON has no word for, and some write all the same (`NaN`)."""


def _finite(text: str) -> float | None:
    return number if math.isfinite(number := float(text)) else None
