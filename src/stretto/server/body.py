"""Reading the body of a chat-completions request, at the door."""

import codecs
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.head import taken_apart
from stretto.server.refused import BadBodyError
from stretto.types import Message, Request

T = TypeVar("T")

_HALF = regex(rb"\\u[dD][89a-fA-F]")

ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "user",
    "function": "user",
}  # fmt: skip


class ChatBody(Struct, frozen=True):
    """A chat-completions request, and how its sender wants the reply.

    `images`: their addresses, in its messages. `function`: the name of one that the reply is to call.
    """

    request: Request
    stream: bool
    usage_wanted: bool
    images: tuple[str, ...] = ()
    function: str | None = None


def read_body(data: bytes) -> ChatBody:
    """The request a body holds; raises `BadBodyError` with what is wrong and where."""
    return chat_of(json_object(data))


def chat_of(body: dict[str, Any]) -> ChatBody:
    """The request that an object is, which is taken apart for it."""
    model = body.pop("model", None)
    if not isinstance(model, str) or not model:
        raise BadBodyError("you must provide a model parameter: the name of a model", "model")
    messages = body.pop("messages", None)
    read, images = _messages(messages), _images(messages)
    head, rest = taken_apart(read, images)
    stream = body.pop("stream", None)
    if stream is not None and not isinstance(stream, bool):
        raise BadBodyError("'stream' must be true or false", "stream")
    count = body.pop("n", None)
    if count is not None and (isinstance(count, bool) or count != 1):
        raise BadBodyError("'n' must be 1: ask again for another reply", "n")
    _check_token_limits(body)
    schema = _take_schema(body)
    stream_options = body.pop("stream_options", None)
    usage_wanted = isinstance(stream_options, dict) and stream_options.get("include_usage") is True
    return ChatBody(Request(model, rest, body, schema, head=head), bool(stream), usage_wanted, tuple(images))


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object that a body is; raises `BadBodyError`."""
    try:
        body = json_in(data, Any)
    except msgspec.ValidationError as error:  # a number that is larger than any
        raise BadBodyError(f"the body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadBodyError("the body must be a JSON object")
    return body


def json_in(data: bytes, kind: type[T]) -> T:
    """The JSON that a body is; raises `BadBodyError`, and `msgspec.ValidationError` if it is not of this kind.

    Half a letter becomes U+FFFD: JavaScript escapes one where a text was cut in the middle of an emoji.
    """
    data = data.removeprefix(codecs.BOM_UTF8)  # PowerShell and .NET write one
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            if _HALF.search(data):
                whole = clean(json.dumps(json.loads(data), ensure_ascii=False))
                return msgspec.json.decode(whole, type=kind)
        except (ValueError, RecursionError):
            pass  # it is no JSON for another reason
        raise BadBodyError(f"the body is not valid JSON: {error}") from error


def _messages(given: Any) -> list[Message]:
    if not isinstance(given, list) or not given:
        raise BadBodyError("'messages' must be a list with at least one message", "messages")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(given)]


def _message(given: Any, place: str) -> Message:
    if not isinstance(given, dict):
        raise BadBodyError(f"'{place}' must be an object", place)
    role = given.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise BadBodyError(f"'{place}.role' must be one of {', '.join(ROLES)}, not {role!r}", f"{place}.role")
    said = _content(given.get("content"), role, f"{place}.content")
    return Message(ROLES[role], "\n".join(filter(None, (said, *_called(given.get("tool_calls"))))))


def _called(given: Any) -> list[str]:
    """The functions that were called, in words; what came of it stands in the messages behind."""
    calls = [call.get("function") for call in given if isinstance(call, dict)] if isinstance(given, list) else []
    return [f"{call.get('name')}({call.get('arguments', '')})" for call in calls if isinstance(call, dict)]


def _content(given: Any, role: str, place: str) -> str:
    """Plain text, or the text parts of a list; only an assistant may have said nothing."""
    if isinstance(given, str):
        return given
    if given is None and role == "assistant":
        return ""
    if isinstance(given, list) and all(isinstance(part, dict) for part in given):
        return "".join(_part(part, place) for part in given)
    raise BadBodyError(f"'{place}' must be a string or a list of parts", place)


def _part(part: Mapping[str, Any], place: str) -> str:
    """The text of a part; an image has none. What is neither would be lost without a word."""
    kind = part.get("type", "text")
    if kind not in ("text", "refusal", "image_url"):
        raise BadBodyError(f"'{place}' has a part of type {str(kind)[:80]!r}; texts and images are taken", place)
    return str(part.get("text") or part.get("refusal") or "")


def _images(given: Any) -> list[str]:
    """The addresses of the images among the parts of messages."""
    parts = [part for message in given if isinstance(message.get("content"), list) for part in message["content"]]
    found = [part["image_url"] for part in parts if isinstance(part.get("image_url"), dict)]
    return [str(image.get("url")) for image in found]


def _check_token_limits(body: Mapping[str, Any]) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise BadBodyError(f"'{name}' must be a whole number from 1, not {value!r}", name)


def _take_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema of the reply, taken out of `response_format` in whichever form it comes."""
    form = body.get("response_format")
    if form is None:
        body.pop("response_format", None)
        return None
    if not isinstance(form, dict) or form.get("type") not in ("text", "json_object", "json_schema"):
        raise BadBodyError("'response_format.type' must be text, json_object or json_schema", "response_format")
    wrapped = form.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, dict) else form.get("schema")
    if form["type"] == "json_schema" and not isinstance(schema, dict):
        raise BadBodyError("'response_format' of type json_schema needs a schema", "response_format.json_schema")
    if form["type"] == "text" or isinstance(schema, dict):
        del body["response_format"]
    return schema if isinstance(schema, dict) and form["type"] != "text" else None
