"""The body of a request for a response, as the chat completion that asks the same."""

from collections.abc import Mapping
from typing import Any

from stretto.server.body import ChatBody, chat_of
from stretto.server.refused import BadBodyError

_TEXTS = ("input_text", "output_text", "text", "summary_text")
_PASSED_OVER = ("reasoning", "item_reference")
"""Items of an earlier answer that say nothing to anybody: thoughts, and what a provider keeps of its own."""
_KEPT = ("previous_response_id", "conversation", "prompt")


def chat_asked(body: Mapping[str, Any]) -> ChatBody:
    """The chat completion that asks the same; raises `BadBodyError` naming what is wrong in the body's own words."""
    for name in _KEPT:
        if body.get(name):
            raise BadBodyError(f"{name}: no conversation is kept here; send all of it as input", name)
    if body.get("background"):
        raise BadBodyError("background: an answer is given to whoever waits for it; leave it out", "background")
    asked = {key: body[key] for key in ("model", "stream", "tools", "tool_choice", "temperature") if key in body}
    if body.get("max_output_tokens") is not None:
        asked["max_tokens"] = body["max_output_tokens"]
    asked |= _format(body.get("text"))
    return chat_of({**asked, "messages": _messages(body.get("instructions"), body.get("input"))})


def _format(text: Any) -> dict[str, Any]:
    form = text.get("format") if isinstance(text, Mapping) else None
    if form is None:
        return {}
    if isinstance(form, Mapping) and form.get("type") == "json_schema":
        return {"response_format": {"type": "json_schema", "json_schema": {"schema": form.get("schema")}}}
    return {"response_format": form}


def _messages(instructions: Any, given: Any) -> list[Any]:
    if instructions is not None and not isinstance(instructions, str):
        raise BadBodyError("'instructions' must be a text", "instructions")
    first = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(given, str):
        return [*first, {"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise BadBodyError("'input' must be a text, or a list with at least one item", "input")
    items = [_item(item, f"input[{index}]") for index, item in enumerate(given)]
    return [*first, *(item for item in items if item)]


def _item(item: Any, place: str) -> dict[str, Any] | None:
    """The message that an item is; None for what is passed over."""
    if not isinstance(item, Mapping):
        raise BadBodyError(f"'{place}' must be an object", place)
    kind = item.get("type", "message")
    if kind in _PASSED_OVER:
        return None
    if kind in ("function_call_output", "custom_tool_call_output"):
        return {"role": "tool", "content": _content(item.get("output"), f"{place}.output")}
    if kind in ("function_call", "custom_tool_call"):
        called = item.get("arguments", item.get("input", ""))
        return {"role": "assistant", "content": f"{item.get('name')}({called})"}
    if kind != "message":
        raise BadBodyError(f"'{place}' is of type {str(kind)[:80]!r}; messages are taken", place)
    return {"role": item.get("role"), "content": _content(item.get("content"), f"{place}.content")}


def _content(content: Any, place: str) -> Any:
    """What is said, in the parts of a chat completion."""
    return [_part(part, place) for part in content] if isinstance(content, list) else content


def _part(part: Any, place: str) -> Any:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    if kind == "refusal":
        return part
    raise BadBodyError(f"'{place}' has a part of type {str(kind)[:80]!r}; texts and images are taken", place)
