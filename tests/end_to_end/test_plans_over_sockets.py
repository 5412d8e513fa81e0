"""Every kind of server gives a plan: what it refuses of a schema is asked in another way, what it ignores is read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from endpoint import END, STREAM, Endpoint, Exchange, chunk, delta, error, sse
from loops import on_loop
from stretto import Provider, Role, Run, Workflow
from stretto.models.schema_forms import keywords

WORKERS = {"look": Role("box:w", about="finds things out"), "write": Role("box:w", about="puts things into words")}
PLAN = json.dumps(
    {
        "analysis": "Two parts.",
        "size": "small",
        "tasks": [
            {"id": "t1", "type": "look", "description": "Find the facts.", "needs": []},
            {"id": "t2", "type": "write", "description": "Write them down.", "needs": ["t1"]},
        ],
    }
)
MARKDOWN = "Sure! Here is the plan:\n\n1. **look**: Find the facts.\n2. **write**: Write them down.\n\nGood luck!"

Refuses = Callable[[Mapping[str, Any] | None], str]
"""What a server says of a `response_format`; empty if it takes it."""


def takes_none(form: Mapping[str, Any] | None) -> str:
    return "Unrecognized request argument supplied: response_format" if form else ""


def takes_all(_: Mapping[str, Any] | None) -> str:
    return ""


def takes_objects(form: Mapping[str, Any] | None) -> str:
    return "" if form is None or form["type"] == "json_object" else "response_format.type: expected 'json_object'"


def without(word: str) -> Refuses:
    def judge(form: Mapping[str, Any] | None) -> str:
        used = keywords(form["json_schema"]["schema"]) if form and form["type"] == "json_schema" else ()
        return f"Invalid schema for response_format 'reply': '{word}' is not permitted." if word in used else ""

    return judge


def both(*words: str) -> Refuses:
    judges = [without(word) for word in words]
    return lambda form: next((said for judge in judges if (said := judge(form))), "")


def server(refuses: Refuses, plan: str) -> Endpoint:
    async def play(exchange: Exchange) -> None:
        if not exchange.line.startswith("POST"):  # it is asked for its models, and has no list
            await exchange.send(error("404 Not Found", "no such page"))
            return
        body = exchange.body
        if refusal := refuses(body.get("response_format")):
            await exchange.send(error("400 Bad Request", refusal))
            return
        plans = body["model"] == "o"
        await exchange.send(STREAM, chunk(sse(delta(content=plan if plans else "Some text."), delta("stop"))), END)

    return Endpoint(play)


async def carried(endpoint: Endpoint, schema: Any) -> tuple[Run, list[Any]]:
    """The run, and what each request for its plan said of the form."""
    provider = Provider(endpoint.url, schema=schema)
    flow = Workflow("box:o", WORKERS, "box:w", providers={"box": provider})
    run = await flow.run("Say what tea is.")
    return run, [each.body.get("response_format") for each in endpoint.requests if each.body.get("model") == "o"]


@pytest.mark.parametrize("plan", [PLAN, MARKDOWN], ids=["json", "markdown"])
@pytest.mark.parametrize("schema", ["strict", "schema"])
@pytest.mark.parametrize(
    ("refuses", "refusals"),
    [(takes_all, 0), (takes_none, 3), (takes_objects, 2), (without("pattern"), 1), (without("enum"), 1),
     (both("pattern", "enum", "additionalProperties"), 3)],
    ids=["all", "none", "json_object", "no-pattern", "no-enum", "no-keywords"],
)  # fmt: skip
@on_loop
async def test_every_server_gives_a_plan(refuses: Refuses, refusals: int, schema: str, plan: str) -> None:
    async with server(refuses, plan) as endpoint:
        run, forms = await carried(endpoint, schema)
    assert run.answer == "Some text."
    assert [(s.type, s.description) for s in run.plan.subtasks] == [
        ("look", "Find the facts."),
        ("write", "Write them down."),
    ]
    assert run.coverage.complete
    expected = refusals - (schema == "schema" and refuses in (takes_none, takes_objects))
    assert len(forms) == expected + 1


@on_loop
async def test_what_a_server_refused_is_not_asked_again_by_the_next_run() -> None:
    async with server(both("pattern", "enum"), PLAN) as endpoint:
        provider = Provider(endpoint.url)
        flow = Workflow("box:o", WORKERS, "box:w", providers={"box": provider})
        await flow.run("Say what tea is.")
        first = len(endpoint.requests)
        await flow.run("Say what coffee is.")
    later = [each.body for each in endpoint.requests[first:] if each.body.get("model") == "o"]
    forms = [body["response_format"]["json_schema"]["schema"] for body in later]
    assert [keywords(form) & {"pattern", "enum", "required"} for form in forms] == [{"required"}]


@on_loop
async def test_a_server_that_takes_no_schema_is_told_it_in_words() -> None:
    async with server(takes_objects, PLAN) as endpoint:
        provider = Provider(endpoint.url)
        split = Role("box:o", "Split this among {workers}: {task}")  # which says nothing of the form
        await Workflow(split, WORKERS, "box:w", providers={"box": provider}).run("Say what tea is.")
    told = [each.body["messages"][-1]["content"] for each in endpoint.requests if each.body.get("model") == "o"][-1]
    assert '"pattern"' in told
    assert "fits this JSON schema" in told
