"""What a conversation asks of a workflow: its last message is the task, all before it an input that goes with that.

A request for a response is read as the chat completion that asks the same.
"""

import binascii
import copy
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.ground.regex import regex
from stretto.head import messages_of
from stretto.run.roles import shaped
from stretto.server.body import ChatBody, chat_of
from stretto.server.refused import BadBodyError
from stretto.types import Input
from stretto.types.images import image_input
from stretto.workflow import Workflow

_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_BEFORE = "the conversation so far"
_INSTRUCTIONS = "Instructions that go with it:"
_LIMITS = ("max_tokens", "max_completion_tokens")
NO_TOOLS = (
    "no tools are called here, unless tool_choice says that one must be; ask without them (or have them passed over: "
    "stretto serve --ignore-tools)"
)
_NO_STOP = "no text ends the answer of a workflow; leave it out, or ask a model by itself (provider:model)"

_HEADING = regex(r"\s*#{1,4} *Task:(?!\s*respond\b)", re.IGNORECASE)  # what answers from documents has it, too
_ABOUT = regex(
    r"\b(titles?|tags?|follow[- ]?ups?|user might \w+ (?:send|ask) next|emojis?|name|summary|search quer(?:y|ies)"
    r"|autocomplet\w*|compacted|prompt for a[nm]? image generation)\b",
    re.IGNORECASE,
)
_CHORE = regex(
    r"\b(generate|suggest|give|provide|create|write|reply|respond|come up|summari[sz]e)\b[^.!?\n]{0,100}"
    r"\b(titles?|tags?|follow[- ]?up|emoji|name)\b[^.!?\n]{0,100}\b(chat|conversation|dialog(?:ue)?|messages?)\b",
    re.IGNORECASE,
)
_LOOKED_AT = 600
"""Characters of a message in which a chore is asked for, if it is one; a conversation follows as a rule."""
_TOOLS = ("tools", "functions", "function_call", "tool_choice", "parallel_tool_calls")
_ANY = {"type": "object"}

_TEXTS = ("input_text", "output_text", "text", "summary_text")
_PASSED_OVER = ("reasoning", "item_reference")
"""Items of an earlier answer that say nothing to anybody: thoughts, and what a provider keeps of its own."""
_KEPT = ("previous_response_id", "conversation", "prompt")


class Asked(Struct, frozen=True):
    """A task and what it comes with; `direct`: a chore of a chat client, for which nothing is planned."""

    task: str
    inputs: tuple[Input, ...] = ()
    direct: bool = False


def asked_of(chat: ChatBody) -> Asked:
    """What a conversation asks; raises `BadBodyError` if its last message is nobody's question."""
    messages = messages_of(chat.request)
    system = "\n\n".join(each.content for each in messages if each.role == "system" and each.content.strip())
    spoken = [each for each in messages if each.role != "system"]
    if not spoken or spoken[-1].role != "user":
        raise BadBodyError("the last message must be the user's: it is the task", "messages")
    task = spoken[-1].content
    if not task.strip():
        raise BadBodyError("the last message is empty; say what is to be done", "messages")
    told = "\n\n".join(f"{_SPEAKERS[each.role]}: {each.content}" for each in spoken[:-1])
    before = [Input(_BEFORE, told)] if told else []
    pictures = [_image(address, number) for number, address in enumerate(chat.images, 1)]
    direct = not pictures and is_chore(task)
    if system:
        task = f"{task}\n\n{_INSTRUCTIONS}\n{system}"
    return Asked(task, (*before, *pictures), direct)


def is_chore(task: str) -> bool:
    """Whether a message is what chat clients ask by themselves: a title for the conversation, tags, follow-ups."""
    head = task[:_LOOKED_AT]
    return bool(_CHORE.search(head) or (_HEADING.match(head) and _ABOUT.search(head)))


def check_options(options: Mapping[str, Any]) -> None:
    """Raise `BadBodyError` for what is asked of an answer that a workflow cannot keep."""
    if options.get("tools") or options.get("functions"):
        raise BadBodyError(NO_TOOLS, "tools")
    if options.get("stop"):
        raise BadBodyError(_NO_STOP, "stop")


def answering(workflow: Workflow[Any], chat: ChatBody) -> Workflow[Any]:
    """The workflow with its answer as this request wants it: of that shape, no longer than that."""
    options, schema = chat.request.options, chat.request.schema
    if schema is None and "response_format" in options:  # any object will do
        schema = {"type": "object"}
    most = next((options[name] for name in _LIMITS if options.get(name) is not None), None)
    if schema is None and most is None:
        return workflow
    definition = workflow.definition
    if definition.synthesizer is None:
        wanted = "max_tokens" if schema is None else "tools" if chat.function else "response_format"
        raise BadBodyError(f"the results of this workflow are its answer as they are; leave {wanted} out", wanted)
    writer = definition.synthesizer
    if most is not None:
        writer = replace(writer, options={**writer.options, "max_tokens": most})
    if schema is not None:
        writer = replace(writer, schema=None)
    varied = copy.copy(workflow)  # the same models, prices and store
    try:
        varied.definition, varied.shape = shaped(replace(definition, synthesizer=writer), schema)
    except ConfigError as error:
        where = "tools" if chat.function else "response_format"
        raise BadBodyError(f"{where}: {error}", where) from error
    return varied


def _image(address: str, number: int) -> Input:
    """An image that came with the conversation; raises `BadBodyError` if it is only an address somewhere."""
    kind, comma, data = address.partition(",")
    if not comma or not kind.startswith("data:") or not kind.endswith(";base64"):
        raise BadBodyError("images come with the request (data:image/png;base64,…): no address is fetched", "messages")
    try:
        return image_input(f"image {number}", binascii.a2b_base64(data))
    except ValueError as error:
        raise BadBodyError(f"image {number}: its data is no base64 ({error})", "messages") from error


def with_function(chat: ChatBody, *, ignore: bool) -> ChatBody:
    """The same, with the one function that must be called as the shape of the answer.

    Which one it is says `tool_choice`, by its name or, if there is but one, as `required`. Without one, functions that
    must not be called are passed over, and if `ignore` says so those that need not be; others stay in the options.
    Frameworks ask for objects in this way (an output type, `function_calling`). Whoever asks calls it, nobody here.
    """
    options = chat.request.options
    given = options.get("tools") or options.get("functions")
    choice = options.get("tool_choice") or options.get("function_call")
    offered, rest = _offered(given), {key: value for key, value in options.items() if key not in _TOOLS}
    name = next(iter(offered)) if choice == "required" and len(offered) == 1 else _named(choice)
    if name is not None and name in offered:
        rest.pop("response_format", None)
        return replace(chat, request=replace(chat.request, options=rest, schema=offered[name]), function=name)
    if given and choice != "none" and not (ignore and choice in (None, "auto")):
        return chat
    return replace(chat, request=replace(chat.request, options=rest))


def _offered(given: Any) -> dict[str, dict[str, Any]]:
    """What each function takes, in the forms of both addresses."""
    listed = [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []
    told = [each["function"] if isinstance(each.get("function"), Mapping) else each for each in listed]
    return {each["name"]: _schema(each) for each in told if isinstance(each.get("name"), str)}


def _schema(told: Mapping[str, Any]) -> dict[str, Any]:
    taken = told.get("parameters")
    return taken if isinstance(taken, dict) and taken else _ANY


def _named(choice: Any) -> str | None:
    if not isinstance(choice, Mapping):
        return None
    told = choice.get("function", choice)
    name = told.get("name") if isinstance(told, Mapping) else None
    return name if isinstance(name, str) else None


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
