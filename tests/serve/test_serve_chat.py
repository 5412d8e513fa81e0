"""Workflows as models: what a chat client asks of them, and what it gets."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import TASK, events_in, runs, served, told, workflow
from simulated import simulator_of
from stretto.server.endpoint.asked import is_chore
from stretto.store.sqlite import Store

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 40).decode()
SHAPE = {"type": "object", "properties": {"winner": {"type": "string"}}, "required": ["winner"]}


@on_loop
async def test_workflows_are_models() -> None:
    async with served(workflow(), workflow()) as client:
        async with client.session.get(f"{client.url}/models") as response:
            listed = await response.json()
        assert [model["id"] for model in listed["data"]] == ["general", "second"]
        async with client.session.get(f"{client.url}/models/second") as response:
            assert (await response.json()) == listed["data"][1]
        async with client.session.get(f"{client.url}/models/third") as response:
            assert (response.status, (await response.json())["error"]["code"]) == (404, "model_not_found")


@on_loop
async def test_an_answer_is_a_chat_completion_and_its_run_is_recorded(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        async with client.ask() as response:
            body, run = await response.json(), response.headers["x-stretto-run"]
            assert response.headers["x-request-id"]
        (recorded,) = runs(store)
    choice = body["choices"][0]
    assert (recorded.id, recorded.task, recorded.answer) == (run, TASK, choice["message"]["content"])
    assert len(recorded.plan.subtasks) == 3
    assert choice["finish_reason"] == "stop"
    assert "planned: 3 subtasks" in choice["message"]["reasoning_content"]
    assert choice["message"]["reasoning"] == choice["message"]["reasoning_content"]
    assert body["usage"]["prompt_tokens"] == recorded.usage.input_tokens
    assert body["usage"]["total_tokens"] == recorded.usage.input_tokens + recorded.usage.output_tokens
    assert body["stretto"] == {"run": run, "complete": True, "simulated": True, "cost": "0"}


@on_loop
async def test_an_emoji_that_was_cut_in_two_makes_no_request_unreadable(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        assert (await client.json("Name teas \ud83d"))["choices"]
        async with client.session.post(f"{client.url}/chat/completions", data=b'{"model": "\\ud83d", }') as response:
            assert "not valid JSON" in await response.text()
    assert [run.task for run in runs(store)] == ["Name teas \ufffd"]


@on_loop
async def test_whoever_leaves_v1_out_is_told_so() -> None:
    async with served() as client, client.session.post(client.url.removesuffix("/v1") + "/models") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")
        assert "the base URL ends in /v1" in await response.text()


@on_loop
async def test_a_stream_has_progress_as_reasoning_then_the_answer_then_the_usage(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        events = await client.events(stream_options={"include_usage": True})
    (run,) = runs(store)
    first, *_, finish, usage = events
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert told(events, "content") == run.answer
    thoughts = told(events, "reasoning_content")
    assert thoughts == told(events, "reasoning")
    assert [line.split()[:2] for line in thoughts.splitlines()][:3] == [["planning"], ["-", "t1"], ["-", "t2"]]
    assert thoughts.endswith("writing the answer\n")
    spoken = [bool(event["choices"][0]["delta"].get("content")) for event in events[1:-2]]
    assert spoken == sorted(spoken)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], run.usage.output_tokens)


@on_loop
async def test_without_a_wish_for_usage_it_stands_in_the_last_event_and_there_is_an_end_mark() -> None:
    async with served() as client, client.ask(stream=True) as response:
        text = await response.text()
    assert text.endswith("data: [DONE]\n\n")
    assert events_in(text)[-1]["usage"]["total_tokens"] > 0


@on_loop
async def test_earlier_messages_and_instructions_reach_the_orchestrator(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    messages = [
        {"role": "system", "content": "Answer like a pirate."},
        {"role": "user", "content": "What is oolong?"},
        {"role": "assistant", "content": "A tea between green and black."},
        {"role": "user", "content": [{"type": "text", "text": "Compare it with coffee in 2 subtasks"}]},
    ]
    async with served(workflow(store)) as client:
        await client.json(messages=messages)
    (run,) = runs(store)
    assert run.task.startswith("Compare it with coffee in 2 subtasks\n")
    assert "Answer like a pirate." in run.task
    (before,) = run.basis.inputs
    assert before.text == "User: What is oolong?\n\nAssistant: A tea between green and black."
    (planned,) = [call for call in run.calls if call.role == "orchestrator"]
    asked = Store(store).records(run.id)[planned.fingerprint].request
    assert asked is not None
    assert asked.head is not None


@on_loop
async def test_a_chore_of_a_chat_client_takes_one_call(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    chore = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Chat:\nhi"
    async with served(workflow(store)) as client:
        body = await client.json(chore)
    (run,) = runs(store)
    assert body["choices"][0]["message"]["content"] == run.answer
    assert (len(run.calls), run.plan.subtasks, run.coverage.complete) == (1, (), True)


@pytest.mark.parametrize(
    "message",
    [
        "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
        "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next",
        "### Task:\nPredict 3-5 useful messages this user might naturally send next to advance",
        "### Task:\nAnalyze the chat history to determine the necessity of generating search queries",
        "### Task:\nGenerate a detailed prompt for am image generation task based on the given language and context.",
        "### Task:\nSummarize the conversation history that will be compacted out of the active chat context.",
        "### Task:\nYou are an autocompletion system. Continue the text in `<text>`",
        "Provide a concise, 5-word-or-less title for the conversation, using its same language",
        "Given the following... please reply with a title for the chat that is 3-4 words in length",
        "Based on the chat history, give this conversation a name.\nGenerate a name for this conversation",
    ],
)
def test_what_chat_clients_ask_by_themselves_is_known(message: str) -> None:
    assert is_chore(message)


@pytest.mark.parametrize(
    "message",
    [
        TASK,
        "Write a title page for my thesis",
        "Summarise this conversation about tea",
        "Tag the release",
        "### Task:\nRespond to the query using the provided context, citing only where the <source> tag has an id",
    ],
)
def test_what_people_ask_is_no_chore(message: str) -> None:
    assert not is_chore(message)


@on_loop
async def test_an_image_comes_with_the_task(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    async with served(workflow(store)) as client:
        await client.json(messages=[{"role": "user", "content": parts}])
    (run,) = runs(store)
    assert [(each.media, each.data) for each in run.basis.inputs] == [("image/png", PIXEL)]


@on_loop
async def test_a_schema_is_kept_and_the_answer_comes_whole() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SHAPE, "strict": True}}
    async with served() as client:
        body = await client.json(response_format=wanted)
        events = await client.events(response_format=wanted)
        any_object = await client.json(response_format={"type": "json_object"})
    assert isinstance(json.loads(body["choices"][0]["message"]["content"])["winner"], str)
    assert isinstance(json.loads(told(events, "content"))["winner"], str)
    assert isinstance(json.loads(any_object["choices"][0]["message"]["content"]), dict)


@on_loop
async def test_a_request_with_a_bound_of_its_own_shares_models_and_limits_with_all_others() -> None:
    asked = workflow()
    async with served(asked) as client:
        await client.json(max_tokens=20)
        await client.json(response_format={"type": "json_object"})
        assert simulator_of(asked).asked.total() >= 8
        assert len(asked._pools._of_loops) == 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@on_loop
async def test_a_limit_of_tokens_is_kept_and_told(name: str) -> None:
    limit: dict[str, Any] = {name: 5}
    async with served() as client:
        body = await client.json(**limit)
        events = await client.events(**limit)
    assert body["choices"][0]["finish_reason"] == events[-1]["choices"][0]["finish_reason"] == "length"
    assert len(body["choices"][0]["message"]["content"].split()) <= 5


@on_loop
async def test_what_nobody_knows_is_passed_over() -> None:
    async with served() as client:
        body = await client.json(
            temperature=0.3, top_p=1, user="me", metadata={"a": "b"}, n=1, stop=None, tools=[], frobnicate=[1], seed=4
        )
    assert body["choices"][0]["message"]["content"]


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop": ["\n"]}, "stop"),
        ({"tools": [TOOL]}, "tools"),
        ({"functions": [TOOL["function"]]}, "tools"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}}, "response_format"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}
                ]
            },
            "messages",
        ),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"stream": "yes"}, "stream"),
    ],
)
@on_loop
async def test_what_cannot_be_kept_is_refused_and_named(body: dict[str, Any], param: str) -> None:
    async with served() as client:
        status, error = await client.refused(**body)
        assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
        assert error["message"]
        assert not client.service.runs.inside


@on_loop
async def test_tools_may_be_passed_over() -> None:
    async with served(ignore_tools=True) as client:
        assert (await client.json(tools=[TOOL], tool_choice="auto"))["choices"][0]["message"]["content"]


@on_loop
async def test_an_unknown_model_is_refused_and_the_known_ones_are_named() -> None:
    async with served() as client:
        status, error = await client.refused(model="gpt-4o")
    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "general" in error["message"]


@on_loop
async def test_a_run_that_fails_is_an_error_with_a_status_or_the_last_event_of_its_stream() -> None:
    async with served(workflow(None, "401 always")) as client:
        async with client.ask() as response:
            assert (response.status, response.headers["x-should-retry"]) == (502, "false")
            error = (await response.json())["error"]
        assert error["code"] == "provider_refused_key"
        (*_, last) = await client.events()
    assert last["error"]["code"] == "provider_refused_key"
    assert last["error"]["message"]


@on_loop
async def test_what_is_missing_from_an_answer_is_told_beside_it() -> None:
    async with served() as client:
        first = (await client.json())["choices"][0]["message"]["reasoning"].splitlines()[1]
    described = first.partition("): ")[2].partition(" for this task")[0]
    async with served(workflow(None, f'500 always role=worker match="{described}"')) as client:
        body = await client.json()
    (missing,) = body["stretto"]["missing"]
    assert (missing["subtask"], body["stretto"]["complete"]) == ("t1", False)
    assert f"- t1 failed: {missing['why'][:40]}" in body["choices"][0]["message"]["reasoning"]


@on_loop
async def test_a_run_that_cannot_begin_has_a_status_of_its_own_streamed_or_not(tmp_path: Path) -> None:
    store = tmp_path / "folder"
    store.mkdir()
    async with served(workflow(store)) as client:
        for stream in (False, True):
            status, error = await client.refused(stream=stream)
            assert (status, error["code"]) == (500, "stretto_failed")
            assert str(store) not in error["message"]
