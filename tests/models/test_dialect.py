"""How a request is put, and what a refusal changes about it."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from endpoint import SCHEMA, call
from stretto import Message, Role, SchemaMode
from stretto.models.dialect import Dialect
from stretto.models.schema_forms import keywords, strict
from stretto.plan.form import Form, plan_schema
from stretto.types import Head

# Refusals as providers word them, with the form that was asked for.
SCHEMA_REFUSALS: list[tuple[SchemaMode, str]] = [
    ("strict", "Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required."),
    ("strict", "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    ("schema", "This model does not support response format `json_schema`."),
    ("schema", "This response_format type is unavailable now"),
    ("schema", "Failed to deserialize: response_format: response_format.type `json_schema` is unavailable now"),
    ("json", "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'"),
    ("json", "'response_format.type' must be 'json_schema' or 'text'"),
    ("schema", 'response_format type must be one of "text" or "json_object", but got: json_schema'),
    ("schema", 'Either "json_schema" or "grammar" can be specified, but not both'),
    ("schema", "Input validation error: grammar is not valid: unknown"),
    ("schema", "No endpoints found that can handle the requested parameters."),
    ("schema", "invalid value: `json_schema`, supported values are: `json_object` and `text`"),
    ("json", "The response_format parameter is unsupported at the moment. Leave it unset."),
    ("schema", "The model tea does not support the response format you requested"),
    ("schema", "Guided decoding is not supported with speculative decoding."),
    ("schema", "output_format: Extra inputs are not permitted"),
    ("schema", "failed to load model vocabulary required for format"),
    ("schema", "结构化输出不支持"),
]  # fmt: skip
KEYWORDS = {
    "type": "object",
    "properties": {
        "pattern": {"type": "string", "pattern": "^t[1-9]$", "format": "uuid", "title": "T", "default": "t1"},
        "kind": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
        "size": {"type": "integer", "maximum": 9},
    },
    "required": ["pattern", "kind", "size"],
    "additionalProperties": False,
}
NEXT = {"strict": "schema", "schema": "json", "json": "prompt"}
SAMPLING = [
    "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
    "Unsupported parameter: 'temperature' is not supported with this model.",
    "`temperature` is deprecated for this model.",
    "invalid temperature: only 1 is allowed for this model",
]


@pytest.mark.parametrize(("mode", "refusal"), SCHEMA_REFUSALS)
def test_a_refused_schema_is_asked_for_in_the_next_way(mode: SchemaMode, refusal: str) -> None:
    assert Dialect(mode).adapted(refusal, call(schema=SCHEMA)) == (Dialect(NEXT[mode]), "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "refusal", "word"),
    [
        ("strict", "Invalid schema for response_format 'x': In context=(), 'pattern' is not permitted.", "pattern"),
        ("schema", 'Unknown name "additionalProperties" at \'response_schema\'', "additionalProperties"),
        ("schema", "response_format.json_schema: unsupported keyword `enum`", "enum"),
        ("schema", "JSON schema conversion failed: Pattern must start with '^' and end with '$'", "pattern"),
        ("schema", "json_schema: pattern: lookaheads are not supported", "pattern"),
        ("strict", "'minItems' is not permitted", "minItems"),
        ("schema", "Failed to initialize samplers: failed to parse grammar", "pattern"),
        ("schema", "invalid JSON schema in format", "pattern"),
        ("schema", "The provided JSON schema contains features not supported by xgrammar.", "pattern"),
        ("schema", "'format' is not a supported keyword", "format"),
    ],
)  # fmt: skip
def test_a_keyword_that_a_refusal_names_is_left_out_of_the_schema(mode: SchemaMode, refusal: str, word: str) -> None:
    asked = call(schema=KEYWORDS)
    adapted = Dialect(mode).adapted(refusal, asked)
    assert adapted == (Dialect(mode, dropped=frozenset({word})), "")
    full, less = (
        each.body("tea", asked)["response_format"]["json_schema"]["schema"] for each in (Dialect(mode), adapted[0])
    )
    assert keywords(full) - keywords(less) == {word}
    assert less["properties"].keys() == full["properties"].keys(), "a property of that name stays"


def test_a_keyword_is_left_out_once_and_then_the_schema_is_asked_for_in_the_next_way() -> None:
    refusal = "response_format: 'pattern' is not permitted"
    asked, dialect = call(schema=KEYWORDS), Dialect("schema", dropped=frozenset({"pattern"}))
    assert dialect.adapted(refusal, asked) == (replace(dialect, schema="json"), "")


@pytest.mark.parametrize(
    "refusal",
    ["This model's maximum context length is 512 tokens", "the title is no default", "'pattern' is required"],
)
def test_an_everyday_word_is_no_keyword_that_is_refused(refusal: str) -> None:
    assert Dialect("strict").adapted(refusal, call(schema=KEYWORDS)) is None


@pytest.mark.parametrize("refusal", SAMPLING)
def test_a_refused_temperature_is_given_up(refusal: str) -> None:
    adapted = Dialect("strict").adapted(refusal, call(temperature=0.2, schema=SCHEMA))
    assert adapted is not None
    dialect, given_up = adapted
    assert "temperature" in given_up
    assert "temperature" not in dialect.body("tea", call(temperature=0.2))
    assert dialect.schema == "strict"


@pytest.mark.parametrize(
    "refusal", ["temperature must be between 0 and 2", "This model's maximum context length is 8192 tokens", "no"]
)
def test_other_refusals_change_nothing(refusal: str) -> None:
    assert Dialect("strict").adapted(refusal, call(temperature=9, schema=SCHEMA)) is None


SAID = [("system", "Be brief."), ("user", "One."), ("user", "Two."), ("assistant", "A.")]
TURNS = [
    "System role not supported",
    'Error rendering prompt with jinja template: "Conversation roles must alternate user/assistant/user/assistant/..."',
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "Only user and assistant roles are supported!",
    "This model does not support system messages.",
    "messages.0.role: Input should be 'user' or 'assistant'",
    'messages: first message must use the "user" role',
    "invalid role: system",
]


@pytest.mark.parametrize("refusal", TURNS)
def test_a_refused_system_message_is_said_by_the_user(refusal: str) -> None:
    adapted = Dialect("strict").adapted(refusal, call())
    assert adapted is not None
    asked = call()
    said = (
        Message("system", "Be brief."),
        Message("user", "One."),
        Message("user", "Two."),
        Message("assistant", "A."),
    )
    asked = replace(asked, request=replace(asked.request, messages=said, head=Head("d", 4, "Head")))
    assert adapted[0].body("tea", asked)["messages"] == [
        {"role": "user", "content": "Head\n\nBe brief.\n\nOne.\n\nTwo."},
        {"role": "assistant", "content": "A."},
    ]
    assert adapted[0].adapted(refusal, call()) is None


@pytest.mark.parametrize(
    "refusal",
    [
        "Your organization must be verified to stream this model.",
        "stream is not supported for this model",
        "This model does not support streaming.",
    ],
)
def test_a_refused_stream_is_a_whole_reply(refusal: str) -> None:
    adapted = Dialect("strict").adapted(refusal, call())
    assert adapted is not None
    assert not adapted[0].body("tea", call())["stream"]
    assert adapted[0].adapted(refusal, call()) is None
    assert Dialect("strict").adapted(refusal, call(stream=False)) is None


def test_every_chain_of_refusals_ends() -> None:
    asked, dialect = call(schema=SCHEMA, temperature=1, top_p=1, max_tokens=3), Dialect("strict")
    refusal, rounds = "max_completion_tokens stream_options temperature top_p json_schema", 0
    while adapted := dialect.adapted(refusal, asked):
        dialect, rounds = adapted[0], rounds + 1
    assert rounds == 7
    body = dialect.body("tea", asked)
    assert body["max_completion_tokens"] == 3
    assert not {"max_tokens", "temperature", "top_p", "stream_options", "response_format"} & set(body)


def texts(mode: SchemaMode, prompt: str, *, described: bool) -> str:
    asked = call(schema=SCHEMA, described=described, messages=(Message("system", "Be brief."), Message("user", prompt)))
    body = Dialect(mode).body("tea", asked)
    return "".join(message["content"] for message in body["messages"])


@pytest.mark.parametrize("mode", ["schema", "json", "prompt"])
def test_the_prompt_gets_the_schema_unless_it_says_the_form_itself(mode: SchemaMode) -> None:
    assert '"properties"' in texts(mode, "Name teas.", described=False)
    assert texts(mode, "Name teas as JSON.", described=True) == "Be brief.Name teas as JSON."


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("prompt", ["Name teas.", "Name teas as json."])
def test_json_mode_never_goes_without_the_word(prompt: str, described: bool) -> None:
    assert "json" in texts("json", prompt, described=described).lower()


def test_the_strict_form_needs_no_words() -> None:
    assert texts("strict", "Name teas.", described=False) == "Be brief.Name teas."


def test_a_request_is_not_changed_by_asking_it() -> None:
    asked, dialect = call(schema=SCHEMA, max_tokens=3), Dialect("prompt")
    assert dialect.body("tea", asked) == dialect.body("tea", asked)
    assert asked.request.options == {"max_tokens": 3}


def test_usage_is_asked_for_only_in_streams() -> None:
    assert Dialect("json").body("tea", call(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in Dialect("json").body("tea", call(stream=False))


def check_strict(schema: Any) -> None:
    """OpenAI's rules for strict schemas."""
    if isinstance(schema, list):
        for part in schema:
            check_strict(part)
    if not isinstance(schema, dict):
        return
    assert not {"minLength", "maxLength", "default", "oneOf", "patternProperties"} & set(schema)
    if "object" in (schema.get("type") or ()):
        assert set(schema["required"]) == set(schema["properties"])
        assert schema["additionalProperties"] is False
    for key, value in schema.items():
        check_strict(list(value.values()) if key in {"properties", "$defs"} else value)


