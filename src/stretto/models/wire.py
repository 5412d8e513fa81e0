"""The chat-completions bodies we read, as far as we read them, and reading them whatever state they are in."""

import json
from typing import Any

import msgspec
from msgspec import Struct

from stretto.calls import Chunk, Reasoning, Text
from stretto.text import clean
from stretto.types import Usage


class _Details(Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's name for cached tokens


class _Message(Struct):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    refusal: Any = None


class _Choice(Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None  # where Moonshot says it


class _Groq(Struct):
    usage: _Usage | None = None


# Other names for "it was done" and "it met the limit": Together, Hugging Face, Anthropic, Mistral, Gemini.
_FINISH = {
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "end_turn", "complete"), "stop"),
    **dict.fromkeys(("max_tokens", "model_length", "max_output_tokens"), "length"),
}


class Body(Struct):
    """A whole reply, or one event of a streamed one."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    model: str | None = None
    error: Any = None
    x_groq: _Groq | None = None

    @property
    def finish(self) -> str | None:
        """The finish reason, once there is one."""
        reason = self.choices[0].finish_reason if self.choices else None
        return _FINISH.get(reason.lower(), reason.lower()) if reason else None

    @property
    def tokens(self) -> Usage | None:
        """The usage, if the provider said it here."""
        usage = self.usage or (self.x_groq and self.x_groq.usage) or (self.choices and self.choices[0].usage)
        if not usage or usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        if not usage.prompt_tokens and not usage.completion_tokens:
            return None  # no request is free of tokens: a gateway that does not know
        inputs = usage.prompt_tokens_details or _Details()
        outputs = usage.completion_tokens_details or _Details()
        return Usage(
            usage.prompt_tokens,
            usage.completion_tokens,
            inputs.cached_tokens or usage.prompt_cache_hit_tokens or 0,
            outputs.reasoning_tokens or 0,
        )

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
    form = json.loads(data.decode("utf-8", "replace"), strict=False)
    return msgspec.json.decode(clean(json.dumps(form, ensure_ascii=False)))
