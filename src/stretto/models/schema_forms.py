"""JSON schemas as providers take them: in the strict form, and without the keywords that one refuses."""

from collections.abc import Callable
from typing import Any

from stretto.shapes.patterns import Patterns, Slow

_SCHEMAS = frozenset({"properties", "$defs", "definitions"})  # names to schemas
_VALUES = frozenset({"enum", "const", "required"})
_REFUSED = frozenset(
    {"default", "examples", "title", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties"}
    | {"patternProperties", "propertyNames", "contains", "minContains", "maxContains", "unevaluatedProperties"}
)


def keywords(schema: Any) -> frozenset[str]:
    """The keywords a schema uses, at any depth."""
    found: set[str] = set()
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            found |= part.keys()
            for key, value in part.items():
                todo += value.values() if key in _SCHEMAS else [] if key in _VALUES else [value]
    return frozenset(found)


def without(schema: Any, dropped: frozenset[str]) -> Any:
    """The schema without these keywords, at any depth."""
    return _made(schema, dropped, lambda form: form) if dropped else schema


def _made(schema: Any, dropped: frozenset[str], own: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A schema without some keywords, of which each object is what `own` makes of it."""
    if isinstance(schema, list):
        return [_made(part, dropped, own) for part in schema]
    if not isinstance(schema, dict):
        return schema
    form: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _SCHEMAS:
            form[key] = {name: _made(part, dropped, own) for name, part in value.items()}
        elif key not in dropped:
            form[key] = value if key in _VALUES else _made(value, dropped, own)
    return own(form)


def strict(schema: Any) -> Any:
    """The schema in OpenAI's strict form: every property required, the optional ones nullable, no refused keywords.

    Source: https://platform.openai.com/docs/guides/structured-outputs (supported schemas).
    """
    return _made(schema, _REFUSED, _strict)


def _strict(form: dict[str, Any]) -> dict[str, Any]:
    form = {"anyOf" if key == "oneOf" else key: value for key, value in form.items()}
    if "properties" in form:
        required = set(form.get("required", ()))
        form["properties"] = {
            name: part if name in required else _nullable(part) for name, part in form["properties"].items()
        }
        form["required"] = list(form["properties"])
        form["additionalProperties"] = False
    return form


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def example(schema: Any) -> Any:
    """What a value that fits the schema looks like: its keys, with dots for texts and for what is to be chosen."""
    if not isinstance(schema, dict):
        return "…"
    if values := schema.get("enum"):
        return values[0] if len(values) == 1 else "…"
    match schema.get("type"):
        case "object":
            return {name: example(part) for name, part in schema.get("properties", {}).items()}
        case "array":
            item = example(schema.get("items"))
            return [item] if isinstance(item, dict) else []
        case "number" | "integer":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    # What a pattern wants is said by the description's first word, if by anything.
    word, pattern = (schema.get("description") or "").partition(",")[0], schema.get("pattern")
    return word if pattern and word and _fits(pattern, word) else "…"


def _fits(pattern: str, word: str) -> bool:
    try:
        return Patterns().fits(pattern, word)
    except Slow:
        return False
