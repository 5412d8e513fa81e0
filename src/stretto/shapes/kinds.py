"""The Python types that may stand for a shape, each with a JSON schema, and a reply as the value it must be.

That is found in its text, held against its schema, and then against its type.
"""

import dataclasses
import json
import sys
from typing import Any, is_typeddict

import msgspec
from msgspec import Struct

from stretto.errors import ConfigError
from stretto.ground.tracebacks import without_frames
from stretto.shapes.fit import Whole, misfit, without_nulls
from stretto.shapes.schema import check_schema, referred


class Shape(Struct, frozen=True):
    """A JSON schema, and the Python type behind it, if there is one."""

    schema: dict[str, Any]
    kind: Any = None

    def parsed(self, value: Any) -> Any:
        """A value that fits the schema as one of the type; raises `ValueError` with the place if that refuses it."""
        if self.kind is None:
            return value
        data = msgspec.json.encode(value)
        if not _is_pydantic(self.kind):
            return msgspec.json.decode(data, type=self.kind)
        try:
            return self.kind.model_validate_json(data)
        except ValueError as error:
            raise ValueError(_first(error)) from error


def shape_of(answer: Any, place: str) -> Shape:
    """The shape a pydantic model, msgspec Struct, dataclass, TypedDict or JSON schema stands for.

    Raises `ConfigError` for whatever is none of them, or has no JSON schema that can be checked.
    """
    kind = None if isinstance(answer, dict) else answer
    schema = answer if kind is None else _inlined(_schema_of(answer, place))
    check_schema(schema, place)
    return Shape(schema, kind)


@without_frames
def schema_of(kind: type[Any]) -> dict[str, Any]:
    """The JSON schema of a pydantic model, msgspec Struct, dataclass or TypedDict, as `Role.schema` takes it.

    Raises `ConfigError` for a type that is none of them, or has no schema that can be checked.
    """
    return shape_of(kind, getattr(kind, "__name__", repr(kind))).schema


def _schema_of(kind: Any, place: str) -> dict[str, Any]:
    if not isinstance(kind, type):
        raise ConfigError(
            f"{place}: {kind!r} is no shape; give a pydantic model, a msgspec Struct, a dataclass or a TypedDict (the "
            "class itself), or a JSON schema"[:400]
        )
    known = _is_pydantic(kind) or issubclass(kind, Struct) or dataclasses.is_dataclass(kind) or is_typeddict(kind)
    if not known:
        raise ConfigError(
            f"{place}: {kind.__name__} is no pydantic model, msgspec Struct, dataclass or TypedDict, which an answer "
            "can be"
        )
    try:
        schema: dict[str, Any] = kind.model_json_schema() if _is_pydantic(kind) else msgspec.json.schema(kind)  # type: ignore[attr-defined]
    except Exception as error:  # whatever a library says of a type that it cannot describe
        raise ConfigError(f"{place}: {kind.__name__} has no JSON schema: {error}") from error
    return schema


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """With the object itself at the root: providers want it there, where the libraries write a reference."""
    if "$ref" not in schema:
        return schema
    reference, defs = schema["$ref"], schema.get("$defs", {})
    root = referred(reference, schema)
    rest = {name: part for name, part in defs.items() if f"#/$defs/{name}" != reference}
    if reference in _references({**root, "$defs": rest}):  # it contains itself
        rest = defs
    return {**root, "$defs": rest} if rest else dict(root)


def _references(part: Any) -> set[Any]:
    if isinstance(part, list):
        return set().union(*map(_references, part))
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own.union(*map(_references, part.values()))


def _is_pydantic(kind: Any) -> bool:
    """Whether a type is a pydantic model; only where someone has imported pydantic can there be one."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def _first(error: ValueError) -> str:
    """The first thing that pydantic refuses, with its place."""
    first = error.errors()[0]  # type: ignore[attr-defined]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return f"${place}: {first['msg']}"


class Misfit(ValueError):
    """What a reply says is not what it must be; the message names the place."""


class Fitted(Struct, frozen=True):
    """A reply that fits: its JSON, and the value, of its Python type if the shape has one."""

    text: str
    parsed: Any


def fitted(text: str, shape: Shape) -> Fitted:
    """Read a reply; raises `Misfit`.

    Words or a code fence around the one JSON object are dropped; so are nulls that stand for optional keys. Where it is
    not certain which object is meant, none is taken.
    """
    try:
        found, value = _object_in(text)
        whole = Whole(shape.schema)
        why = misfit(value, shape.schema, whole)
        if why and misfit(pruned := without_nulls(value, shape.schema, whole), shape.schema, whole) is None:
            found, value, why = msgspec.json.encode(pruned).decode(), pruned, None
        if why:
            raise Misfit(why)
        return Fitted(found, shape.parsed(value))
    except RecursionError:
        raise Misfit("$: nested too deeply") from None
    except ValueError as error:  # of the Python type, whose message names the place
        raise error if isinstance(error, Misfit) else Misfit(str(error)) from error


def _object_in(text: str) -> tuple[str, Any]:
    """The JSON object in a text, as it is written and as a value."""
    start = text.find("{")
    if start < 0:
        raise Misfit("there is no JSON object in it")
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)  # msgspec cannot stop where the value ends
        written = text[start:end]
        value = msgspec.json.decode(written)
    except (json.JSONDecodeError, msgspec.DecodeError) as error:
        raise Misfit(f"it cannot be read as JSON: {error}") from None
    if "{" in text[end:]:
        raise Misfit("there is more than one JSON object in it, or something after it that looks like one")
    alone = text[:start].strip() + text[end:].strip() == ""
    return (text if alone else written), value
