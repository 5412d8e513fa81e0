"""Workflows as models at /v1/responses, which some clients speak only."""

import json
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import TASK, Client, events_in, runs, served, workflow

SHAPE = {"type": "object", "properties": {"winner": {"type": "string"}}, "required": ["winner"]}


async def whole(client: Client, **body: Any) -> dict[str, Any]:
    async with client.post("responses", **{"model": "general", "input": TASK, **body}) as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def streamed(client: Client, **body: Any) -> list[dict[str, Any]]:
    asked = {"model": "general", "input": TASK, "stream": True, **body}
    async with client.post("responses", **asked) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (200, "text/event-stream"), text
    events = events_in(text)
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names == [event["type"] for event in events]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


@on_loop
async def test_an_answer_is_a_message_behind_the_summary_of_a_reasoning_item(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        body = await whole(client, instructions="Be brief.", metadata={"a": "b"}, store=True, frobnicate=1)
    (run,) = runs(store)
    reasoning, message = body["output"]
    assert (body["object"], body["status"], body["metadata"]) == ("response", "completed", {"a": "b"})
    assert "planned: 3 subtasks" in reasoning["summary"][0]["text"]
    assert message["content"][0]["text"] == run.answer
    assert body["usage"]["total_tokens"] == run.usage.input_tokens + run.usage.output_tokens
    assert body["stretto"]["run"] == run.id
    assert run.task.endswith("Be brief.")


@on_loop
async def test_a_stream_tells_every_item_piece_by_piece_and_then_the_whole(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        events = await streamed(client)
    (run,) = runs(store)
    kinds = list(dict.fromkeys(event["type"] for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.completed",
    ]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == run.answer
    last = events[-1]["response"]
    assert last["output"] == [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert last["output"][1]["content"][0]["text"] == run.answer


@on_loop
async def test_earlier_items_of_a_conversation_are_an_input(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "What is oolong?"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A tea."}]},
        {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "1"},
        {"type": "function_call_output", "call_id": "1", "output": "green"},
        {"role": "user", "content": [{"type": "input_text", "text": TASK}]},
    ]
    async with served(workflow(store)) as client:
        await whole(client, input=items)
    (run,) = runs(store)
    assert run.task.startswith(TASK)
    told = ["User: What is oolong?", "Assistant: A tea.", "Assistant: look({})", "User: green"]
    assert run.basis.inputs[0].text == "\n\n".join(told)


@on_loop
async def test_a_schema_and_a_limit_are_kept() -> None:
    form = {"format": {"type": "json_schema", "name": "verdict", "schema": SHAPE}}
    async with served() as client:
        shaped = await whole(client, text=form)
        short = await whole(client, max_output_tokens=5)
        events = await streamed(client, max_output_tokens=5)
    assert isinstance(json.loads(shaped["output"][-1]["content"][0]["text"])["winner"], str)
    for each in (short, events[-1]["response"]):
        assert (each["status"], each["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert events[-1]["type"] == "response.incomplete"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"type": "web_search_call"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content"),
        ({"instructions": 4}, "instructions"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"text": {"format": {"type": "grammar"}}}, "response_format"),
        ({"tools": [{"type": "function", "name": "look"}]}, "tools"),
        ({"model": None}, "model"),
    ],
)
@on_loop
async def test_what_cannot_be_kept_is_refused_and_named(body: dict[str, Any], param: str) -> None:
    async with served() as client, client.post("responses", **{"model": "general", "input": TASK, **body}) as response:
        error = (await response.json())["error"]
        assert (response.status, error["param"]) == (400, param)


@on_loop
async def test_a_run_that_fails_is_told_as_a_response_that_failed() -> None:
    async with served(workflow(None, "401 always")) as client:
        *_, failed, error = await streamed(client)
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"]["code"] == error["error"]["code"] == "provider_refused_key"
