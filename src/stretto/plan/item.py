"""One entry of a plan: what it says, taken as a subtask as far as it can be."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.ground.regex import regex
from stretto.ground.text import clean
from stretto.plan.fields import (
    DESCRIPTION,
    ID,
    NEEDS,
    QUOTES,
    TITLE,
    TYPE,
    decode_text,
    fields_in,
    is_json,
    plain,
    says,
    unwrapped,
)

_LETTER = regex(r"[^\W\d_]")
_NOTHING = regex(r"(?:none|null|nil|no|nothing|n/?a|not applicable|empty|-+|\[\s*\])\.?", re.IGNORECASE)
_LISTS = ("tasks", "steps", "items", "actions", "jobs", "assignments")
_PARTS = ("subtasks", "tasks", "children")
_OF_NEED = frozenset({*ID, "task", "subtask", "name", "ref"})
_APART = regex(r"\s*[,;\n]\s*")
# A model that is told its schema may write it down once more, and that has types and descriptions too.
_FORM = frozenset({"object", "array", "string"})
# What the schema says of an id and of a description, which small models write in their place.
_OF_FORM = regex(
    r"(?:t\d{1,3}\b[\s,.…]{0,9}){1,99}(?:and so on|etc)?\W{0,9}"
    r"|the objective, what to return, what is out of scope\W{0,9}",
    re.IGNORECASE,
)
_MESSAGE = frozenset({"text", "outputtext", "output_text"})  # types of parts, in which the plan itself stands as a text
_OF_MESSAGE = frozenset({"type", "text", "annotations"})


_WORK = ("task", "subtask", "instruction", "instructions", "objective", "action", "prompt", "taskdescription")


class Draft(Struct, frozen=True):
    """A subtask as the orchestrator wrote it, unchecked.

    `type` is empty if it names none; `remark`: what had to be guessed about it; `title`: what else it is called.
    """

    type: str
    description: str
    id: str | None = None
    needs: tuple[str, ...] = ()
    value: float | None = None
    remark: str = ""
    title: str = ""


class Broken(Struct, frozen=True):
    """An element of `tasks` that is no subtask: its place from 1, its first 200 characters, and why."""

    place: int
    excerpt: str
    why: str


class Read(Struct, frozen=True):
    """What was read of an entry, and its fields if it is an object; `joined`: with those of the half before it.

    `weight`: how much it speaks for a subtask. 2 with a type or needs, which nothing else has; 1 with an id or work to
    do; 0 otherwise: many things have names.
    """

    item: Draft | Broken
    weight: int = 0
    fields: Mapping[str, Any] = {}
    joined: bool = False


def read_item(text: str, place: int, half: Mapping[str, Any] | None = None) -> Read:
    """Decode an element, mending it if need be; `half`: the fields of the one before it, which may be a part of it."""
    inner = decode_text(text[1:].rstrip(QUOTES)).strip() if text[0] in QUOTES and "{" in text[:20] else ""
    if text[0] == "{" or (inner.startswith("{") and is_json(inner)):
        fields = fields_in(inner or text)
        joined = half is not None and not half.keys() & fields.keys()
        fields = {**(half or {}), **fields} if joined else fields
        said, weight = draft_of(fields), weight_of(fields)
    else:
        fields, joined, said, weight = {}, False, _from_text(text), 0
    return Read(said if isinstance(said, Draft) else Broken(place, clean(text[:200]), said), weight, fields, joined)


def weight_of(fields: Mapping[str, Any]) -> int:
    """How much fields with plain names speak for a subtask."""
    if any(says(_only(fields.get(name))) for name in TYPE) or any(fields.get(name) is not None for name in NEEDS):
        return 2
    return 1 if any(fields.get(name) is not None for name in (*ID, *_WORK)) else 0


def sure(entries: Iterable[Mapping[str, Any]]) -> list[Read]:
    """The subtasks among entries with plain names that have a type or needs, as nothing else has."""
    read = ((draft_of(fields), weight_of(fields)) for fields in entries)
    return [Read(draft, weight) for draft, weight in read if isinstance(draft, Draft) and weight == 2]


def draft_of(fields: Mapping[str, Any]) -> Draft | str:
    """The subtask that fields with plain names make, or why they make none."""
    title = next((clean(fields[name]).strip() for name in TITLE if says(fields.get(name))), "")
    type_ = next((clean(said) for name in TYPE if says(said := _only(fields.get(name)))), "")
    description = next((text for name in DESCRIPTION if (text := _text(fields.get(name)))), "")
    if not description:
        return (
            f"`description` is {'missing' if fields.get('description') is None else 'not a text that says something'}"
        )
    if type_ in _FORM or _OF_FORM.fullmatch(description.strip()):
        return "it describes the form of a plan"
    if type_ in _MESSAGE and fields.keys() <= _OF_MESSAGE:
        return "it is a part of a message"
    if not type_ and not reads_as_work(description):
        return "`type` is missing, and its description is one word"
    if not type_ and title != description:
        type_ = title  # who puts the worker's name there has no other place for it
    own = _id(fields) or (title if type_ not in {"", title} and len(title.split()) == 1 else None)
    needs = next((fields[name] for name in NEEDS if fields.get(name) is not None), None)
    # By a title of several words others may need it: one word is its id, or its worker's.
    called = title if len(title.split()) > 1 and title != type_ else ""
    return Draft(type_, description, own, _needs(needs), _number(fields.get("value")), title=called)


def parts_in(fields: Mapping[str, Any], whole: Draft) -> list[Draft]:
    """The subtasks that a subtask lists as its own parts; they need what it needs, and it needs them."""
    lists = [fields[name] for name in _PARTS if isinstance(fields.get(name), list)]
    inner = [unwrapped(each) for value in lists for each in value if isinstance(each, dict)]
    parts = [each for entry in inner if isinstance(each := draft_of(entry), Draft) and weight_of(entry) == 2]
    if len(parts) < len(inner):
        return []  # steps for whoever does it
    return [
        replace(part, id=part.id or f"{whole.id or 'part'}.{at}", needs=part.needs or whole.needs)
        for at, part in enumerate(parts, 1)
    ]


def entries_in(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries that what is no subtask itself holds: phases and groups have lists of their own."""
    lists = [value for name, value in fields.items() if name.endswith(_LISTS) and isinstance(value, list)]
    return [unwrapped(each) for value in lists for each in value if isinstance(each, dict)]


