"""Shapes: what a JSON schema or a Python type says of an answer, and reading one out of a reply."""

import dataclasses
import json
import random
import re
import time
from datetime import date
from decimal import Decimal
from typing import Any, Literal, NotRequired, Optional, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, strategies

from stretto.errors import ConfigError
from stretto.models.schema_forms import strict
from stretto.models.simulator.shaped import shaped
from stretto.shapes import Misfit, Shape, check_schema, fitted, shape_of
from stretto.shapes.fit import misfit


class Port(msgspec.Struct):
    name: str
    depth: float
    opened: date | None = None


class Ports(msgspec.Struct):
    ports: list[Port]
    best: Port


@dataclasses.dataclass
class Tide:
    kind: Literal["high", "low"]
    metres: float
    remark: str = "none"


class Note(TypedDict):
    text: str
    stars: NotRequired[int]


class Line(pydantic.BaseModel):
    what: str
    price: Decimal
    day: date


class Bill(pydantic.BaseModel):
    lines: list[Line] = pydantic.Field(min_length=1)
    paid: bool
    kind: Literal["bill", "credit"] = "bill"
    by: str | None = None

    @pydantic.field_validator("by")
    @classmethod
    def _known(cls, by: str | None) -> str | None:
        if by == "nobody":
            raise ValueError("must be somebody")
        return by


class Tree(msgspec.Struct):
    name: str
    left: Optional["Tree"] = None
    right: Optional["Tree"] = None


KINDS = [Ports, Tide, Note, Bill, Tree]


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_is_a_schema_whose_made_up_values_fit_it_and_the_type(kind: Any) -> None:
    shape = shape_of(kind, "answer")
    assert shape.schema["type"] == "object"
    for seed in range(20):
        value = shaped(shape.schema, "a text", random.Random(seed))
        assert misfit(value, shape.schema) is None
        parsed = fitted(msgspec.json.encode(value).decode(), shape).parsed
        assert parsed if kind is Note else isinstance(parsed, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_strict_form_makes_null_is_left_out_again(kind: Any) -> None:
    shape = shape_of(kind, "answer")
    value = shaped(strict(shape.schema), "a text", random.Random(1))
    assert fitted(msgspec.json.encode(value).decode(), shape).parsed


class Harbours(msgspec.Struct):
    by_name: dict[str, Tide]
    pair: tuple[Tide, Tide]


def test_a_null_is_left_out_wherever_it_stands() -> None:
    tide = '{"kind": "low", "metres": 1, "remark": null}'
    text = f'{{"by_name": {{"Hull": {tide}}}, "pair": [{tide}, {tide}]}}'
    assert fitted(text, shape_of(Harbours, "answer")).parsed.by_name == {"Hull": Tide("low", 1.0)}


def test_a_null_for_an_optional_key_is_no_key() -> None:
    found = fitted('{"kind": "high", "metres": 3, "remark": null}', shape_of(Tide, "answer"))
    assert found.parsed == Tide("high", 3.0)
    assert found.text == '{"kind":"high","metres":3}'


WHOLE = '{"text": "a {b} \\" c", "stars": 3}'


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        f"\n {WHOLE}\n",
        f"```json\n{WHOLE}\n```",
        f"Sure! Here it is:\n\n```\n{WHOLE}\n```\nAnything else?",
        f"Here: {WHOLE} Done [1].",
    ],
)
def test_words_and_fences_around_one_object_are_dropped(text: str) -> None:
    found = fitted(text, shape_of(Note, "answer"))
    assert found.parsed == {"text": 'a {b} " c', "stars": 3}
    assert found.text.strip() == WHOLE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I cannot.", "no JSON object"),
        ('{"text": "a"', "cannot be read as JSON"),
        ('{"a": {"text": "inner"}, "b": ', "cannot be read as JSON"),
        (f"{WHOLE}\n{WHOLE}", "more than one"),
        (f"As {{you}} wished: {WHOLE}", "cannot be read as JSON"),
        ('{"text": NaN}', "cannot be read as JSON"),
        ('[{"text": "a"}, {"text": "b"}]', "more than one"),
        ("{" * 100_000, ""),
        ('{"text": 7}', "$.text: expected string, got 7"),
        ('{"stars": 7}', '$: the key "text" is missing'),
        ('{"text": "a", "stars": 2.5}', "$.stars: expected integer, got 2.5"),
    ],
)
def test_where_it_is_not_certain_what_is_meant_nothing_is_taken(text: str, why: str) -> None:
    with pytest.raises(Misfit) as error:
        fitted(text, shape_of(Note, "answer"))
    assert why in str(error.value)


