"""Single calls through the endpoint: any model by its name, through all policies, on its client's account."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from endpoint import END, STREAM, Endpoint, chunk, delta, error, plain, sse
from loops import on_loop
from serving import Client, events_in, runs, served, told
from stretto.cli.meaning import configured
from stretto.config import Client as Account
from stretto.errors import ConfigError
from stretto.models.providers import Provider
from stretto.server.endpoint import Door, Guard, Means
from stretto.store.sqlite import Store
from stretto.types import Limits, Memory, Price
from terminal import Terminal

ASSAM = "Assam is a black tea from the north of India"
USAGE = {"prompt_tokens": 10, "completion_tokens": 10}
CENT = Price(Decimal(0), Decimal(1000))  # a cent for such a reply


def door(url: str, store: Path | None = None, clients: Mapping[str, Account] | None = None, **means: Any) -> Door:
    """A door to `x:…` at this address, and `y:…`, of which nothing answers."""
    providers = {"x": Provider(url), "y": Provider("http://127.0.0.1:9/v1")}
    settings = {"prices": {"x:tea": CENT}, "limits": Limits(attempts=2), **means}
    return Door(Means(providers=providers, store=store, **settings), clients or {})


async def ask(client: Client, text: str = "Name a tea.", **body: Any) -> dict[str, Any]:
    return await client.json(text, **{"model": "x:tea", **body})


@on_loop
async def test_a_call_goes_out_as_it_came_and_is_recorded(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Name a tea."},
        {"role": "assistant", "content": "Assam"},
        {"role": "user", "content": "Another."},
    ]
    async with Endpoint(plain(ASSAM, usage=USAGE)) as there, served(door=door(there.url, store)) as client:
        body = await ask(client, messages=messages, temperature=0.5, stop=["\n"], user="me", tools=[], max_tokens=7)
        await ask(client)
    first, second = (request.body for request in there.requests)
    assert first["messages"] == messages
    assert (first["temperature"], first["stop"], first["max_tokens"], first["model"]) == (0.5, ["\n"], 7, "tea")
    assert "tools" not in first
    assert second["messages"] == [{"role": "user", "content": "Name a tea."}]
    assert body["choices"][0] == {
        "index": 0, "message": {"role": "assistant", "content": ASSAM}, "finish_reason": "stop"
    }  # fmt: skip
    assert (body["usage"]["prompt_tokens"], body["stretto"]["reused"]) == (10, False)
    (run,) = runs(store)
    assert (run.status, run.basis.client, len(run.calls)) == ("finished", "everybody", 2)
    assert (run.cost, run.id) == (Decimal("0.02"), body["stretto"]["run"])
    replies = Store(store).replies(run.id).values()
    assert {reply.text for each in replies for reply in each} == {ASSAM}


@on_loop
async def test_tools_are_passed_over_here_too_where_that_is_wanted() -> None:
    async with Endpoint(plain(ASSAM)) as there, served(door=door(there.url), ignore_tools=True) as client:
        body = await ask(client, tools=[TOOL], tool_choice="auto", parallel_tool_calls=True)
    assert body["choices"][0]["message"]["content"] == ASSAM
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & there.requests[0].body.keys()


@on_loop
async def test_a_model_without_a_provider_is_that_of_the_one_that_was_said() -> None:
    async with Endpoint(plain(ASSAM), plain(ASSAM), plain(ASSAM)) as there:
        ours = Door(Means(providers={"x": Provider(there.url), "y": Provider(there.url)}), {}, "x")
        async with served(door=ours) as client:
            asked = [await ask(client, model=name) for name in ("tea", "tea:0.5b, y:green", "y:green")]
            assert (await client.refused(model=""))[0] == 400
            assert (await client.refused(model="tea,"))[0] == 404
    assert [each["stretto"]["model"] for each in asked] == ["x:tea", "x:tea:0.5b", "y:green"]
    assert [request.body["model"] for request in there.requests] == ["tea", "tea:0.5b", "green"]


def test_a_provider_that_there_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match="--provider z: there is no such provider; there are "):
        Door(Means(providers={"x": Provider("http://127.0.0.1:9/v1")}), {}, "z")


@on_loop
async def test_a_call_is_streamed_with_its_thoughts() -> None:
    said = sse(
        delta(reasoning="hm"),
        delta(content="Oo"),
        delta(content="long"),
        delta("stop"),
        {"choices": [], "usage": USAGE},
    )
    answer = STREAM + chunk(said) + END
    async with Endpoint(answer) as there, served(door=door(there.url)) as client:
        events = await client.events(model="x:tea", stream_options={"include_usage": True})
    assert (told(events, "reasoning_content"), told(events, "content")) == ("hm", "Oolong")
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["usage"]["total_tokens"] == 20


@on_loop
async def test_a_call_is_given_as_a_response_too() -> None:
    asked: dict[str, Any] = {"model": "x:tea", "input": "Name a tea.", "max_output_tokens": 3}
    async with (
        Endpoint(plain("Oolong", "length")) as there,
        served(door=door(there.url)) as client,
        client.post("responses", **asked) as response,
    ):
        body = await response.json()
    assert (body["status"], body["output"][0]["content"][0]["text"]) == ("incomplete", "Oolong")


VERDICT = {"type": "object", "properties": {"winner": {"type": "string"}}, "required": ["winner"]}
TOOL = {"type": "function", "function": {"name": "verdict", "parameters": VERDICT}}
CALLED = '{"winner": "tea"}'


@on_loop
async def test_a_single_call_is_asked_for_the_object_and_gives_it_as_the_call() -> None:
    said = STREAM + chunk(sse(delta(content='{"winner": '), delta(content='"tea"}'), delta("stop"))) + END
    asked: dict[str, Any] = {"model": "x:tea", "tools": [TOOL], "tool_choice": "required", "temperature": 0.5}
    async with Endpoint(plain(CALLED), said) as there, served(door=door(there.url)) as client:
        (choice,) = (await client.json(**asked))["choices"]
        events = await client.events(**asked)
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "verdict", "arguments": CALLED}
    pieces = [each for event in events for each in event["choices"][0]["delta"].get("tool_calls", ())]
    assert "".join(each["function"]["arguments"] for each in pieces) == CALLED
    for request in there.requests:
        assert request.body["response_format"]["json_schema"]["schema"]["properties"] == VERDICT["properties"]
        assert "tools" not in request.body
        assert request.body["temperature"] == 0.5


@on_loop
async def test_a_call_that_fails_is_asked_again_and_then_at_its_fallback() -> None:
    async with (
        Endpoint(
            error("500 Oops", "no"), plain("Assam"), error("500 Oops", "no"), error("500 Oops", "no"), plain("b")
        ) as there,
        served(door=door(there.url)) as client,
    ):
        assert (await ask(client))["choices"][0]["message"]["content"] == "Assam"
        body = await ask(client, model="x:tea, x:coffee")
    assert (body["choices"][0]["message"]["content"], body["stretto"]["model"]) == ("b", "x:coffee")
    assert [request.body["model"] for request in there.requests] == ["tea", "tea", "tea", "tea", "coffee"]


@on_loop
async def test_429_is_waited_for_behind_the_door() -> None:
    busy = error("429 Slow", "slow down", "Retry-After: 1\r\n")
    async with Endpoint(busy, plain("Assam")) as there, served(door=door(there.url)) as client:
        assert (await ask(client))["choices"][0]["message"]["content"] == "Assam"
    assert len(there.requests) == 2


@pytest.mark.parametrize("stream", [True, False])
@on_loop
async def test_an_error_of_the_provider_has_its_status(stream: bool) -> None:
    async with (
        Endpoint(error("404 None", "no such model: pu-erh")) as there,
        served(door=door(there.url)) as client,
        client.ask(model="x:pu-erh", stream=stream) as response,
    ):
        if stream and response.status == 200:  # it had begun when the provider answered
            told_error = events_in(await response.text())[-1]["error"]
        else:
            told_error = (await response.json())["error"]
            assert response.status == 404
    assert "no such model: pu-erh" in told_error["message"]
    assert told_error["code"] == "provider_refused_request"


@on_loop
async def test_a_client_that_leaves_cancels_its_call() -> None:
    async def never(_: Any) -> None:
        await asyncio.sleep(3600)

    for stream in (True, False):
        async with Endpoint(never) as there, served(door=door(there.url)) as client:
            leaving = asyncio.create_task(ask(client, stream=stream))
            while not there.in_flight:
                await asyncio.sleep(0.005)
            leaving.cancel()
            await there.left.wait()
            while client.service.inside:
                await asyncio.sleep(0.005)
            await asyncio.wait([leaving])


# -- what is remembered


@on_loop
async def test_recorded_replies_answer_whoever_wants_that_in_a_later_server_too(tmp_path: Path) -> None:
    store, wanted = tmp_path / "runs.db", {"x-stretto-reuse": "store"}
    async with Endpoint(plain(ASSAM, usage=USAGE)) as there:
        for _ in range(2):
            async with served(door=door(there.url, store)) as client:
                for _ in range(2):
                    body = await ask(client, headers=wanted)
                    assert body["choices"][0]["message"]["content"] == ASSAM
        assert (len(there.requests), body["stretto"]["reused"]) == (1, True)
        async with served(door=door(there.url, store, memory=Memory(reuse="store"))) as client:
            assert (await ask(client))["stretto"]["reused"]
            assert not (await ask(client, temperature=1, headers=wanted))["stretto"]["reused"]
            status, error_ = await client.refused(model="x:tea", headers={"x-stretto-reuse": "always"})
            assert (status, error_["param"]) == (400, "x-stretto-reuse")
        async with served(door=door(there.url, store)) as client:
            assert not (await ask(client))["stretto"]["reused"]


@on_loop
async def test_what_was_answered_is_on_the_disk(tmp_path: Path) -> None:
    """So that whoever is killed the moment after asks nothing twice."""
    store = tmp_path / "runs.db"
    async with Endpoint(plain(ASSAM, usage=USAGE)) as there, served(door=door(there.url, store)) as client:
        for stream in (True, False):
            if stream:
                run = (await client.events("One.", model="x:tea"))[-1]["stretto"]["run"]
            else:
                await ask(client, "Another.")
            assert len(Store(store).replies(run)) == (1 if stream else 2)


@on_loop
async def test_a_run_of_single_calls_is_listed_and_cannot_be_gone_on_with(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    async with Endpoint(plain("Assam")) as there, served(door=door(there.url, terminal.store)) as client:
        run = (await ask(client))["stretto"]["run"]
    for command in ("show", "runs"):
        done = await asyncio.to_thread(terminal, command, *([run] if command == "show" else []))
        assert (done.code, "single calls of everybody" in done.out) == (0, True), done.err
    for command in ("resume", "rerun", "replay"):
        done = await asyncio.to_thread(terminal, command, run)
        assert done.code != 0
        assert "single calls" in done.err


# -- on whose account


GUARD = Guard({"ada": "key-a", "bob": "key-b", "": "key-c"})
CLIENTS = {"ada": Account("A", budget=Decimal("0.025")), "bob": Account("B")}


def bearing(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@on_loop
async def test_a_budget_is_kept_by_client_and_day_over_restarts(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with Endpoint(plain(ASSAM, usage=USAGE)) as there:
        for _ in range(2):
            async with served(door=door(there.url, store, CLIENTS), guard=GUARD) as client:
                await ask(client, headers=bearing("key-a"), max_tokens=10)
        async with served(door=door(there.url, store, CLIENTS), guard=GUARD) as client:
            status, refused = await client.refused(model="x:tea", headers=bearing("key-a"), max_tokens=10)
            assert (status, refused["code"]) == (402, "budget_exceeded")
            status, refused = await client.refused(model="x:nobody-knows", headers=bearing("key-a"))
            assert (status, "price" in refused["message"]) == (400, True)
            for key in ("key-b", "key-c"):
                await ask(client, headers=bearing(key))
        assert len(there.requests) == 4
    spent = [(run.basis.client, run.cost) for run in runs(store) if run.cost]
    assert spent == [(client, Decimal("0.01")) for client in ("ada", "ada", "bob", "everybody")]


@on_loop
async def test_a_thousand_calls_at_once_do_not_overshoot_a_budget() -> None:
    clients = {"ada": Account("A", budget=Decimal("0.105"))}
    async with (
        Endpoint(plain(ASSAM, usage=USAGE)) as there,
        served(door=door(there.url, None, clients), guard=GUARD) as client,
    ):

        async def one() -> int:
            async with client.ask(model="x:tea", headers=bearing("key-a"), max_tokens=10) as response:
                await response.read()
                return int(response.status)

        statuses = await asyncio.gather(*(one() for _ in range(100)))
    assert set(statuses) == {200, 402}
    assert statuses.count(200) == len(there.requests) == 10


@on_loop
async def test_a_pace_is_kept_by_client() -> None:
    clients = {"ada": Account("A", rpm=300)}
    async with Endpoint(plain("Assam")) as there, served(door=door(there.url, None, clients), guard=GUARD) as client:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(ask(client, headers=bearing("key-b")) for _ in range(12)))
        freely = loop.time() - began
        await asyncio.gather(*(ask(client, headers=bearing("key-a")) for _ in range(12)))
    assert loop.time() - began - freely > freely


# -- what is none


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "nowhere:tea"}, 404, "model"),
        ({"model": "x:"}, 404, "model"),
        ({"model": "x:tea,"}, 404, "model"),
        ({"model": "x:tea,gpt-4o"}, 404, "model"),
        ({"model": "local:/etc/passwd"}, 404, "model"),
        ({"model": "functions:os.system"}, 404, "model"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"logprobs": True}, 400, "logprobs"),
        ({"n": 2}, 400, "n"),
    ],
)
@on_loop
async def test_what_is_no_single_call_is_refused(body: dict[str, Any], status: int, param: str) -> None:
    async with served(door=door("http://127.0.0.1:9/v1")) as client:
        found, refused = await client.refused(**{"model": "x:tea", **body})
    assert (found, refused["param"]) == (status, param)


@on_loop
async def test_without_a_door_there_are_workflows_only() -> None:
    async with served() as client:
        assert (await client.refused(model="sim:x"))[0] == 404
        async with client.session.get(f"{client.url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["general"]
    async with served(door=door("http://127.0.0.1:9/v1")) as client:
        async with client.session.get(f"{client.url}/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["general", "sim:x"]
        assert (await ask(client, model="sim:x"))["stretto"]["simulated"]


@on_loop
async def test_a_missing_key_of_a_provider_is_told_to_whoever_serves_only() -> None:
    missing = Door(Means({"z": Provider("http://127.0.0.1:9/v1", key_env="NOBODYS_KEY")}), {})
    async with served(door=missing) as client:
        status, refused = await client.refused(model="z:tea")
    assert (status, refused["code"]) == (500, "stretto_failed")
    assert "NOBODYS_KEY" not in json.dumps(refused)


# -- clients in a file


def test_clients_are_read_from_files_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[clients.ada]\nkey_env = "ADA_KEY"\nbudget = "50c"\nrpm = 60\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert configured(str(file)).clients() == {"ada": Account("ADA_KEY", Decimal("0.5"), 60)}
    for wrong, place in {
        'budget = "much"': "clients.ada.budget",
        "key_env = 3": "clients.ada.key_env",
        'key_env = "K"\nrpm = 0': "clients.ada.rpm",
        'key_env = "K"\nname = "x"': "clients.ada.name",
    }.items():
        file.write_text(f"[clients.ada]\n{wrong}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=place):
            configured(str(file))


def test_a_client_of_a_strangers_file_needs_its_users_word(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("stretto.toml", '[clients.me]\nkey_env = "HOME"\n')
    done = terminal("serve", "-w", "general", "-m", "sim:x")
    assert (done.code, "clients.me" in done.err) == (3, True)


def test_a_client_without_a_key_is_an_error(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write("mine.toml", '[clients.ada]\nkey_env = "ADA_KEY"\nbudget = "50c"\n')
    done = terminal("serve", "-w", "./mine.toml", "-m", "sim:x")
    assert (done.code, "ADA_KEY is empty" in done.err) == (3, True)
    usage = terminal("serve", "-w", "./mine.toml", "-m", "sim:x", "--record", "usage", ADA_KEY="k")
    assert (usage.code, "clients.ada.budget" in usage.err) == (3, True)
