"""The forms of OpenAI's that are spoken here, as far as they are read and written, and small ones of our own."""

from typing import Any

from stretto.server.body import ROLES

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": ["integer", "null"], "minimum": 1}
_SWITCH: Json = {"type": ["boolean", "null"]}


def an_object(required: tuple[str, ...], **properties: Json) -> Json:
    """An object with these properties, and others that are passed over."""
    return {"type": "object", "required": list(required), "properties": properties}


def all_of(**properties: Json) -> Json:
    """An object that has all of these properties."""
    return an_object(tuple(properties), **properties)


def or_null(form: Json) -> Json:
    """Something, or null."""
    return {"anyOf": [form, {"type": "null"}]}


def a_list(of: Json, **more: Any) -> Json:
    """A list of it."""
    return {"type": "array", "items": of, **more}


def ref(name: str) -> Json:
    """A form by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


_PART = an_object(("type",), type={"enum": ["text", "refusal", "image_url"]})
_MESSAGE = an_object(("role",), role={"enum": list(ROLES)}, content={"anyOf": [TEXT, {"type": "null"}, a_list(_PART)]})
_FORMAT = an_object(("type",), type={"enum": ["text", "json_object", "json_schema"]})
_NUMBER: Json = {"type": "integer"}
_USAGE = all_of(prompt_tokens=_NUMBER, completion_tokens=_NUMBER, total_tokens=_NUMBER)
_ROLE: Json = {"const": "assistant"}
_SAID = an_object(("role", "content"), role=_ROLE, content=TEXT, reasoning_content=TEXT, reasoning=TEXT)
_CHOICE = all_of(index={"const": 0}, message=_SAID, finish_reason={"enum": ["stop", "length", "content_filter"]})

FORMS: Json = {
    "Error": all_of(error=all_of(message=TEXT, type=TEXT, code=or_null(TEXT), param=or_null(TEXT))),
    "Event": an_object(("data",), id=TEXT, event=TEXT, data={**TEXT, "description": "JSON, but for the last: [DONE]."}),
    "Model": all_of(id=TEXT, object={"const": "model"}, created={"type": "integer"}, owned_by=TEXT),
    "Models": all_of(object={"const": "list"}, data=a_list(ref("Model"))),
    "Chat": an_object(
        ("model", "messages"),
        model={"type": "string", "minLength": 1, "description": "A workflow, or PROVIDER:MODEL."},
        messages=a_list(_MESSAGE, minItems=1, description="The last is the user's: it is the task."),
        stream=_SWITCH,
        n={"enum": [1, None]},
        max_tokens=_COUNT,
        max_completion_tokens=_COUNT,
        response_format=or_null(_FORMAT),
    ),
    "Completion": an_object(
        ("id", "object", "created", "model", "choices", "usage"),
        id=TEXT,
        object={"const": "chat.completion"},
        created={"type": "integer"},
        model=TEXT,
        choices=a_list(_CHOICE, minItems=1, maxItems=1),
        usage=_USAGE,
        stretto={"type": "object", "description": "The run, and what is missing of it."},
    ),
    "ResponseAsked": an_object(
        ("model", "input"),
        model={"type": "string", "minLength": 1, "description": "A workflow, or PROVIDER:MODEL."},
        input={"anyOf": [TEXT, a_list({"type": "object"}, minItems=1)]},
        instructions={"type": ["string", "null"]},
        stream=_SWITCH,
        max_output_tokens=_COUNT,
    ),
    "Response": an_object(
        ("id", "object", "created_at", "model", "status", "output"),
        id=TEXT,
        object={"const": "response"},
        created_at={"type": "integer"},
        model=TEXT,
        status={"enum": ["completed", "incomplete"]},
        output=a_list(an_object(("id", "type"), id=TEXT, type={"enum": ["reasoning", "message"]}), minItems=1),
    ),
    "Runs": all_of(object={"const": "list"}, data=a_list(ref("Summary")), next=or_null(TEXT)),
    "Begun": all_of(run=TEXT, status=TEXT),
    "Decided": all_of(run=TEXT, decision=TEXT),
    "Steered": all_of(run=TEXT, subtask=TEXT),
}
