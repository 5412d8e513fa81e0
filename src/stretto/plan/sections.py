"""A plan in TOML, or in what looks like it: a heading in brackets for each subtask, and below it a field a line."""

import re
from typing import Any

from stretto.ground.regex import regex
from stretto.plan.fields import NEEDS, QUOTES, decode_text, is_field, listed, plain
from stretto.plan.item import Draft, Read, draft_of, weight_of

_HEADING = regex(r"""^[ \t]{0,8}\[{1,2}[ \t]*([\w"'/.-]{1,80})[ \t]*\]{1,2}[ \t]*(?:#.*)?$""", re.MULTILINE)
_KEY = regex(r"^[ \t]{0,8}[\"']?([A-Za-z][\w-]{0,15})[\"']?[ \t]*=[ \t]*", re.MULTILINE)
_END = regex(r"^[ \t]{0,3}(?:```|~~~)|^[ \t]*\n(?=[^\[=\n]{1,200}$)", re.MULTILINE)
_LONG = ('"' * 3, "'" * 3)
_LISTS = frozenset({"tasks", "task", "subtasks", "subtask", "steps", "step", "plan", "items"})


def sections(text: str) -> list[Read]:
    """The sections that have the fields of a subtask; one that has a name of its own has it as its id."""
    headings = list(_HEADING.finditer(text))
    ends = [*(found.start() for found in headings[1:]), len(text)]
    reads = []
    for heading, end in zip(headings, ends, strict=False):
        name = heading[1].rpartition(".")[2].strip("\"'")
        fields = _fields(text[heading.end() : end])
        if plain(name) not in _LISTS:
            fields = {"id": name, **fields}
        draft, weight = draft_of(fields), weight_of(fields)
        if isinstance(draft, Draft) and weight == 2:
            reads.append(Read(draft, weight))
    return reads


def _fields(body: str) -> dict[str, Any]:
    found = list(_KEY.finditer(body))
    ends = [*(each.start() for each in found[1:]), len(body)]
    fields: dict[str, Any] = {}
    for each, end in zip(found, ends, strict=False):
        if is_field(each[1]):
            fields.setdefault(plain(each[1]), _value(body[each.end() : end], is_list=plain(each[1]) in NEEDS))
    return fields


def _value(raw: str, *, is_list: bool) -> Any:
    """A value as TOML writes it, or one without quotes; what stands behind it is none of it."""
    if raw.startswith(_LONG):
        return raw[3:].partition(raw[:3])[0].strip()
    end = _END.search(raw)
    value = (raw[: end.start()] if end else raw).strip()
    if value.startswith("["):
        return listed(value.partition("]")[0].replace("'", '"'))
    if not value:
        return ""
    if value[0] in QUOTES:
        value = value.splitlines()[0]
        closing = value.rfind(value[0], 1)
        return decode_text(value[1 : closing if closing > 0 else None])
    return value.splitlines()[0] if is_list else value
