"""`GET /openapi.json`: what is served, as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1).

Bodies and facts are described by the types that read and write them, OpenAI's forms by `openapi_forms`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from stretto.proposal import Answer, Proposal
from stretto.runs import Run
from stretto.server.endpoint.api import ULID, answer
from stretto.server.endpoint.openapi_forms import FORMS, TEXT, Json, or_null, ref
from stretto.server.endpoint.runs import MOST, SINCE, STANDINGS, Anew
from stretto.server.endpoint.service import AFTER, SERVICE, Offer
from stretto.server.endpoint.starting import KEY, KEY_FORM, Rerun, Resume, Start
from stretto.store.summary import Summary

_STRUCTS = (Start, Resume, Rerun, Answer, Anew, Run, Summary, Proposal)
_BODY = (400, 408, 413)
_PLACE = (429, 503)
_BEGINS = (*_BODY, 404, 409, *_PLACE, 500, 504)
_ASKED = (*_BODY, 402, 404, 415, 422, *_PLACE, 500, 502, 504)
_TOLD = {
    400: "The request cannot be kept; `param` names what is wrong.",
    401: "No key, or a wrong one.",
    402: "The budget is spent, or a provider has no credit left.",
    403: "Not with this key, from this page, or under this name of the machine.",
    404: "There is no such thing here.",
    408: "The body took too long.",
    409: "The run is not in the state that this is for.",
    413: "The body is too large.",
    415: "A provider refuses the request.",
    422: "A provider refuses the request.",
    429: "As many run and wait as may; `retry-after` says when to come again.",
    500: "An error that the server's log tells of.",
    502: "Providers failed.",
    503: "The server is stopping, or the run was stopped.",
    504: "The deadline came, or a provider did not answer in time.",
}


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [web.get("/openapi.json", _document)]


async def _document(request: web.Request) -> web.Response:
    return answer(document(request.app[SERVICE].offer))


def document(offer: Offer) -> Json:
    """What is served, as one object."""
    keys = {"key": {"type": "http", "scheme": "bearer"}}
    facts: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Stretto", "version": "1", "description": "Workflows as models, and their runs."},
        "paths": _paths(offer),
        "components": {"schemas": _schemas(offer), **({"securitySchemes": keys} if offer.guard.keys else {})},
    }
    return {**facts, "security": [{"key": []}]} if offer.guard.keys else facts


def _schemas(offer: Offer) -> Json:
    _, schemas = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    schemas["Run"]["properties"]["answer"] = or_null(TEXT)  # see `Run.to_json`
    schemas["Start"]["properties"]["workflow"] = {"enum": list(offer.workflows)}
    for name in ("Resume", "Rerun"):
        schemas[name]["properties"]["workflow"] = {"enum": [*offer.workflows, None]}
    return {**schemas, **FORMS}


def _paths(offer: Offer) -> Json:
    models = [_in("path", "name", {"type": "string", "minLength": 1}, examples=[*offer.workflows])]
    run = [_in("path", "run", {"type": "string", "pattern": _whole(ULID.pattern)})]
    subtask = [*run, _in("path", "subtask", {"type": "string", "minLength": 1}, examples=["t1"])]
    key = [_in("header", KEY, {"type": "string", "pattern": _whole(KEY_FORM.pattern)})]
    after = {"type": "string", "pattern": _whole(AFTER.pattern)}
    watched = [*run, _in("header", "Last-Event-ID", after), _in("query", "after", after)]
    keyed = bool(offer.guard.keys)

    def get(what: str, told: Json | None, *asked: Json, also: Sequence[int] = (), refused: Sequence[int] = ()) -> Json:
        return {"get": _operation(what, {200: told}, asked, also, refused, keyed=keyed)}

    def post(what: str, status: int, told: Json, *asked: Json, body: Json | None = None, **more: Any) -> Json:
        operation = _operation(what, {status: told}, asked, keyed=keyed, **more)
        return {"post": {**operation, "requestBody": body} if body else operation}

    started = {"also": (200,), "refused": _BEGINS}
    return {
        "/openapi.json": get("This document.", {"type": "object"}),
        "/healthz": _plain("Whether the store can be reached.", get),
        "/metrics": _plain("Figures, as Prometheus reads them.", get),
        "/v1/models": get("What can be asked: workflows, and models by themselves.", ref("Models")),
        "/v1/models/{name}": get("One of them.", ref("Model"), *models, refused=(404,)),
        "/v1/chat/completions": _asked("A chat completion.", "Chat", "Completion", keyed=keyed),
        "/v1/responses": _asked("A response.", "ResponseAsked", "Response", keyed=keyed),
        "/api/runs": get("Runs, the newest first.", ref("Runs"), *_filters(), refused=(400, 404))
        | post("Begin a run.", 201, ref("Begun"), *key, body=_body("Start"), **started),
        "/api/runs/{run}": get("One run.", ref("Run"), *run, refused=(404,)),
        "/api/runs/{run}/events": get("Its events, as they happen.", None, *watched, also=(204,), refused=(400, 404)),
        "/api/runs/{run}/cancel": post("Stop it.", 202, ref("Begun"), *run, refused=(404, 409)),
        "/api/runs/{run}/resume": post(
            "Go on with it.", 202, ref("Begun"), *run, body=_body("Resume", needed=False), refused=_BEGINS
        ),
        "/api/runs/{run}/rerun": post(
            "Begin a run of its task that asks only what has changed.",
            201, ref("Begun"), *run, *key, body=_body("Rerun", needed=False), **started,
        ),
        "/api/runs/{run}/proposal": get("The plan that waits.", ref("Proposal"), *run, refused=(404,)),
        "/api/runs/{run}/answer": post(
            "Decide about that plan.", 202, ref("Decided"), *run, body=_body("Answer"),
            refused=(*_BODY, 404, 409, *_PLACE),
        ),
        "/api/runs/{run}/subtasks/{subtask}/stop": post(
            "Stop one subtask.", 202, ref("Steered"), *subtask, refused=(404, 409)
        ),
        "/api/runs/{run}/subtasks/{subtask}/again": post(
            "Ask one subtask anew.", 202, ref("Steered"), *subtask, body=_body("Anew", needed=False),
            refused=(*_BODY, 404, 409),
        ),
    }  # fmt: skip


def _operation(
    what: str,
    told: dict[int, Json | None],
    asked: Sequence[Json] = (),
    also: Sequence[int] = (),
    refused: Sequence[int] = (),
    *,
    keyed: bool,
) -> Json:
    """What an address does; `told`: what it says then (None: server-sent events), and `also` under these statuses."""
    ((status, form),) = told.items()
    content = _stream() if form is None else {"application/json": {"schema": form}}
    responses = {str(each): {"description": what, "content": content} for each in (status, *(also if form else ()))}
    if form is None:
        responses |= {str(each): {"description": "There is nothing more."} for each in also}
    for each in sorted({403, *refused, *([401] if keyed else [])}):
        responses[str(each)] = {"description": _TOLD[each], "content": {"application/json": {"schema": ref("Error")}}}
    return {"summary": what, **({"parameters": list(asked)} if asked else {}), "responses": responses}


def _plain(what: str, get: Callable[[str, Json | None], Json]) -> Json:
    """An address that tells in plain text."""
    operation, content = get(what, TEXT), {"text/plain": {"schema": TEXT}}
    for status, why in (("200", what), ("503", "The store cannot be reached.")):
        operation["get"]["responses"][status] = {"description": why, "content": content}
    return operation


def _asked(what: str, body: str, told: str, *, keyed: bool) -> Json:
    """A request that a workflow or a model answers, streamed or not."""
    operation = _operation(what, {200: ref(told)}, refused=_ASKED, keyed=keyed)
    operation["responses"]["200"]["content"] |= _stream()
    return {"post": {**operation, "requestBody": _body(body)}}


def _body(name: str, *, needed: bool = True) -> Json:
    return {"required": needed, "content": {"application/json": {"schema": ref(name)}}}


def _stream() -> Json:
    return {"text/event-stream": {"schema": ref("Event")}}


def _in(place: str, name: str, form: Json, examples: Sequence[str] = ()) -> Json:
    told = {"examples": {each: {"value": each} for each in examples}} if examples else {}
    return {"in": place, "name": name, "required": place == "path", "schema": form, **told}


def _filters() -> list[Json]:
    return [
        _in("query", "task", TEXT),
        _in("query", "status", {"enum": list(STANDINGS)}),
        _in("query", "since", {"type": "string", "pattern": _whole(SINCE.pattern)}),
        _in("query", "before", {"type": "string", "pattern": _whole(ULID.pattern)}),
        _in("query", "limit", {"type": "integer", "minimum": 1, "maximum": MOST}),
    ]


def _whole(pattern: str) -> str:
    """A pattern that a whole text is to fit."""
    return f"^(?:{pattern})$"
