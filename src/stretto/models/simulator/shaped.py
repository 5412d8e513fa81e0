"""What a simulated model says where its reply must fit a JSON schema: something that does."""

import json
import random
from collections.abc import Mapping
from typing import Any

from stretto.errors import ConfigError
from stretto.models.simulator.reading import resolve
from stretto.shapes import check_schema
from stretto.types import Request

_TOLD = "fits this JSON schema, and nothing else:\n"
"""How a request says its schema to a model that takes none beside the messages."""
_REPAIR = "This reply does not fit the JSON schema it must fit."
_DEEP = 6
"""How far optional parts are filled in; a schema may contain itself."""
_CHAIN = 50  # references, one after the other
_WORDS = ("tides", "harbour", "ledger", "lantern", "meadow", "signal", "copper", "orchard", "compass", "willow")
_BY_FORMAT = {
    "date-time": "2026-11-23T12:00:00Z", "date": "2026-11-23", "time": "12:00:00Z", "duration": "PT1H",
    "email": "ada@example.org", "uri": "https://example.org/", "uuid": "12345678-1234-4234-8234-123456789abc",
    "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "hostname": "example.org", "decimal": "1.5",
}  # fmt: skip


def schema_in(request: Request) -> dict[str, Any] | None:
    """The schema a reply must fit, beside the messages or in the last of them; None if none is understood."""
    found = request.schema
    try:
        if found is None and request.messages:
            _, told, rest = request.messages[-1].content.rpartition(_TOLD)
            found = json.JSONDecoder().raw_decode(rest)[0] if told else None  # msgspec cannot stop where the value ends
        if found is not None:
            check_schema(found, "schema")
    except (ValueError, RecursionError, ConfigError):
        return None
    return found


def is_shape_repair(request: Request) -> bool:
    """Whether this asks once more because an earlier reply did not fit."""
    return bool(request.messages) and request.messages[-1].content.startswith(_REPAIR)


def shaped(schema: Mapping[str, Any], text: str, chance: random.Random) -> Any:
    """A value that fits the schema, drawn by `chance`; its first free text is `text`.

    `pattern`, `not` and `uniqueItems` are not read, so what needs one of them may not fit.
    """
    return _Writer(schema, text, chance).value(schema, 0)


class _Writer:
    def __init__(self, root: Mapping[str, Any], text: str, chance: random.Random) -> None:
        self._root = root
        self._text: str | None = text
        self._chance = chance

    def value(self, schema: Any, depth: int) -> Any:
        schema = self._plain(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._chance.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            full = [name for name in kind if name != "null"]
            kind = full[0] if full and (depth < _DEEP or len(full) == len(kind)) else "null"
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "integer" | "number":
                return _number(schema, self._chance, whole=kind == "integer")
            case "boolean":
                return self._chance.random() < 0.5
        return None if kind == "null" else self._string(schema)

    def _plain(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """A schema without references and choices: of several forms the first that is not null; deep down, null."""
        for _ in range(_CHAIN):
            if not isinstance(schema, Mapping):
                break
            rest = {key: part for key, part in schema.items() if key not in ("$ref", "allOf", "anyOf", "oneOf")}
            if "$ref" in schema:
                schema = {**resolve(self._root, schema), **rest}
            elif "allOf" in schema:
                schema = _merged([*schema["allOf"], rest])
            elif forms := schema.get("anyOf") or schema.get("oneOf"):
                full = [form for form in forms if form != {"type": "null"}]
                ends = not full or (depth >= _DEEP and len(full) < len(forms))
                schema = {"type": "null"} if ends else _merged([rest, full[0]])
            else:
                return schema
        return {}

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        made = {
            name: self.value(part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or depth < _DEEP // 2
        }
        return made | {name: self.value({}, depth + 1) for name in required if name not in made}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.value(part, depth + 1) for part in schema.get("prefixItems", ())]
        if schema.get("items") is False:
            return first
        least = schema.get("minItems", 0)
        wanted = max(least, self._chance.randint(1, 3)) if depth < _DEEP // 2 else least
        count = min(wanted, schema.get("maxItems", wanted))
        return first + [self.value(schema.get("items", {}), depth + 1) for _ in range(count - len(first))]

    def _string(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _BY_FORMAT:
            return _BY_FORMAT[schema["format"]]
        free, self._text = self._text, None
        text = free or self._chance.choice(_WORDS)
        return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _number(schema: Mapping[str, Any], chance: random.Random, *, whole: bool) -> float:
    """A number within its bounds, at the lower one if there is one."""
    gap = schema.get("multipleOf", 1 if whole else 0.5)
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    least = max((bound for bound in (low, above) if bound is not None), default=None)
    most = min((bound for bound in (high, below) if bound is not None), default=None)
    if least is None:
        value = gap * chance.randint(1, 9) if most is None else gap * (most // gap - (most == below))
    else:
        value = -(-least // gap) * gap
        value += gap if value == above else 0
        if most is not None and not whole and "multipleOf" not in schema and value >= most:
            value = least if above is None or least != above else (least + most) / 2
    return int(value) if whole else value


def _merged(parts: list[Any]) -> dict[str, Any]:
    """Several schemas that hold at once."""
    made: dict[str, Any] = {}
    for part in (part for part in parts if isinstance(part, Mapping)):
        properties = {**made.get("properties", {}), **part.get("properties", {})}
        required = [*made.get("required", ()), *part.get("required", ())]
        made |= part
        made |= {"properties": properties} if properties else {}
        made |= {"required": required} if required else {}
    return made
