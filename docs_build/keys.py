"""The page of the configuration: every key with its type and default, from the structs, and its meaning."""

import tomllib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import FieldInfo

from docs_build.page import filled
from docs_build.table import table
from stretto.config import Client, reading, values
from stretto.models.providers import KNOWN, Local, Provider
from stretto.models.simulator import Simulator
from stretto.run.roles import WORKERS_OWN
from stretto.types import Limits, Memory, Price, Role

_FILES = ("prompt_file", "schema_file")
_MEANINGS = Path(__file__).with_name("meanings.toml")
_WORDS: dict[Any, str] = {
    bool: "true or false", int: "whole number", float: "number", str: "text", Decimal: "money", dict: "table",
    tuple: "list of texts",
}  # fmt: skip
_SPECIAL = {"hedge": "share", "check": "text or table", "faults": "list of texts", "workflow": "text"}


def page() -> str:
    """`docs/reference/configuration.md`."""
    everybodys = [key for key in (*Role.__struct_fields__, *_FILES) if key not in WORKERS_OWN and "schema" not in key]
    return filled(
        "configuration.md",
        role=_keys("role", Role, everybodys),
        worker=_keys("role", Role, ("schema", "schema_file", *WORKERS_OWN)),
        check=", ".join(f"`{key}`" for key in reading._CHECK_KEYS),
        limits=_keys("limits", Limits),
        memory=_keys("memory", Memory),
        prices=_keys("prices", Price),
        clients=_keys("clients", Client),
        known=", ".join(f"`{name}`" for name in KNOWN),
        providers=_keys("providers", Provider),
        local=_keys("local", Local),
        sim=_keys("sim", Simulator),
    )


def _keys(section: str, kind: type, keys: Iterable[str] | None = None) -> str:
    """The table of a section; raises `ValueError` if a key has no meaning, or a meaning no key."""
    facts = {each.name: each for each in msgspec.structs.fields(kind) if each.name != "above"}
    told = tomllib.loads(_MEANINGS.read_text(encoding="utf-8"))[section]
    if wrong := sorted({*facts, *(_FILES if kind is Role else ())} ^ {*told}):
        raise ValueError(f"{_MEANINGS.name}: [{section}] does not fit the code: {', '.join(wrong)}")
    hints = get_type_hints(kind)
    rows = [(f"`{key}`", _type(key, hints.get(key, str)), _default(facts.get(key)), told[key]) for key in keys or facts]
    return table(("key", "type", "default", "meaning"), rows)


def _type(key: str, hint: Any) -> str:
    """How a value is written."""
    if key in values._DURATIONS:
        return "time"
    if key in values._COUNTS:
        return "count"
    if key in _SPECIAL:
        return _SPECIAL[key]
    if hint == str | Sequence[str]:
        return "text or list of texts"
    (only,) = (each for each in (get_args(hint) if isinstance(hint, UnionType) else (hint,)) if each is not NoneType)
    if get_origin(only) is Literal:
        return ", ".join(f'`"{word}"`' for word in get_args(only))
    return _WORDS[get_origin(only) or only]


def _default(field: FieldInfo | None) -> str:
    if field is None:
        return ""
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ("", (), {}, []):
        return ""
    return f"`{value:g}`" if type(value) is float else f"`{msgspec.json.encode(value).decode()}`"