def test_what_the_type_itself_refuses_is_told_with_its_place() -> None:
    shape = shape_of(Bill, "answer")
    line = '{"what": "tea", "price": "1.50", "day": "2026-11-23"}'
    bill = fitted(f'{{"lines": [{line}], "paid": true, "by": "ada"}}', shape).parsed
    assert bill == Bill(lines=[Line(what="tea", price=Decimal("1.50"), day=date(2026, 11, 23))], paid=True, by="ada")
    for text, why in (
        (f'{{"lines": [{line}], "paid": true, "by": "nobody"}}', r"\$\.by: .*must be somebody"),
        (f'{{"lines": [{line.replace("11-23", "13-23")}], "paid": true}}', r"\$\.lines\[0\]\.day: "),
    ):
        with pytest.raises(Misfit, match=why):
            fitted(text, shape)
    port = '{"name": "Hull", "depth": 9, "opened": "soon"}'
    with pytest.raises(Misfit, match=r"best.opened"):
        fitted(f'{{"ports": [], "best": {port}}}', shape_of(Ports, "answer"))


FORMS: list[tuple[dict[str, Any], Any, str | None]] = [
    ({"type": ["integer", "null"]}, None, None),
    ({"type": "integer"}, True, "$: expected integer, got true"),
    ({"type": "integer"}, 10**400, None),
    ({"type": "integer"}, 3.0, None),
    ({"enum": [1, "a"]}, True, '$: expected one of 1, "a", got true'),
    ({"const": {"a": 1}}, {"a": 1}, None),
    ({"minimum": 3, "exclusiveMaximum": 5}, 5, "$: expected less than 5, got 5"),
    ({"multipleOf": 0.1}, 0.3, None),
    ({"multipleOf": 0.1}, 0.35, "$: expected a multiple of 0.1, got 0.35"),
    ({"multipleOf": 7}, 10**400, "$: expected a multiple of 7, got 1000"),
    ({"minLength": 2}, "a", "$: expected at least 2 characters, got 1"),
    ({"maxItems": 1}, [1, 2], "$: expected at most 1 entries, got 2"),
    ({"pattern": "^a+$"}, "ab", '$: expected a text that matches ^a+$, got "ab"'),
    ({"items": {"type": "string"}, "prefixItems": [{"type": "integer"}]}, [1, "a", 2], "$[2]: expected string, got 2"),
    ({"uniqueItems": True}, [1, 2, 1], "$: an entry stands there twice"),
    ({"uniqueItems": True}, [1, True], None),
    ({"additionalProperties": {"type": "integer"}}, {"a": "b"}, '$.a: expected integer, got "b"'),
    ({"properties": {"a": True}, "additionalProperties": False}, {"b": 1}, '$: the key "b" is unknown; there are a'),
    ({"patternProperties": {"^n": {"type": "integer"}}}, {"n1": "x"}, '$.n1: expected integer, got "x"'),
    ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "$: a key: expected at most 1 characters, got 2"),
    ({"anyOf": [{"type": "null"}, {"properties": {"a": {"type": "string"}}, "type": "object"}]}, {"a": 1}, "$.a: "),
    ({"oneOf": [{"type": "integer"}, {"minimum": 0}]}, 3, "$: fits 2 of the forms, and must fit exactly one"),
    ({"not": {"type": "string"}}, "a", "$: has the form that it must not have"),
    ({"allOf": [{"type": "string"}, {"minLength": 2}]}, "a", "$: expected at least 2"),
    ({"properties": {"a": False}}, {"a": 1}, "$.a: nothing may stand here"),
]


@pytest.mark.parametrize(("schema", "value", "why"), FORMS)
def test_a_value_is_held_against_every_keyword(schema: dict[str, Any], value: Any, why: str | None) -> None:
    check_schema({"type": "object", "properties": {"x": schema}}, "answer")
    found = misfit(value, schema)
    assert found is None if why is None else found is not None and found.startswith(why), found


@pytest.mark.slow
@given(strategies.recursive(strategies.none() | strategies.booleans() | strategies.floats(allow_nan=False)
    | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner)))  # fmt: skip
def test_no_value_makes_the_check_stumble(value: Any) -> None:
    for kind in KINDS:
        misfit(value, shape_of(kind, "answer").schema)
    for schema, _, _ in FORMS:
        misfit(value, schema)


KEYS = strategies.sampled_from(
    [
        "type",
        "properties",
        "items",
        "required",
        "enum",
        "pattern",
        "anyOf",
        "$ref",
        "$defs",
        "patternProperties",
        "minimum",
        "multipleOf",
        "minItems",
        "additionalProperties",
        "prefixItems",
        "not",
        "const",
        "uniqueItems",
    ]
)
WORDS = strategies.sampled_from(["object", "string", "array", "#", "#/$defs/type", "#/properties", "#/anyOf/0", "("])
SCHEMAS = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-3, 3) | WORDS,
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(KEYS, inner, max_size=4),
)


