"""Answers as chat completions (https://platform.openai.com/docs/api-reference/chat)."""

import time
from typing import Any

import msgspec
from msgspec import Struct

from stretto.models.error_bodies import Refusal
from stretto.server.refused import error_body
from stretto.types import Usage

_encode = msgspec.json.encode


class Ending(Struct, frozen=True):
    """How an answer ended: its `finish` reason (`stop`, `length`, …), what it used, and what else is told of it."""

    finish: str
    usage: Usage
    told: dict[str, Any] = {}


class Completion:
    """One answer as a chat completion; thoughts go out under both names that clients know.

    `usage_wanted`: in an event of its own, as `stream_options` ask for; else it stands in the last one. `function`: the
    answer is a call of it.
    """

    def __init__(self, id_: str, model: str, *, usage_wanted: bool, function: str | None = None) -> None:
        self._facts = {"id": f"chatcmpl-{id_}", "created": int(time.time()), "model": model}
        self._usage_wanted = usage_wanted
        self._function = function
        self._call = {"id": f"call_{id_}", "type": "function"}
        self._called = False
        # What is the same in every event is encoded once.
        self._head = b"data: " + _encode({**self._facts, "object": "chat.completion.chunk"})[:-1] + b',"choices":['

    def opening(self) -> bytes:
        """Who speaks."""
        return self._choice({"role": "assistant", "content": ""})

    def thought(self, text: str) -> bytes:
        """An event with a piece of reasoning."""
        return self._choice({"reasoning_content": text, "reasoning": text})

    def text(self, text: str) -> bytes:
        """An event with a piece of the answer."""
        if self._function is None:
            return self._head + b'{"index":0,"delta":{"content":' + _encode(text) + b'},"finish_reason":null}]}\n\n'
        begun = (
            b"" if self._called else self._piece({**self._call, "function": {"name": self._function, "arguments": ""}})
        )
        self._called = True
        return begun + self._piece({"function": {"arguments": text}})

    def closing(self, ending: Ending) -> bytes:
        """Why it ended, what it used, and the end mark."""
        told = {"usage": usage_facts(ending.usage), "stretto": ending.told}
        choice = {"index": 0, "delta": {}, "finish_reason": self._finish(ending)}
        if self._usage_wanted:
            last = self._head + _encode(choice) + b"]}\n\n" + self._head + b"]," + _encode(told)[1:] + b"\n\n"
        else:
            last = self._head + _encode(choice) + b"]," + _encode(told)[1:] + b"\n\n"
        return last + b"data: [DONE]\n\n"

    def failed(self, refusal: Refusal) -> bytes:
        """The error, as clients look for it."""
        return b"data: " + error_body(refusal) + b"\n\n"

    def whole(self, text: str, thoughts: str, ending: Ending) -> bytes:
        """The answer as one JSON object."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._function is not None:
            call = {**self._call, "function": {"name": self._function, "arguments": text}}
            message |= {"content": None, "tool_calls": [call]}
        if thoughts:
            message |= {"reasoning_content": thoughts, "reasoning": thoughts}
        choice = {"index": 0, "message": message, "finish_reason": self._finish(ending)}
        told = {"usage": usage_facts(ending.usage), "stretto": ending.told}
        return _encode({**self._facts, "object": "chat.completion", "choices": [choice], **told})

    def _finish(self, ending: Ending) -> str:
        return "tool_calls" if self._function is not None and ending.finish == "stop" else ending.finish

    def _piece(self, call: dict[str, Any]) -> bytes:
        return self._choice({"tool_calls": [{"index": 0, **call}]})

    def _choice(self, delta: dict[str, Any]) -> bytes:
        return self._head + _encode({"index": 0, "delta": delta, "finish_reason": None}) + b"]}\n\n"


def usage_facts(usage: Usage) -> dict[str, Any]:
    """Usage as chat completions tell it."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
