"""One element of a plan: what it says, mended if it is no JSON."""

import json
import re
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from stretto.text import clean

_KEY = re.compile(r'[{,"\]]\s*"(\w+)"\s*:\s*')
_COMMENT = re.compile(r"([,{\[])\s*//[^\n/]*+\n")
_QUOTED = re.compile(r'"(.*(?<!\\)(?:\\\\)*)"', re.DOTALL)
_NAMES = re.compile(r'"((?:[^"\\]|\\.)*)"|([\w.+-]+)', re.DOTALL)
LOOSE = " \t\r\n,"
_ESCAPE = re.compile(r'(\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]))|\\(\')|([\\"])')
_SAYS = re.compile(r"[^\s.…]")


class Draft(Struct, frozen=True):
    """A subtask as the orchestrator wrote it, unchecked."""

    type: str
    description: str
    id: str | None = None
    needs: tuple[str, ...] = ()
    value: float | None = None


class Broken(Struct, frozen=True):
    """An element of `tasks` that is no subtask: its place from 1, its first 200 characters, and why."""

    place: int
    excerpt: str
    why: str


def read_item(text: str, place: int) -> Draft | Broken:
    """Decode an element, mending it if need be."""
    said = _draft(_fields(text)) if text[0] == "{" else "it is not an object"
    return said if isinstance(said, Draft) else Broken(place, clean(text[:200]), said)


def _draft(fields: dict[str, Any]) -> Draft | str:
    """Return the subtask, or why it is none."""
    for name in ("type", "description"):
        if not _says(fields.get(name)):
            return f"`{name}` is {'missing' if fields.get(name) is None else 'not a text that says something'}"
    needs = fields.get("needs")
    names = [fields.get("id"), *(needs if isinstance(needs, list) else [needs])]
    if any(isinstance(name, bool | list | dict) for name in names):
        return "`id` or `needs` holds something that is no id"
    own, *others = ["" if name is None else clean(str(name)) for name in names]
    return Draft(
        clean(fields["type"]),
        clean(fields["description"]),
        own or None,
        tuple(filter(None, others)),
        _number(fields.get("value")),
    )


def _number(value: Any) -> float | None:
    """What a subtask is worth, if that is said at all and is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def says_something(text: str) -> bool:
    """Whether any field of an element holds a text that is more than dots."""
    return any(map(_says, _salvaged(text).values()))


def _says(value: Any) -> bool:
    """Tell a text from nothing, from other things and from the dots of a quoted form."""
    return isinstance(value, str) and _SAYS.search(value) is not None


def _fields(text: str) -> dict[str, Any]:
    """Decode an object: strictly, else with what the standard library forgives, else field by field."""
    with suppress(ValueError, RecursionError):
        return msgspec.json.decode(text, type=dict[str, Any])
    with suppress(ValueError, RecursionError):
        return dict(json.loads(text, strict=False))
    return _salvaged(text)


def _salvaged(text: str) -> dict[str, Any]:
    """Cut an object that is no JSON at its keys and read what lies between them; the first of a name counts."""
    text = _COMMENT.sub(r"\1", text)
    fields, end = {}, len(text)
    for key in reversed(list(_KEY.finditer(text))):
        fields[key[1]] = _value(text[key.end() : end].strip())
        end = key.start(1) - 1
    return fields


def _value(raw: str) -> Any:
    """Read a field as far as it is certain what was meant; with a bare word it is not."""
    if raw.startswith('"'):
        quoted = _QUOTED.match(raw)
        return decode_text(quoted[1] if quoted else raw[1:].rstrip(LOOSE + "}"))
    if raw.startswith("["):
        return [decode_text(quoted) if quoted else bare for quoted, bare in _NAMES.findall(raw)]
    bare = raw.rstrip(LOOSE + "}")
    return bare if bare.isdecimal() else None


def decode_text(body: str) -> str:
    """Decode what stands between the quotes of a string, whatever its escapes."""
    return str(json.loads('"' + _ESCAPE.sub(lambda m: m[1] or m[2] or "\\" + m[3], body) + '"', strict=False))