def _only(value: Any) -> Any:
    """The one text in a list of one, or the name in an object."""
    if isinstance(value, dict):
        return value.get("name", value.get("type"))
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _from_text(text: str) -> Draft | str:
    """A subtask that is nothing but a text."""
    said = clean(decode_text(text[1:].rstrip(QUOTES))) if text[0] in QUOTES else ""
    return Draft("", said) if reads_as_work(said) else "it is not an object"


def reads_as_work(text: str) -> bool:
    """Whether a text may say what is to be done: it has several words, or letters of a script without blanks."""
    words = [word for word in text[:200].split() if _LETTER.search(word)]
    return len(words) > 1 or (bool(words) and not words[0].isascii() and len(words[0]) > 4)


def says_something(fields: Mapping[str, Any]) -> bool:
    """Whether any field of an entry holds a text that is more than dots, and it is not the form itself."""
    return any(map(says, fields.values())) and str(fields.get("type")) not in _FORM


def names_itself(fields: Mapping[str, Any]) -> bool:
    """Whether an entry says who does it, or how it is called."""
    return any(name in fields for name in (*TYPE, *ID))


def _text(value: Any) -> str:
    """A text, or one made of a list of texts or of an object; empty if it says nothing."""
    if isinstance(value, list):
        value = "\n".join(each for each in value if says(each))
    elif isinstance(value, dict):
        value = "\n".join(f"{name}: {each}" for name, each in value.items() if says(each))
    return clean(value) if says(value) else ""


def _id(fields: Mapping[str, Any]) -> str | None:
    """The id, if there is one; a text of several words at `step` or `number` is none."""
    for name in ID:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip() and (name in {"id", "taskid"} or len(value.split()) == 1):
            return clean(value)
    return None


def _needs(value: Any) -> tuple[str, ...]:
    """The names of the subtasks whose results are used, however that is written."""
    return tuple(name for name in _names(value) if name and not _NOTHING.fullmatch(name.strip()))


def _names(value: Any, *, inside: bool = False) -> Iterator[str]:
    """The names in a text, a list or an object: its id, or its keys if it is all there is."""
    match value:
        case str():
            yield from [clean(value)] if inside else map(clean, _APART.split(value))
        case list():
            for each in value:
                yield from _names(each, inside=True)
        case dict():
            own = next((each for name, each in value.items() if plain(name) in _OF_NEED and each), None)
            yield from _names(own, inside=True) if own else (clean(name) for name in value if value[name] is not False)
        case int() | float() if not isinstance(value, bool):
            yield str(value)


def _number(value: Any) -> float | None:
    """What a subtask is worth, if that is said at all and is a number."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)
