"""`/openapi.json` speaks of every address that is served, and of no other; `tests_openapi` tries what it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from loops import on_loop
from serving import served, workflow
from stretto.server.endpoint import Guard, Offer, endpoint_app, page
from stretto.server.endpoint.openapi import document

OFFER = Offer({"general": workflow()})


def addresses(app: web.Application) -> set[tuple[str, str]]:
    """The method and the address of each route but the page's own, written as OpenAPI writes them."""
    found, pages = set(), {route.path for route in page.routes()}
    for route in app.router.routes():
        assert route.resource is not None
        if route.method != "HEAD" and route.resource.canonical not in pages:
            found.add((route.method.lower(), re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical)))
    return found


def refs(value: Any) -> set[str]:
    """Every form that is spoken of."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


def test_every_address_is_described_and_no_other() -> None:
    paths = document(OFFER)["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == addresses(endpoint_app(OFFER))


def test_every_form_that_is_spoken_of_is_there() -> None:
    told = document(OFFER)
    forms = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert refs(told) <= forms


def test_what_is_served_and_who_may_ask_stand_in_it() -> None:
    told = document(Offer({"a": workflow(), "b": workflow()}, guard=Guard({"": "key"})))
    assert told["components"]["schemas"]["Start"]["properties"]["workflow"] == {"enum": ["a", "b"]}
    assert told["security"] == [{"key": []}]
    assert all("401" in each["responses"] for path in told["paths"].values() for each in path.values())
    assert "security" not in document(OFFER)


@on_loop
async def test_it_is_served_as_it_is(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        url = f"{client.url.removesuffix('/v1')}/openapi.json"
        response = await client.session.get(url)
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == json.loads(json.dumps(document(client.service.offer)))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": []}, "n"),
        ({"n": True}, "n"),
        ({"stream": 0}, "stream"),
        ({"stream": []}, "stream"),
        ({"messages": [{"role": "user", "content": [{"type": {}}]}]}, "messages[0].content"),
    ],
)
@on_loop
async def test_what_it_says_of_a_chat_is_held_to(body: dict[str, Any], param: str) -> None:
    async with served() as client:
        status, error = await client.refused(**body)
    assert (status, error["param"]) == (400, param)
