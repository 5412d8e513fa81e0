"""Whether a JSON value fits a JSON schema, and if not, where and why: the same words every time.

The keywords are those of draft 2020-12 that `check_schema` lets in. `format` is told to the model and not checked.
Source: https://json-schema.org/draft/2020-12/json-schema-validation.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any

import msgspec
from msgspec import Struct, field

from stretto.shapes.patterns import Patterns, Slow
from stretto.shapes.schema import referred

_SHOWN = 60  # characters of a value in a message
_DIGITS = 700  # of the longest number that a float can be


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_multiple(value: Any, of: Any) -> bool:
    """In decimal, as it is written: 0.3 is three times 0.1."""
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number; 1e999 is read as one
        return False
    with localcontext(prec=_DIGITS):
        return Decimal(str(value)) % Decimal(str(of)) == 0


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _is_number,
    "integer": lambda value: _is_number(value) and value == value // 1,
}
_NUMBERS: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (lambda value, bound: value >= bound, "at least"),
    "maximum": (lambda value, bound: value <= bound, "at most"),
    "exclusiveMinimum": (lambda value, bound: value > bound, "more than"),
    "exclusiveMaximum": (lambda value, bound: value < bound, "less than"),
    "multipleOf": (_is_multiple, "a multiple of"),
}
_LENGTHS: tuple[tuple[type, str, str, str], ...] = (
    (str, "minLength", "maxLength", "characters"),
    (list, "minItems", "maxItems", "entries"),
    (dict, "minProperties", "maxProperties", "keys"),
)


class Whole(Struct):
    """The schema that others are parts of, and what holds texts against its patterns."""

    schema: Any
    patterns: Patterns = field(default_factory=Patterns)


def misfit(value: Any, schema: Any, whole: Whole | None = None, place: str = "$") -> str | None:
    """The first thing about a value that does not fit, with its place (`$.items[0].name`); None if all of it fits.

    Raises `Slow` if a pattern takes too long to tell.
    """
    whole = whole or Whole(schema)
    if isinstance(schema, bool):
        return None if schema else f"{place}: nothing may stand here"
    return next(_misfits(value, schema, whole, place), None)


def without_nulls(value: Any, schema: Any, whole: Whole | None = None) -> Any:
    """The value without keys that are null because a strict form makes optional keys required ones that may be null."""
    if isinstance(schema, bool):
        return value
    whole = whole or Whole(schema)
    if "$ref" in schema:
        value = without_nulls(value, referred(schema["$ref"], whole.schema), whole)
    for part in schema.get("allOf", ()):
        value = without_nulls(value, part, whole)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        pruned = without_nulls(value, part, whole)
        if misfit(pruned, part, whole) is None:
            return pruned
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        kept = {k: v for k, v in value.items() if not (v is None and _is_gap(k, schema, whole))}
        return {k: without_nulls(v, known.get(k, others), whole) for k, v in kept.items()}
    if isinstance(value, list):
        first, others = schema.get("prefixItems", []), schema.get("items", True)
        parts = [*first, *(others for _ in value[len(first) :])]
        return [without_nulls(each, part, whole) for each, part in zip(value, parts, strict=False)]
    return value


def _is_gap(key: str, schema: Mapping[str, Any], whole: Whole) -> bool:
    """Whether null stands for nothing at this key."""
    part = schema.get("properties", {}).get(key)
    return part is not None and key not in schema.get("required", ()) and misfit(None, part, whole) is not None


def _misfits(value: Any, schema: Mapping[str, Any], whole: Whole, place: str) -> Iterator[str]:
    if "$ref" in schema and (why := misfit(value, referred(schema["$ref"], whole.schema), whole, place)):
        yield why
    types = schema.get("type")
    if types is not None:
        names = types if isinstance(types, list) else [types]
        if not any(_TYPES[name](value) for name in names):
            yield f"{place}: expected {' or '.join(names)}, got {_shown(value)}"
            return
    if "enum" in schema and not any(_same(value, each) for each in schema["enum"]):
        yield f"{place}: expected one of {', '.join(map(_shown, schema['enum']))}, got {_shown(value)}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{place}: expected {_shown(schema['const'])}, got {_shown(value)}"
    yield from _sizes(value, schema, whole, place)
    if isinstance(value, dict):
        yield from _in_object(value, schema, whole, place)
    if isinstance(value, list):
        yield from _in_array(value, schema, whole, place)
    yield from _combined(value, schema, whole, place)


def _sizes(value: Any, schema: Mapping[str, Any], whole: Whole, place: str) -> Iterator[str]:
    for kind, least, most, what in _LENGTHS:
        if isinstance(value, kind):
            if len(value) < schema.get(least, 0):  # type: ignore[arg-type]
                yield f"{place}: expected at least {schema[least]} {what}, got {len(value)}"  # type: ignore[arg-type]
            if most in schema and len(value) > schema[most]:  # type: ignore[arg-type]
                yield f"{place}: expected at most {schema[most]} {what}, got {len(value)}"  # type: ignore[arg-type]
    if _is_number(value):
        for key, (fits, words) in _NUMBERS.items():
            if key in schema and not fits(value, schema[key]):
                yield f"{place}: expected {words} {schema[key]}, got {_shown(value)}"
    if isinstance(value, str) and "pattern" in schema and not _matches(schema["pattern"], value, whole, place):
        yield f"{place}: expected a text that matches {schema['pattern']}, got {_shown(value)}"


def _in_object(value: dict[str, Any], schema: Mapping[str, Any], whole: Whole, place: str) -> Iterator[str]:
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{place}: the key {_shown(key)} is missing"
    known, patterns, others = (schema.get(k, {}) for k in ("properties", "patternProperties", "additionalProperties"))
    for key, each in value.items():
        where = f"{place}.{key}"
        parts = [known[key]] if key in known else []
        parts += [part for pattern, part in patterns.items() if _matches(pattern, key, whole, where)]
        if not parts and others is False:
            yield f"{place}: the key {_shown(key)} is unknown; there are {', '.join(known) or 'none'}"
            continue
        yield from filter(None, (misfit(each, part, whole, where) for part in parts or [others]))
        if "propertyNames" in schema and (why := misfit(key, schema["propertyNames"], whole, f"{place}: a key")):
            yield why


def _in_array(value: list[Any], schema: Mapping[str, Any], whole: Whole, place: str) -> Iterator[str]:
    first = schema.get("prefixItems", [])
    for number, each in enumerate(value):
        part = first[number] if number < len(first) else schema.get("items", True)
        if why := misfit(each, part, whole, f"{place}[{number}]"):
            yield why
    if schema.get("uniqueItems") and len(set(map(_key, value))) < len(value):
        yield f"{place}: an entry stands there twice"


def _combined(value: Any, schema: Mapping[str, Any], whole: Whole, place: str) -> Iterator[str]:
    for part in schema.get("allOf", ()):
        if why := misfit(value, part, whole, place):
            yield why
    for key in ("anyOf", "oneOf"):
        if key in schema:
            whys = [misfit(value, part, whole, place) for part in schema[key]]
            fitting = whys.count(None)
            if not fitting:  # what came nearest is what was meant
                yield max((why for why in whys if why), key=lambda why: len(why.partition(": ")[0]), default=place)
            elif key == "oneOf" and fitting > 1:
                yield f"{place}: fits {fitting} of the forms, and must fit exactly one"
    if "not" in schema and misfit(value, schema["not"], whole, place) is None:
        yield f"{place}: has the form that it must not have"


def _matches(pattern: str, text: str, whole: Whole, place: str) -> bool:
    try:
        return whole.patterns.fits(pattern, text)
    except Slow as slow:
        raise Slow(f"{place}: {slow} {pattern}") from None


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON has it: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _key(value: Any) -> Any:
    """What is equal for values that are the same."""
    if isinstance(value, list):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return frozenset((key, _key(each)) for key, each in value.items())
    return (bool, value) if isinstance(value, bool) else value


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
