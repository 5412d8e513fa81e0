"""JSON schemas as they are taken in: what of them is understood, and that nothing else is in them."""

from collections.abc import Container, Iterator, Mapping
from typing import Any

import msgspec

from stretto.errors import ConfigError
from stretto.shapes.patterns import check_pattern

CHILD = ("additionalProperties", "propertyNames", "items", "not")
"""Keywords whose value is a schema."""
CHILDREN = ("prefixItems", "anyOf", "oneOf", "allOf")
"""Keywords whose value is a list of schemas."""
NAMED = ("properties", "patternProperties", "$defs", "definitions")
"""Keywords whose value names schemas."""

TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_LENGTHS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_CHECKED = frozenset(
    {"type", "enum", "const", "required", "pattern", "uniqueItems", "$ref", *_BOUNDS, *_LENGTHS, *CHILD, *CHILDREN}
    | {*NAMED}
)
_TOLD = frozenset(
    {"title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "discriminator"}
    | {"$schema", "$id", "$comment", "contentEncoding", "contentMediaType"}
)
"""What a schema may say beside: the model reads it, and nothing is checked."""


def check_schema(schema: Any, place: str) -> None:
    """Raise `ConfigError` naming the place for a schema that cannot be kept, or not be checked to the letter."""
    if not isinstance(schema, dict):
        raise ConfigError(f"{place}: a schema is a JSON object, not {type(schema).__name__}")
    try:
        msgspec.json.encode(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{place}: cannot be written as JSON: {error}") from error
    parts = list(_parts(schema, place))
    schemas = {id(part) for _, part in parts}
    for where, part in parts:
        _check_part(part, where)
        if isinstance(part, dict) and "$ref" in part:
            _check_reference(schema, part["$ref"], f"{where}.$ref", schemas)
    for where, part in parts:
        if isinstance(part, dict) and "$ref" in part:
            _check_circle(schema, part, f"{where}.$ref")
    root = resolved(schema, schema)
    if not isinstance(root, dict) or root.get("type") != "object":
        raise ConfigError(
            f'{place}: what a model is asked for is a JSON object ("type": "object" at the root); wrap a list or a '
            "single value in one"
        )


def resolved(part: Any, root: Mapping[str, Any]) -> Any:
    """A part of a schema with its `$ref` followed, if it is nothing but that (and words about it)."""
    while isinstance(part, dict) and "$ref" in part and not (part.keys() & _CHECKED) - {"$ref", "$defs", "definitions"}:
        part = referred(part["$ref"], root)
    return part


def referred(reference: str, root: Mapping[str, Any]) -> Any:
    """What `#/$defs/Name` means; raises `KeyError` if it is not there (RFC 6901)."""
    found: Any = root
    for name in reference.removeprefix("#").split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) and key.isdecimal() and int(key) < len(found) else found[key]
    return found


def _parts(part: Any, place: str) -> Iterator[tuple[str, Any]]:
    """A schema and every schema in it, each with its place."""
    yield place, part
    if isinstance(part, dict):
        for where, each in _children(part, place):
            yield from _parts(each, where)


def _children(part: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    yield from ((f"{place}.{key}", part[key]) for key in CHILD if key in part)
    for key in (key for key in CHILDREN if key in part):
        if not isinstance(part[key], list) or not part[key]:
            raise ConfigError(f"{place}.{key}: a list of schemas is expected")
        yield from ((f"{place}.{key}[{number}]", each) for number, each in enumerate(part[key]))
    for key in (key for key in NAMED if key in part):
        if not isinstance(part[key], dict):
            raise ConfigError(f"{place}.{key}: a table of schemas is expected")
        yield from ((f"{place}.{key}.{name}", each) for name, each in part[key].items())


def _check_part(part: Any, place: str) -> None:
    if isinstance(part, bool):
        return
    if not isinstance(part, dict):
        raise ConfigError(f"{place}: a schema is a JSON object or a boolean, not {part!r}"[:300])
    for key in part:
        if key not in _CHECKED and key not in _TOLD:
            raise ConfigError(
                f"{place}.{key}: this keyword is not checked here; known are {', '.join(sorted(_CHECKED))}"
            )
    types = part.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if not isinstance(name, str) or name not in TYPES:
            raise ConfigError(f"{place}.type: {name!r} is no type; there are {', '.join(sorted(TYPES))}")
    _check_values(part, place)


def _check_values(part: Mapping[str, Any], place: str) -> None:
    for key, kind, what in (
        *((key, int | float, "a number") for key in _BOUNDS),
        *((key, int, "a whole number") for key in _LENGTHS),
        ("enum", list, "a list"),
        ("required", list, "a list of names"),
        ("pattern", str, "a regular expression"),
    ):
        if key in part and (not isinstance(part[key], kind) or isinstance(part[key], bool)):
            raise ConfigError(f"{place}.{key}: {what} is expected, not {part[key]!r}"[:300])
    if not all(isinstance(name, str) for name in part.get("required", ())):
        raise ConfigError(f"{place}.required: a list of names is expected")
    if part.get("multipleOf", 1) <= 0:
        raise ConfigError(f"{place}.multipleOf: must be more than 0")
    for pattern in (*([part["pattern"]] if "pattern" in part else []), *part.get("patternProperties", {})):
        try:
            check_pattern(pattern)
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from error


def _check_reference(root: Mapping[str, Any], reference: Any, place: str, schemas: Container[int]) -> None:
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise ConfigError(f"{place}: {reference!r} is not in the schema itself; put what it means under $defs")
    try:
        found = referred(reference, root)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{place}: {reference!r} is not there") from error
    if id(found) not in schemas:
        raise ConfigError(f"{place}: {reference!r} is no schema")


def _check_circle(root: Mapping[str, Any], part: Any, place: str) -> None:
    """That what is meant at a place is not that place again, before anything inside the value comes."""
    todo, seen = list(_meant(root, part)), set[int]()
    while todo:
        each = todo.pop()
        if each is part:
            raise ConfigError(f"{place}: {part['$ref']!r} is a circle that ends nowhere")
        if id(each) not in seen:
            seen.add(id(each))
            todo += _meant(root, each)


def _meant(root: Mapping[str, Any], part: Any) -> Iterator[Any]:
    """The other schemas that a value is held against where it is held against this one."""
    if isinstance(part, dict):
        if "$ref" in part:
            yield referred(part["$ref"], root)
        if "not" in part:
            yield part["not"]
        for key in ("anyOf", "oneOf", "allOf"):
            yield from part.get(key, ())
