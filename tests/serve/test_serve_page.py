"""The page of `stretto serve`: its files, who gets them, and what it is told of runs."""

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import TASK, Client, runs, served, workflow
from stretto import Simulator, Workflow
from stretto.page.site import HEADERS, SERVED, assets, shell
from stretto.server.endpoint import Guard

SLOW: dict[str, Any] = {"ttft": 0.2, "tokens_per_second": 1000}
NONE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def got(client: Client, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    """What is at an address of the server: the status, the body, the headers."""
    async with client.session.get(client.url.removesuffix("/v1") + path, headers=headers) as response:
        return response.status, await response.text(), {name.lower(): value for name, value in response.headers.items()}


def pieces_in(body: str) -> list[dict[str, Any]]:
    """What a page was told of a run."""
    return [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]


def put_together(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """What a page knows after these, as `model.js` puts it together."""
    known: dict[str, Any] = {"rows": {}, "writing": ""}
    for piece in pieces:
        rows = {row["key"]: row for row in piece["rows"]}
        anew, text = piece.get("writing", (False, ""))
        known = {
            **({} if "id" in piece else known),
            **piece,
            "rows": rows if piece.get("whole") else {**known["rows"], **rows},
            "writing": text if anew else known["writing"] + text,
        }
    return known


@on_loop
async def test_the_page_is_there_with_all_that_it_loads_and_loads_nothing_else() -> None:
    async with served() as client:
        for path in ("/", f"/runs/{NONE}"):
            status, body, headers = await got(client, path)
            assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert {name: headers[name] for name in HEADERS} == HEADERS
            assert headers["x-content-type-options"] == "nosniff"
        loaded = re.findall(r'(?:src|href)="([^"]*)"', body)
        assert len(loaded) > 10
        for path in loaded:
            if path != "data:,":
                status, body, headers = await got(client, path)
                assert status == 200, path
                assert headers["content-type"].startswith(("text/javascript", "text/css"))
                for other in re.findall(r'from "\./([^"]*)"', body):
                    assert f"/page/{other}" in loaded
        for path in ("/page/page.py", "/page/../page/content.py", "/page/%2e%2e%2fpage.css", "/page/", "/runs/"):
            assert (await got(client, path))[0] == 404, path


def test_all_of_it_weighs_little_and_names_no_other_host() -> None:
    bodies = {name: body for name, (_, body) in assets().items()}
    assert {name.removesuffix(".js") for name in bodies if name.endswith(".js")} == set(SERVED)
    assert sum(len(gzip.compress(body)) for body in (shell(), *bodies.values())) < 60_000
    for name, body in bodies.items():
        named = set(re.findall(r"\bhttps?://[^\s\"'`)]+", body.decode()))
        assert named <= {"http://www.w3.org/2000/svg"}, name


@on_loop
async def test_with_a_key_anybody_gets_the_page_and_whoever_has_the_key_the_runs(tmp_path: Path) -> None:
    flow = workflow(tmp_path / "runs.db")
    async with served(flow, guard=Guard({"": "secret", "ada": "hers"})) as client:
        await client.json(max_tokens=1, headers={"authorization": "Bearer secret"})
        run = runs(tmp_path / "runs.db")[0].id
        assert (await got(client, "/"))[0] == 200
        for path in (f"/page/runs/{run}", f"/page/runs/{run}/said?row=t1", "/api/runs"):
            assert (await got(client, path))[0] == 401
            assert (await got(client, path, authorization="Bearer hers"))[0] == 403
            assert (await got(client, path, authorization="Bearer secret"))[0] == 200


@on_loop
async def test_no_page_of_another_site_and_no_name_of_another_host_gets_it() -> None:
    async with served() as client:
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            for path in ("/", "/page/app.js", f"/page/runs/{NONE}"):
                assert (await got(client, path, **headers))[0] == 403


@on_loop
async def test_a_run_is_told_piece_by_piece_and_at_its_end_it_is_the_same_as_afterwards(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db", **SLOW)) as client:
        asked = asyncio.create_task(client.json())
        while not client.service.carried:
            await asyncio.sleep(0.005)
        run = next(iter(client.service.carried))
        _, body, headers = await got(client, f"/page/runs/{run}")
        answer = await asked
        _, again, _ = await got(client, f"/page/runs/{run}")
    assert headers["content-type"] == "text/event-stream"
    live, after = pieces_in(body), pieces_in(again)
    assert live[0]["whole"]
    assert len(after) == 1
    first, second = put_together(live), put_together(after)
    assert first["writing"] == answer["choices"][0]["message"]["content"]
    late = {"writing", "heard", "foretold"}
    assert {k: v for k, v in first.items() if k not in late} == {k: v for k, v in second.items() if k not in late}
    assert first["status"] == "finished"
    assert set(first["rows"]) == {"/orchestrator", "t1", "t2", "t3", "/synthesizer"}


@on_loop
async def test_what_was_said_in_a_row_and_what_an_input_says_is_told_to_who_looks_at_it(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Earlier."}, {"role": "user", "content": TASK}]
    async with served(workflow(tmp_path / "runs.db")) as client:
        await client.json(messages=messages)
        run = runs(tmp_path / "runs.db")[0]
        _, body, _ = await got(client, f"/page/runs/{run.id}/said?row=t2")
        _, plan, _ = await got(client, f"/page/runs/{run.id}/said?row=%2Forchestrator")
        _, text, _ = await got(client, f"/page/runs/{run.id}/said?input=i1")
        assert json.loads((await got(client, f"/page/runs/{run.id}/said?row=t9"))[1]) == {}
        assert (await got(client, f"/page/runs/{run.id}/said"))[0] == 400
        for path in (f"/page/runs/{NONE}", f"/page/runs/{NONE}/said?row=t1", "/page/runs/x"):
            assert (await got(client, path))[0] == 404
    said = json.loads(body)
    [call] = said["calls"].values()
    assert said["result"] == call["reply"] == run.results["t2"].text
    assert [role for role, _ in call["messages"]] == ["system", "user"]
    assert '"t2"' in next(iter(json.loads(plan)["calls"].values()))["reply"]
    assert "Earlier." in json.loads(text)["text"]


@on_loop
async def test_a_reply_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db", ttft=0.0, tokens_per_second=1)) as client:
        asked = asyncio.create_task(client.json())
        while not client.service.carried:
            await asyncio.sleep(0.005)
        run = next(iter(client.service.carried))
        said: dict[str, Any] = {}
        while not said:
            found = json.loads((await got(client, f"/page/runs/{run}/said?row=%2Forchestrator"))[1])
            said = {id_: call for id_, call in found.get("calls", {}).items() if {"reply", "messages"} <= call.keys()}
        [call] = said.values()
        client.service.carried[run].stream.stop()
        with pytest.raises(AssertionError, match="stopped"):
            await asked
    assert [role for role, _ in call["messages"]] == ["system", "user"]


@on_loop
async def test_when_a_run_will_be_done_is_foretold_to_who_watches_it(tmp_path: Path) -> None:
    flow = workflow(tmp_path / "runs.db", ttft=0.0, tokens_per_second=0.001)
    plan = {"tasks": [{"type": "general", "description": "Boil it"}]}
    found: list[dict[str, Any]] = []
    async with served(flow) as client:
        api = client.url.removesuffix("v1")
        body = {"workflow": "general", "task": TASK, "plan": plan}
        async with client.session.post(f"{api}api/runs", json=body) as response:
            run = (await response.json())["run"]
        async with client.session.get(f"{api}page/runs/{run}") as stream:
            while not found:
                line = await stream.content.readline()
                assert line, "the stream has ended"
                found = [piece for piece in pieces_in(line.decode()) if "foretold" in piece]
        client.service.carried[run].stream.stop()
        while client.service.carried:
            await asyncio.sleep(0.005)
    told = found[0]["foretold"]
    assert 0 <= told["at"] <= told["soon"] <= told["late"]
    assert (told["known"], told["subtasks"]) == (0, 1)


@pytest.mark.slow
@on_loop
async def test_a_large_run_is_told_to_who_comes_while_replies_are_written(tmp_path: Path) -> None:
    plan = {"tasks": [{"type": "general", "description": f"Name tea number {number}"} for number in range(300)]}
    slow, store, limits = Simulator(ttft=0.0, tokens_per_second=0.001), tmp_path / "runs.db", {"max_subtasks": 300}
    flow = Workflow.from_toml("general", model="sim:x", providers={"sim": slow}, store=store, limits=limits)
    async with served(flow) as client:
        api, body = client.url.removesuffix("v1"), {"workflow": "general", "task": TASK, "plan": plan}
        async with client.session.post(f"{api}api/runs", json=body) as response:
            run = (await response.json())["run"]
        carried = client.service.carried[run]
        calls = [f"c{number}" for number in range(1, 20)]
        planned = 0
        while planned < 300 or not any(map(carried.stream.replying, calls)):
            planned = sum(event.kind == "subtask_planned" for event in carried.events)
            await asyncio.sleep(0.005)
        async with client.session.get(f"{api}page/runs/{run}") as stream:
            line = b": "  # on a busy machine somebody may say first that it is still there
            while not (pieces := pieces_in(line.decode())):
                line = await stream.content.readline()
            [piece] = pieces
        carried.stream.stop()
        while client.service.carried:
            await asyncio.sleep(0.005)
    assert piece["whole"]
    assert len(piece["rows"]) >= 300
