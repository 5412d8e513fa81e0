"""Answers as responses (https://platform.openai.com/docs/api-reference/responses): some clients speak only these."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stretto.models.error_bodies import Refusal
from stretto.server.endpoint.completions import Completion, Ending
from stretto.types import Usage

Told = tuple[str, dict[str, Any]]
"""The kind of an event, and what it says."""
_ECHOED = ("instructions", "max_output_tokens", "metadata", "temperature", "text", "top_p", "user")
"""What a request says of itself that its response says again."""
_NO_TOOLS: dict[str, Any] = {"tool_choice": "none", "tools": []}


class MessageItem:
    """An answer in words, as an item of a response; `at` is its place among the items."""

    def __init__(self, id_: str) -> None:
        self._id = f"msg_{id_}"

    def whole(self, text: str, status: str) -> dict[str, Any]:
        """All of it."""
        content = [_output(text)]
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": content}

    def begins(self, at: int) -> list[Told]:
        """Events that come before its first piece."""
        item = {**self.whole("", "in_progress"), "content": []}
        return [
            ("response.output_item.added", {"output_index": at, "item": item}),
            ("response.content_part.added", {**self._place(at), "part": _output("")}),
        ]

    def piece(self, at: int, text: str) -> Told:
        """The event of a piece of it."""
        return "response.output_text.delta", {**self._place(at), "delta": text, "logprobs": []}

    def ends(self, at: int, text: str) -> list[Told]:
        """Events that say once more what was said in pieces."""
        return [
            ("response.output_text.done", {**self._place(at), "text": text, "logprobs": []}),
            ("response.content_part.done", {**self._place(at), "part": _output(text)}),
        ]

    def _place(self, at: int) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": at, "content_index": 0}


class CallItem:
    """An answer as what a function is to be called with, in the same way."""

    def __init__(self, id_: str, name: str) -> None:
        self._id = f"fc_{id_}"
        self._call = {"call_id": f"call_{id_}", "name": name}

    def whole(self, text: str, status: str) -> dict[str, Any]:
        """All of it."""
        return {"id": self._id, "type": "function_call", "status": status, **self._call, "arguments": text}

    def begins(self, at: int) -> list[Told]:
        """Events that come before its first piece."""
        return [("response.output_item.added", {"output_index": at, "item": self.whole("", "in_progress")})]

    def piece(self, at: int, text: str) -> Told:
        """The event of a piece of it."""
        return "response.function_call_arguments.delta", {"item_id": self._id, "output_index": at, "delta": text}

    def ends(self, at: int, text: str) -> list[Told]:
        """Events that say once more what was said in pieces."""
        place = {"item_id": self._id, "output_index": at}
        return [("response.function_call_arguments.done", {**place, "name": self._call["name"], "arguments": text})]


def _output(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class Response:
    """One answer as a response: thoughts are the summary of a reasoning item, the answer is the item behind it.

    `asked`: the request as it came. `function`: the answer is a call of it, else a message.
    """

    def __init__(self, id_: str, model: str, asked: Mapping[str, Any], *, function: str | None = None) -> None:
        told = {key: asked[key] for key in _ECHOED if asked.get(key) is not None}
        tools = {"tool_choice": asked["tool_choice"], "tools": asked["tools"]} if function else _NO_TOOLS
        self._facts = {
            "id": f"resp_{id_}", "object": "response", "created_at": int(time.time()), "model": model, **told,
            "parallel_tool_calls": False, **tools, "store": False,
        }  # fmt: skip
        self._id = id_
        self._item: CallItem | MessageItem = CallItem(id_, function) if function else MessageItem(id_)
        self._sequence = 0
        self._thoughts: list[str] = []
        self._texts: list[str] = []
        self._output: list[dict[str, Any]] = []
        """The items that are complete."""

    def opening(self) -> bytes:
        """The response, of which there is nothing yet."""
        facts = self._response("in_progress")
        return self._event("response.created", response=facts) + self._event("response.in_progress", response=facts)

    def thought(self, text: str) -> bytes:
        """Events with a piece of reasoning; once the answer has begun nothing is added to it."""
        if self._texts:
            return b""
        begun = b""
        place: dict[str, Any] = {"item_id": f"rs_{self._id}", "output_index": 0, "summary_index": 0}
        if not self._thoughts:
            item = {"id": f"rs_{self._id}", "type": "reasoning", "summary": [], "status": "in_progress"}
            begun = self._event("response.output_item.added", output_index=0, item=item)
            begun += self._event("response.reasoning_summary_part.added", **place, part=_summary(""))
        self._thoughts.append(text)
        return begun + self._event("response.reasoning_summary_text.delta", **place, delta=text)

    def text(self, text: str) -> bytes:
        """Events with a piece of the answer."""
        begun = self._answer_begins()
        self._texts.append(text)
        return begun + self._events([self._item.piece(len(self._output), text)])

    def closing(self, ending: Ending) -> bytes:
        """The answer once more as it is whole, and the response."""
        begun, at = self._answer_begins(), len(self._output)
        text, status = "".join(self._texts), _status(ending)
        item = self._item.whole(text, status)
        ended = self._events(
            [*self._item.ends(at, text), ("response.output_item.done", {"output_index": at, "item": item})]
        )
        self._output.append(item)
        return begun + ended + self._event(f"response.{status}", response=self._ended(ending))

    def failed(self, refusal: Refusal) -> bytes:
        """The error, as clients look for it, and the response that failed."""
        error = {"code": refusal.code, "message": refusal.message}
        return self._event("response.failed", response=self._response("failed", error=error)) + self._event(
            "error", **error, param=refusal.param, error={"type": refusal.kind, **error, "param": refusal.param}
        )

    def whole(self, text: str, thoughts: str, ending: Ending) -> bytes:
        """The response as one JSON object."""
        if thoughts:
            self._output.append(_reasoning(self._id, thoughts))
        self._output.append(self._item.whole(text, _status(ending)))
        return msgspec.json.encode(self._ended(ending))

    def _answer_begins(self) -> bytes:
        """Events before the first piece of the answer, if there was none yet."""
        if self._texts:
            return b""
        thoughts = self._thought_ends()
        return thoughts + self._events(self._item.begins(len(self._output)))

    def _thought_ends(self) -> bytes:
        if not self._thoughts:
            return b""
        text, place = "".join(self._thoughts), {"item_id": f"rs_{self._id}", "output_index": 0, "summary_index": 0}
        item = _reasoning(self._id, text)
        self._output.append(item)
        return (
            self._event("response.reasoning_summary_text.done", **place, text=text)
            + self._event("response.reasoning_summary_part.done", **place, part=_summary(text))
            + self._event("response.output_item.done", output_index=0, item=item)
        )

    def _ended(self, ending: Ending) -> dict[str, Any]:
        usage = {"usage": _usage(ending.usage), "stretto": ending.told}
        if _status(ending) == "completed":
            return self._response("completed", **usage)
        return self._response("incomplete", incomplete_details={"reason": "max_output_tokens"}, **usage)

    def _response(self, status: str, **more: Any) -> dict[str, Any]:
        nothing = {"error": None, "incomplete_details": None, "usage": None}
        return {**self._facts, "status": status, "output": list(self._output), **nothing, **more}

    def _events(self, told: Sequence[Told]) -> bytes:
        return b"".join(self._event(kind, **facts) for kind, facts in told)

    def _event(self, kind: str, **facts: Any) -> bytes:
        data = msgspec.json.encode({"type": kind, "sequence_number": self._sequence, **facts})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


Voice = Completion | Response
"""Says one answer in the form of its address: streamed, as bytes of server-sent events, or as one JSON object."""


def _summary(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def _reasoning(id_: str, text: str) -> dict[str, Any]:
    return {"id": f"rs_{id_}", "type": "reasoning", "summary": [_summary(text)], "status": "completed"}


def _status(ending: Ending) -> str:
    return "incomplete" if ending.finish == "length" else "completed"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
