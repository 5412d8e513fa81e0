"""The bytes of a chat completion, streamed and whole."""

from collections.abc import Iterable
from typing import Any

import msgspec

from stretto.models.simulator.script import Script
from stretto.types import Usage

_encode = msgspec.json.encode


class CompletionStream:
    """The server-sent events of one reply.

    What is the same in every event is encoded once; a piece costs the encoding of its own text and one concatenation.
    """

    def __init__(self, script: Script, model: str) -> None:
        head = {"id": _id(script), "object": "chat.completion.chunk", "created": 0, "model": model}
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._before = self._head + b'{"index":0,"delta":{"content":'
        self._script = script

    def opening(self) -> bytes:
        """The event that says who speaks."""
        return self._head + b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'

    def pieces(self, texts: Iterable[str]) -> bytes:
        """An event for each piece."""
        before = self._before
        return b"".join([before + _encode(text) + b'},"finish_reason":null}]}\n\n' for text in texts])

    def closing(self, *, usage_wanted: bool) -> bytes:
        """Why it ended, what it used if that is wanted, and the end mark."""
        finish = _encode(self._script.finish)
        end = self._head + b'{"index":0,"delta":{},"finish_reason":' + finish + b"}]}\n\n"
        usage = self._head + b'],"usage":' + _encode(_usage(self._script.usage)) + b"}\n\n" if usage_wanted else b""
        return end + usage + b"data: [DONE]\n\n"


def whole(script: Script, model: str) -> bytes:
    """The reply as one JSON object."""
    message = {"role": "assistant", "content": "".join(script.pieces)}
    return _encode({
        "id": _id(script),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": script.finish}],
        "usage": _usage(script.usage),
    })  # fmt: skip


def models_body(names: Iterable[str]) -> bytes:
    """The list of models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "stretto"} for name in names]
    return _encode({"object": "list", "data": models})


def _id(script: Script) -> str:
    return f"chatcmpl-{script.request_id}"


def _usage(usage: Usage) -> dict[str, Any]:
    total = usage.input_tokens + usage.output_tokens
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}
