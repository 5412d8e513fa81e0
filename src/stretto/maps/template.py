"""A template, and an item's fields in the place of its placeholders."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stretto.errors import TaskError
from stretto.ground.regex import regex
from stretto.ground.text import clean, nearest

ITEM = "item"
"""The placeholder for the whole of an item: its text, or it as JSON; unless it has a field of that name."""

# As in all prompts: `{name}` is a placeholder, `{{name}}` the literal `{name}`, every other brace just a brace. The
# names of columns may have blanks in them.
_BRACES = regex(r"\{\{([^{}\n]+)\}\}|\{([^{}\n]+)\}")
_WORD = regex(r"[^\W\d]\w*(?:\.\w+)*")
_SHOWN = 12  # names in an error


def filled_in(template: str, items: Sequence[Any], places: Sequence[str]) -> list[str]:
    """The task of each item; raises `TaskError` for a placeholder that no item has, and for items that lack one.

    `places` says where each item stands, for errors.
    """
    if not items:
        return []
    # Every field that an item has, in their order, and the name of the whole of it.
    known = dict.fromkeys([ITEM, *(key for item in items if isinstance(item, dict) for key in item)])
    names = _placeholders(template, known, items)
    lacking = [(place, name) for place, item in enumerate(items) for name in names if _look(item, name) is _NONE]
    if lacking:
        raise TaskError(_lack(lacking, items, places))
    texts = [clean(_fill(template, known, item)) for item in items]
    for place, text in zip(places, texts, strict=True):
        if not text.strip():
            raise TaskError(f"{place}: its task is empty; leave it out, or say more in the template")
    return texts


_NONE = object()
"""What an item has under a name that it does not have."""


def _placeholders(template: str, known: dict[str, None], items: Sequence[Any]) -> list[str]:
    found = dict.fromkeys(match[2] for match in _BRACES.finditer(template) if match[2])
    names = []
    for name in found:
        if name in known or any(_look(item, name) is not _NONE for item in items):
            names.append(name)
        elif _WORD.fullmatch(name):
            near = nearest(name, known, 0.6)
            meant = f", which may be {{{near}}}" if near else f"; there are {_listed(known)}"
            raise TaskError(
                f"the template: no row has {{{name}}}{meant}; {{{{{name}}}}} stands for a literal {{{name}}}"
            )
    if not names:
        raise TaskError(f"the template is the same for every row; say where a row belongs: {_listed(known)}")
    return names


def _look(item: Any, name: str) -> Any:
    """What an item has under a name: a field, one within it (`user.name`, `tags.0`), or all of it."""
    if isinstance(item, dict) and name in item:
        return item[name]
    if name == ITEM:
        return item
    here = item
    for place, part in enumerate(name.split(".")):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        elif place or part != ITEM:  # {item.name} is {name}
            return _NONE
    return here


def _fill(template: str, known: dict[str, None], item: Any) -> str:
    def put(match: re.Match[str]) -> str:
        literal, name = match.groups()
        if literal:
            return f"{{{literal}}}" if literal in known or _WORD.fullmatch(literal) else match[0]
        return match[0] if (value := _look(item, name)) is _NONE else _text(value)

    return _BRACES.sub(put, template)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _lack(lacking: Sequence[tuple[int, str]], items: Sequence[Any], places: Sequence[str]) -> str:
    place, name = lacking[0]
    item = items[place]
    has = f"it has {', '.join(list(item)[:_SHOWN]) or 'no field'}" if isinstance(item, dict) else "it is no object"
    more = len({other for other, _ in lacking}) - 1
    also = f" (so do {more} other rows)" if more > 1 else " (so does one other row)" if more else ""
    return f"{places[place]}: lacks {name!r}{also}; {has}; give it one, if only an empty one, or leave the row out"


def _listed(known: dict[str, None]) -> str:
    names: Iterator[str] = (f"{{{name}}}" for name in list(known)[:_SHOWN])
    return ", ".join(names) + (" and more" if len(known) > _SHOWN else "")