def test_the_schema_of_a_plan_obeys_the_strict_rules() -> None:
    asked = plan_schema({"draft": Role("x:tea"), "proof": Role("x:tea")}, 9, Form(sized=True, needs=True), ranked=True)
    check_strict(strict(asked))
    assert strict(asked) == asked, "nothing in it is optional, so nothing becomes nullable"


def test_optional_keys_become_nullable_whatever_they_are() -> None:
    kind = {"type": "string", "enum": ["green", "black"]}
    schema = {
        "type": "object",
        "properties": {
            "default": {"type": "string", "minLength": 1, "default": "x"},
            "kind": kind,
            "more": {"$ref": "#/$defs/more"},
            "one": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["default"],
        "$defs": {"more": {"type": "object", "properties": {"title": {"type": "string", "title": "T"}}}},
    }
    form = strict(schema)
    check_strict(form)
    assert form["properties"]["default"] == {"type": "string"}
    assert form["properties"]["kind"] == {"anyOf": [kind, {"type": "null"}]}
    assert form["properties"]["more"] == {"anyOf": [{"$ref": "#/$defs/more"}, {"type": "null"}]}
    assert form["$defs"]["more"]["properties"] == {"title": {"type": ["string", "null"]}}
    assert schema["required"] == ["default"]


def test_a_schema_in_words_is_followed_by_what_it_looks_like() -> None:
    """A model of half a billion parameters filled in the schema itself before, and the form after that."""
    schema = plan_schema({"draft": Role("x:tea")}, 9, Form(sized=True, needs=True), ranked=True)
    shown = Dialect("prompt").body("tea", call(schema=schema))["messages"][-1]["content"].rpartition("\n")[2]
    assert json.loads(shown) == {
        "analysis": "…",
        "size": "…",
        "tasks": [{"id": "t1", "type": "draft", "description": "…", "needs": [], "value": 1}],
    }


LEFT_OUT = [
    ("seed", "Unsupported parameter: 'seed' is not supported with this model."),
    ("seed", "Unrecognized request argument supplied: seed"),
    ("seed", '[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]'),
    ("seed", "seed is not supported"),
    ("top_k", "unknown field `top_k`, expected one of `temperature`, `top_p`, `seed`"),
    ("top_p", "temperature and top_p cannot both be specified for this model. Please use only one."),
    ("frequency_penalty", 'Invalid JSON payload received. Unknown name "frequency_penalty": Cannot find field.'),
    ("reasoning_effort", "Unrecognized request argument supplied: reasoning_effort"),
    ("user", "property 'user' is unsupported"),
]
ASKED: dict[str, Any] = {
    "top_k": 5,
    "top_p": 0.5,
    "seed": 1,
    "user": "u",
    "frequency_penalty": 1,
    "stop": "x",
    "reasoning_effort": "low",
}


@pytest.mark.parametrize(("option", "refusal"), LEFT_OUT)
def test_an_option_that_only_colours_a_reply_is_left_out_and_that_is_said(option: str, refusal: str) -> None:
    adapted = Dialect("strict").adapted(refusal, call(**ASKED))
    assert adapted == (Dialect("strict", without=frozenset({option})), f"option {option} is refused and left out")
    assert option not in adapted[0].body("tea", call(**ASKED))


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"stop": ["\n"]}, "Unsupported parameter: 'stop' is not supported with this model."),
        ({"logit_bias": {}}, "Unrecognized request argument supplied: logit_bias"),
        ({"seed": "x"}, "seed: Input should be a valid integer"),
        ({"reasoning_effort": "x"}, "Unsupported value: 'reasoning_effort'. Supported values are: 'low' and 'high'."),
        ({"top_p": 9}, "'top_p' must be between 0 and 1"),
        ({"user": "u"}, "The user has no access to this model"),
        ({"stop": "x", "seed": 1}, "the model had to stop: its seed is gone"),
        ({"max_tokens": 9}, "max_tokens is too large: this model supports at most 4096"),
    ],
)
def test_what_a_reply_would_be_another_without_and_what_is_a_mistake_stay_errors(
    options: dict[str, Any], refusal: str
) -> None:
    assert Dialect("prompt").adapted(refusal, call(**options)) is None


@pytest.mark.parametrize(
    ("name", "other", "refusal"),
    [
        ("max_tokens", "max_completion_tokens", "Unsupported parameter: 'max_tokens' is not supported."),
        ("max_completion_tokens", "max_tokens", "Unrecognized request argument supplied: max_completion_tokens"),
        ("max_completion_tokens", "max_tokens", "body.max_completion_tokens: Extra inputs are not permitted"),
    ],
)
def test_a_limit_that_is_not_taken_by_one_name_is_asked_for_by_the_other(name: str, other: str, refusal: str) -> None:
    limit: dict[str, Any] = {name: 7}
    asked = call(**limit)
    adapted = Dialect("prompt").adapted(refusal, asked)
    assert adapted == (Dialect("prompt", token_key=other), "")
    body = adapted[0].body("tea", asked)
    assert (body.get(other), body.get(name)) == (7, None)
    assert adapted[0].adapted(refusal, asked) is None, "by either name: then it is an error"