@given(SCHEMAS, SCHEMAS)
def test_a_schema_is_refused_or_can_be_checked_and_written_to(part: Any, value: Any) -> None:
    schema = {**part, "type": "object"} if isinstance(part, dict) else part
    try:
        check_schema(schema, "answer")
    except ConfigError:
        return
    misfit(value, schema)
    shaped(schema, "a text", random.Random(0))
    strict(schema)


class Odd:
    pass


class OddStruct(msgspec.Struct):
    thing: Odd


circle: dict[str, Any] = {"type": "object"}
circle["properties"] = {"a": circle}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Odd, "answer: Odd is no pydantic model"),
        (list[int], "answer: list[int] is no shape"),
        (Tide("high", 1.0), "the class itself"),
        (OddStruct, "answer: OddStruct has no JSON schema"),
        ("object", "is no shape"),
        ({"type": "array"}, "answer: what a model is asked for is a JSON object"),
        ({}, "answer: what a model is asked for is a JSON object"),
        ({"type": "object", "default": {1, 2, object}}, "answer: cannot be written as JSON"),
        (circle, "answer: cannot be written as JSON"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "answer.properties.a.type: 'text' is no type"),
        ({"type": "object", "properties": {"a": {"minimum": "1"}}}, "answer.properties.a.minimum: a number"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, "is no regular expression"),
        ({"type": "object", "properties": []}, "answer.properties: a table"),
        ({"type": "object", "anyOf": []}, "answer.anyOf: a list"),
        ({"type": "object", "items": 3}, "answer.items: a schema is"),
        ({"type": "object", "if": {}}, "answer.if: this keyword is not checked here"),
        ({"$ref": "https://example.org/s.json"}, "is not in the schema itself"),
        ({"$ref": "#/$defs/A"}, "answer.$ref: '#/$defs/A' is not there"),
        ({"$ref": "#"}, "a circle that ends nowhere"),
        ({"type": "object", "anyOf": [{"type": "object"}, {"$ref": "#"}]}, "a circle that ends nowhere"),
        ({"type": "object", "$ref": "#/properties", "properties": {"type": {}}}, "'#/properties' is no schema"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}, "a circle"),
    ],
)
def test_what_cannot_be_a_shape_is_refused_at_the_door(answer: Any, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        shape_of(answer, "answer")
    assert why in str(error.value)


def test_a_shape_may_contain_itself_by_reference() -> None:
    schema = shape_of(Tree, "answer").schema
    assert schema["properties"]["name"]
    deep = '{"name": "a", "left": {"name": "b", "right": {"name": 3}}}'
    with pytest.raises(Misfit, match=r"\$\.left\.right\.name: expected string, got 3"):
        fitted(deep, Shape(schema, Tree))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(a|a)*$", "a" * 60 + "!"),
        (r"^(\w+\s?)*$", "a" * 100_000 + "!"),
        (r"^(a?){80}a{80}$", "a" * 79),
        (r"(.*)(.*)(.*)(.*)(.*)[12]$", "a" * 5_000),
    ],
)
def test_a_pattern_that_comes_to_no_end_is_given_up_and_named(pattern: str, text: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "pattern": pattern}}}}
    check_schema(schema, "answer")
    began = time.thread_time()
    try:
        with pytest.raises(Misfit) as misfit:
            fitted(json.dumps({"a": [text] * 50}), Shape(schema))
        assert "takes too long" in str(misfit.value) or "expected a text that matches" in str(misfit.value)
    finally:
        assert time.thread_time() - began < 1  # of the processor; it would be for ever


@pytest.mark.parametrize("pattern", ["(((a{1000}){1000}){1000})", "(?:[a-z]{999}|b){101}x"])
def test_a_pattern_that_is_endless_with_its_counts_written_out_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="with its counts written out"):
        check_schema({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}, "answer")


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        (r"^x{e}$", "x{e}", "x"),
        (r"^\{[^{}]+\}{2}$", "{a}}", "{a}"),
        (r"^\N{DIGIT ONE}{,3}$", "111", "1111"),
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", "1.50", "+"),
        (r"(?P<q>['\"]).*(?P=q)", "say 'so'", "say 'so\""),
        (r"[]{}]{3}", "]{}", "ab"),
    ],
)
def test_patterns_are_pythons(pattern: str, fits: str, not_: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    check_schema(schema, "answer")
    assert re.search(pattern, fits)
    assert not re.search(pattern, not_)
    assert misfit({"a": fits}, schema) is None
    assert misfit({"a": not_}, schema) is not None


def test_twenty_thousand_entries_are_told_apart_at_once() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    entries = [[number, {"b": number}, str(number)] for number in range(20_000)]
    assert misfit({"a": [*entries, True, 1, "1", None]}, schema) is None
    assert misfit({"a": [*entries, [7.0, {"b": 7}, "7"]]}, schema) == "$.a: an entry stands there twice"
