"""The function that a request wants called: an answer that fits what it takes, given as that call.

Frameworks ask for objects in this way (an output type, `function_calling`). Whoever asks calls it, nobody here.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from stretto.server.body import ChatBody

_TOOLS = ("tools", "functions", "function_call", "tool_choice", "parallel_tool_calls")
_ANY = {"type": "object"}


def with_function(chat: ChatBody, *, ignore: bool) -> ChatBody:
    """The same, with the one function that must be called as the shape of the answer.

    Which one it is says `tool_choice`, by its name or, if there is but one, as `required`. Without one, functions that
    must not be called are passed over, and if `ignore` says so those that need not be; others stay in the options.
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
