"""A reply as the value it must be: found in its text, held against its schema, and then against its type."""

import json
from typing import Any

import msgspec
from msgspec import Struct

from stretto.shapes.fit import Whole, misfit, without_nulls
from stretto.shapes.kinds import Shape


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
