"""The form a plan must have, as the request says."""

import re

from msgspec import Struct

from stretto.ground.regex import regex
from stretto.models.simulator.reading import resolve, text_of
from stretto.types import Request

_AT_MOST = regex(r"\b(?:at most|never more than|no more than|up to|maximum of)\s+(\d+)", re.IGNORECASE)
_WORKER_LINES = regex(r"^workers?\b[^\n]*:[ \t]*\n((?:[ \t]*- [^\n]*\n?)+)", re.IGNORECASE | re.MULTILINE)
_WORKER_NAME = regex(r"^[ \t]*- `?([^\s:`]+)`?(?:[ \t]*:|[ \t]*$)", re.MULTILINE)
_ENUM = regex(r'"type"\s*:\s*\{[^{}\]]*?"enum"\s*:\s*\[([^\]]*)\]')
_SIZED = "`size`"
"""How a prompt that asks for a plan's size speaks of it."""


class PlanForm(Struct, frozen=True):
    """The worker types, how many subtasks at most, and which keys a subtask may or must have.

    `opening`: the key of what the plan says first, `analysis` or `brief`; empty for nothing. `sized`: whether it says
    how large it is.
    """

    types: tuple[str, ...]
    at_most: int | None
    keys: frozenset[str]
    required: frozenset[str]
    opening: str
    sized: bool = False


def plan_form(request: Request) -> PlanForm:
    """Read the form from the schema, or else from the prompt."""
    text = text_of(request)
    if request.schema is None:
        every = frozenset({"id", "type", "description", "needs"})
        opening = "brief" if '"brief"' in text else "analysis"
        return PlanForm(_types_in(text), _at_most(text), every, frozenset(), opening, sized=_SIZED in text)
    root = request.schema
    tasks = resolve(root, root["properties"]["tasks"])
    item = resolve(root, tasks.get("items", {}))
    properties = item.get("properties", {})
    type_ = resolve(root, properties.get("type", {}))
    types = type_.get("enum") or ([type_["const"]] if "const" in type_ else [])
    return PlanForm(
        tuple(str(name) for name in types) or _types_in(text),
        tasks.get("maxItems") or _at_most(str(tasks.get("description", ""))) or _at_most(text),
        frozenset(properties) or frozenset({"id", "type", "description", "needs"}),
        frozenset(item.get("required", ())),
        next((key for key in ("brief", "analysis") if key in root["properties"]), ""),
        sized="size" in root["properties"],
    )


def _types_in(text: str) -> tuple[str, ...]:
    if enum := _ENUM.search(text):
        return tuple(re.findall(r'"([^"]*)"', enum[1])) or ("general",)
    if lines := _WORKER_LINES.search(text):
        return tuple(_WORKER_NAME.findall(lines[1])) or ("general",)
    return ("general",)


def _at_most(text: str) -> int | None:
    found = _AT_MOST.search(text)
    return int(found[1]) if found else None
