"""`POST /api/runs`, `…/resume`, `…/rerun`: runs that the server carries by itself."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import ALPHA, TASK, Client, runs, served, silent, workflow
from stretto import Workflow
from stretto.server.endpoint import Guard
from stretto.store.sqlite import Store
from stretto.types import Subtask

NONE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
PLAN = {"tasks": [{"type": "general", "description": "Tea"}, {"type": "general", "description": "Coffee"}]}


async def posted(
    client: Client, path: str, body: Any = None, key: str | None = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """What is said to a POST under /api: the status, and the body or what its error says."""
    url = f"{client.url.removesuffix('/v1')}/api/{path}"
    headers |= {} if key is None else {"Idempotency-Key": key}
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    async with client.session.post(url, data=data, headers=headers) as response:
        told = await response.json()
        if response.status == 201:
            assert response.headers["location"] == f"/api/runs/{told['run']}"
        return response.status, told.get("error") or told


async def started(client: Client, **body: Any) -> str:
    status, told = await posted(client, "runs", {"workflow": "general", "task": TASK, **body})
    assert (status, told["status"]) == (201, "running")
    return str(told["run"])


async def stopped(client: Client, run: str, subtask: str = "t1") -> None:
    """Stop a subtask as soon as somebody is asked for it."""
    while (await posted(client, f"runs/{run}/subtasks/{subtask}/stop"))[0] != 202:
        await asyncio.sleep(0.005)


async def ended(client: Client, run: str) -> dict[str, Any]:
    """The run, once it is carried no more."""
    url = f"{client.url.removesuffix('/v1')}/api/runs/{run}/events"
    async with client.session.get(url) as response:
        await response.read()
    while run in client.service.carried:
        await asyncio.sleep(0.005)
    status, shown = await client.get(f"runs/{run}")
    assert status == 200
    return shown


@on_loop
async def test_a_run_is_started_and_goes_on_without_whoever_asked_for_it(tmp_path: Path) -> None:
    async with served(silent(tmp_path / "runs.db")) as client:
        run = await started(client, plan=ALPHA)
        assert (await client.get(f"runs/{run}"))[1]["status"] == "running"
        await stopped(client, run)
        shown = await ended(client, run)
    assert (shown["status"], shown["task"]) == ("finished", TASK)
    assert [each.id for each in runs(tmp_path / "runs.db")] == [run]


@on_loop
async def test_a_run_is_started_with_a_plan_inputs_or_none_of_both(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        given = await ended(client, await started(client, plan=PLAN))
        read = await ended(client, await started(client, inputs=[{"name": "notes", "text": "Tea is green"}]))
        direct = await ended(client, await started(client, direct=True))
    assert [each["description"] for each in given["plan"]["subtasks"]] == ["Tea", "Coffee"]
    assert read["basis"]["inputs"] == [{"name": "notes", "text": "Tea is green"}]
    assert len(direct["calls"]) == 1


@on_loop
async def test_the_same_key_begins_no_second_run_and_another_request_is_refused_it(tmp_path: Path) -> None:
    body = {"workflow": "general", "task": TASK, "plan": ALPHA}
    async with served(silent(tmp_path / "runs.db")) as client:
        both = await asyncio.gather(*(posted(client, "runs", body, "k1") for _ in range(2)))
        assert sorted(status for status, _ in both) == [200, 201]
        run = both[0][1]["run"]
        assert {(told["run"], told["status"]) for _, told in both} == {(run, "running")}
        assert (await posted(client, "runs", {**body, "task": "Another"}, "k1"))[1]["code"] == "idempotency_key_reused"
        await stopped(client, run)
        await ended(client, run)
        again = await posted(client, "runs", dict(reversed(body.items())), "k1")
        assert again == (200, {"run": run, "status": "finished"})
    async with served(silent(tmp_path / "runs.db")) as client:  # a server that was started later
        assert (await posted(client, "runs", body, "k1"))[1]["run"] == run
        assert (await posted(client, "runs", body, "k2"))[0] == 201
        assert (await posted(client, "runs", body, "k" * 256))[1]["param"] == "Idempotency-Key"


@on_loop
async def test_of_many_that_come_at_once_with_the_same_key_one_begins_a_run(tmp_path: Path) -> None:
    body = {"workflow": "general", "task": TASK, "plan": ALPHA}
    async with served(silent(tmp_path / "runs.db")) as client:
        for key in ("k1", "k2", "k3", "k4"):
            all_of_them = await asyncio.gather(*(posted(client, "runs", body, key) for _ in range(24)))
            assert sorted(status for status, _ in all_of_them) == [*[200] * 23, 201]
            assert len({told["run"] for _, told in all_of_them}) == 1


@on_loop
async def test_a_key_whose_run_was_never_begun_begins_one(tmp_path: Path) -> None:
    store, body = tmp_path / "runs.db", {"workflow": "general", "task": TASK}
    async with served(workflow(store)) as client:
        await ended(client, await started(client))
        with closing(sqlite3.connect(store, isolation_level=None)) as db:
            db.execute("INSERT INTO idempotency VALUES ('k1', 'what its server was killed over', ?)", (NONE,))
        status, told = await posted(client, "runs", body, "k1")
        assert status == 201
        assert (await ended(client, told["run"]))["status"] == "finished"


@on_loop
async def test_a_run_is_resumed_and_watched_from_its_first_event_on(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(silent(store)) as client:
        run = await started(client, plan=ALPHA)
        while not any(event.kind == "subtask_finished" for event in client.service.carried[run].events):
            await asyncio.sleep(0.005)
        assert (await posted(client, f"runs/{run}/resume"))[1]["code"] == "run_busy"
        assert (await posted(client, f"runs/{run}/cancel"))[0] == 202
        assert (await ended(client, run))["status"] == "interrupted"
        before = len(Store(store).events(run))
        assert await posted(client, f"runs/{run}/resume") == (202, {"run": run, "status": "running"})
        await stopped(client, run)
        shown = await ended(client, run)
        watched = await client.session.get(f"{client.url.removesuffix('/v1')}/api/runs/{run}/events")
        kinds = [line for line in (await watched.text()).splitlines() if line.startswith("event: ")]
    assert (shown["status"], shown["executions"]) == ("finished", 2)
    assert len(kinds) == len(Store(store).events(run)) > before
    assert shown["saved"]["output_tokens"] > 0


@on_loop
async def test_whoever_sees_the_end_of_a_run_can_go_on_with_it_at_once(tmp_path: Path) -> None:
    async with served(silent(tmp_path / "runs.db")) as client:
        run = await started(client, plan=ALPHA)
        for _ in range(5):
            carried = client.service.carried[run]
            assert (await posted(client, f"runs/{run}/cancel"))[0] == 202
            while not carried.ended:
                await carried.news()
            assert (await posted(client, f"runs/{run}/resume"))[0] == 202


@on_loop
async def test_a_run_of_another_workflow_goes_on_as_it_records_itself(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    other = Workflow.from_toml("solve", model="sim:other", store=store)
    async with other.stream("Print ten leap years") as stream:
        async for event in stream:
            if event.kind == "subtask_planned":
                break
    async with served(workflow(store)) as client:
        assert (await posted(client, f"runs/{stream.run_id}/resume"))[0] == 202
        shown = await ended(client, stream.run_id)
        assert (shown["status"], shown["plan"]["subtasks"][0]["type"]) == ("finished", "plan")
        status, told = await posted(client, f"runs/{stream.run_id}/rerun", {"workflow": "general"})
        assert status == 201
        assert (await ended(client, told["run"]))["workflow"]["definition"]["workers"].keys() == {"general"}


@on_loop
async def test_a_rerun_is_a_new_run_that_asks_only_what_has_changed(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        run = await started(client)
        before = await ended(client, run)
        status, same = await posted(client, f"runs/{run}/rerun", key="again")
        assert (status, same["run"] != run) == (201, True)
        assert (await ended(client, same["run"]))["usage"]["output_tokens"] == 0
        assert (await posted(client, f"runs/{run}/rerun", key="again"))[1]["run"] == same["run"]
        _, fresh = await posted(client, f"runs/{run}/rerun", {"fresh": ["t1"]})
        asked = [call for call in (await ended(client, fresh["run"]))["calls"] if not call["finished"]["reused"]]
        assert "t1" in {call["subtask"] for call in asked}
        _, only = await posted(client, f"runs/{run}/rerun", {"only": ["t2"]})
        again = await ended(client, only["run"])
        assert again["results"]["t1"] == before["results"]["t1"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"\xff", 400, None),
        (b"[" * 9999, 400, None),
        ({"workflow": "general"}, 400, None),
        ({"task": TASK}, 400, None),
        ({"workflow": "general", "task": " "}, 400, None),
        ({"workflow": "general", "task": 3}, 400, "task"),
        ({"workflow": "general", "task": TASK, "sort": 1}, 400, None),
        ({"workflow": "general", "task": TASK, "direct": "yes"}, 400, "direct"),
        ({"workflow": "general", "task": TASK, "direct": True, "plan": PLAN}, 400, None),
        ({"workflow": "general", "task": TASK, "plan": {"tasks": [{**PLAN["tasks"][0], "needs": ["t9"]}]}}, 400, None),
        ({"workflow": "general", "task": TASK, "plan": {"tasks": [{"type": "x"}]}}, 400, "plan.tasks[0]"),
        ({"workflow": "general", "task": TASK, "inputs": [{"name": "x"}]}, 400, "inputs[0]"),
        ({"workflow": "general", "task": TASK, "inputs": [{"name": "x", "text": " "}]}, 400, None),
        ({"workflow": "nobody", "task": TASK}, 404, "workflow"),
    ],
)
@on_loop
async def test_a_start_that_is_none_is_refused(body: Any, status: int, param: str | None, tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        told, error = await posted(client, "runs", body)
        assert (told, error["param"], bool(error["message"])) == (status, param, True)
        assert not client.service.carried
        assert client.service.runs.inside == 0


@on_loop
async def test_what_cannot_go_on_is_refused(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    other = silent(store)
    async with served(workflow(store)) as client:
        for way in ("resume", "rerun"):
            assert (await posted(client, f"runs/{NONE}/{way}"))[1]["code"] == "run_not_found"
            assert (await posted(client, f"runs/x/{way}"))[0] == 404
        async with other.stream(TASK, plan=ALPHA) as stream:
            await anext(aiter(stream))
            status, error = await posted(client, f"runs/{stream.run_id}/resume")
            assert (status, error["code"], "another process" in error["message"]) == (409, "run_busy", True)
        run = await started(client)
        await ended(client, run)
        assert (await posted(client, f"runs/{run}/resume", {"workflow": "nobody"}))[1]["param"] == "workflow"
        assert (await posted(client, f"runs/{run}/rerun", {"only": ["t77"]}))[0] == 400
        assert (await posted(client, f"runs/{run}/rerun", {"only": 3}))[1]["param"] == "only"


@on_loop
async def test_what_a_run_with_a_function_needs_is_said(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"

    def shout(subtask: Subtask) -> str:
        return subtask.description.upper()

    alone = Workflow(None, {"shout": shout}, store=store)
    run = await alone.run("Hello")
    async with served(workflow(store)) as client:
        status, error = await posted(client, f"runs/{run.id}/resume")
    assert (status, error["code"], "Python function" in error["message"]) == (409, "workflow_needed", True)
    async with served(alone) as client:
        assert (await posted(client, f"runs/{run.id}/resume"))[0] == 202
        assert (await ended(client, run.id))["answer"] == run.answer


@on_loop
async def test_started_runs_stand_in_the_same_queue_as_all_others(tmp_path: Path) -> None:
    body = {"workflow": "general", "task": TASK, "plan": ALPHA}
    async with served(silent(tmp_path / "runs.db"), most_runs=1, most_waiting=1) as client:
        first = await started(client, plan=ALPHA)
        second = asyncio.create_task(posted(client, "runs", body))
        while client.service.runs.waiting != 1:
            await asyncio.sleep(0.005)
        status, error = await posted(client, "runs", body)
        assert (status, error["code"]) == (429, "server_busy")
        assert (await posted(client, f"runs/{first}/cancel"))[0] == 202
        status, told = await second
        assert status == 201
        await stopped(client, told["run"])
        assert (await ended(client, told["run"]))["status"] == "finished"


@on_loop
async def test_a_server_that_ends_leaves_its_runs_to_be_resumed(tmp_path: Path) -> None:
    asked = silent(tmp_path / "runs.db")
    async with served(asked) as client:
        run = await started(client, plan=ALPHA)
    assert [each.status for each in runs(tmp_path / "runs.db")] == ["interrupted"]
    async with served(asked) as client:
        assert (await posted(client, f"runs/{run}/resume"))[0] == 202
        await stopped(client, run)
        assert (await ended(client, run))["answer"]


@on_loop
async def test_whoever_waits_for_a_place_when_the_server_ends_is_told(tmp_path: Path) -> None:
    body = {"workflow": "general", "task": TASK, "plan": ALPHA}
    async with served(silent(tmp_path / "runs.db"), most_runs=1) as client:
        await started(client, plan=ALPHA)
        waiting = asyncio.create_task(posted(client, "runs", body))
        while client.service.runs.waiting != 1:
            await asyncio.sleep(0.005)
        client.service.close()
        status, error = await waiting
        assert (status, error["code"]) == (503, "stopping")


@on_loop
async def test_nobody_but_whoever_serves_starts_a_run(tmp_path: Path) -> None:
    guard = Guard({"ada": "key-a", "": "key-c"})
    body = {"workflow": "general", "task": TASK}
    async with served(workflow(tmp_path / "runs.db"), guard=guard) as client:
        assert (await posted(client, "runs", body))[0] == 401
        assert (await posted(client, "runs", body, Authorization="Bearer key-a"))[0] == 403
        assert (await posted(client, "runs", body, Origin="https://elsewhere.example"))[0] == 403
    async with served() as client:
        assert (await posted(client, "runs", body))[1]["code"] == "no_store"
