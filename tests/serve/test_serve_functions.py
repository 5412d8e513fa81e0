"""A request that wants one function called has its answer as that call: so do frameworks ask for objects."""

import json
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import TASK, events_in, runs, served, workflow

SHAPE = {"type": "object", "properties": {"winner": {"type": "string"}}, "required": ["winner"]}
TOOL = {"type": "function", "function": {"name": "verdict", "description": "The verdict.", "parameters": SHAPE}}
OTHER = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "verdict"}}


@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [OTHER, TOOL], "tool_choice": NAMED, "parallel_tool_calls": False},
        {"functions": [TOOL["function"]], "function_call": {"name": "verdict"}},
    ],
)
@on_loop
async def test_the_answer_of_a_workflow_is_what_the_function_takes(asked: dict[str, Any], tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        (choice,) = (await client.json(**asked))["choices"]
        events = await client.events(**asked)
    (call,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    assert (call["type"], call["function"]["name"]) == ("function", "verdict")
    assert isinstance(json.loads(call["function"]["arguments"])["winner"], str)
    pieces = [each for event in events for each in event["choices"][0]["delta"].get("tool_calls", ())]
    assert (pieces[0]["function"]["name"], {each["index"] for each in pieces}) == ("verdict", {0})
    assert pieces[0]["id"]
    assert all(not event["choices"][0]["delta"].get("content") for event in events)
    said = "".join(each["function"]["arguments"] for each in pieces)
    assert said == runs(store)[-1].answer
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@on_loop
async def test_a_response_has_the_call_as_its_item_streamed_or_not(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    tool = {"type": "function", "name": "verdict", "parameters": SHAPE, "strict": True}
    asked: dict[str, Any] = {"model": "general", "input": TASK, "tools": [tool], "tool_choice": "required"}
    async with served(workflow(store)) as client:
        async with client.post("responses", **asked) as response:
            body = await response.json()
        async with client.post("responses", stream=True, **asked) as response:
            events = events_in(await response.text())
    item = body["output"][-1]
    assert (item["type"], item["name"], item["status"]) == ("function_call", "verdict", "completed")
    assert item["call_id"]
    assert isinstance(json.loads(item["arguments"])["winner"], str)
    assert (body["tools"], body["tool_choice"]) == ([tool], "required")
    (added,) = [e for e in events if e["type"] == "response.output_item.added" and e["item"]["type"] == "function_call"]
    deltas = [each for each in events if each["type"] == "response.function_call_arguments.delta"]
    (done,) = [each for each in events if each["type"] == "response.function_call_arguments.done"]
    assert {each["item_id"] for each in (*deltas, done)} == {added["item"]["id"]}
    assert {each["output_index"] for each in (*deltas, done, added)} == {1}  # behind the thoughts
    assert "".join(each["delta"] for each in deltas) == done["arguments"] == runs(store)[-1].answer
    assert events[-1]["response"]["output"][-1] == {
        **added["item"],
        "status": "completed",
        "arguments": done["arguments"],
    }


@on_loop
async def test_what_was_called_before_and_what_came_of_it_is_told(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    call = {"id": "c1", "type": "function", "function": {"name": "verdict", "arguments": '{"winner": 3}'}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": TASK},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "winner must be a text; fix it"},
    ]
    async with served(workflow(store)) as client:
        await client.json(messages=messages, tools=[TOOL], tool_choice="required")
    (run,) = runs(store)
    assert run.task == "winner must be a text; fix it"
    assert 'Assistant: verdict({"winner": 3})' in run.basis.inputs[0].text


@pytest.mark.parametrize("ignore_tools", [True, False])
@pytest.mark.parametrize(
    "asked",
    [
        {"tools": [TOOL, OTHER], "tool_choice": "required"},
        {"tools": [OTHER], "tool_choice": NAMED},
        {"tools": [{"type": "function", "function": {"name": 3}}], "tool_choice": "required"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": 3}},
    ],
)
@on_loop
async def test_which_function_must_be_called_has_to_be_said(asked: dict[str, Any], ignore_tools: bool) -> None:
    async with served(ignore_tools=ignore_tools) as client:
        status, error = await client.refused(**asked)
        assert (status, error["param"]) == (400, "tools")


@on_loop
async def test_a_function_whose_parameters_are_no_schema_is_refused_and_named() -> None:
    tool = {"type": "function", "function": {"name": "verdict", "parameters": {"type": "array"}}}
    async with served() as client:
        status, error = await client.refused(tools=[tool], tool_choice="required")
        assert (status, error["param"]) == (400, "tools")
