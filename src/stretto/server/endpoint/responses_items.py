"""The item of a response that is its answer: a message, or the call of a function."""

from typing import Any, Protocol

Told = tuple[str, dict[str, Any]]
"""The kind of an event, and what it says."""


class Item(Protocol):
    """An answer as an item of a response; `at` is its place among the items."""

    def whole(self, text: str, status: str) -> dict[str, Any]:
        """All of it."""
        ...

    def begins(self, at: int) -> list[Told]:
        """Events that come before its first piece."""
        ...

    def piece(self, at: int, text: str) -> Told:
        """The event of a piece of it."""
        ...

    def ends(self, at: int, text: str) -> list[Told]:
        """Events that say once more what was said in pieces."""
        ...


class MessageItem:
    """An answer in words."""

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
    """An answer as what a function is to be called with."""

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
