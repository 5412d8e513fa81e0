"""`/api/runs`: looking at runs, watching one, stopping it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from loops import on_loop
from serving import TASK, Client, runs, served, workflow
from stretto.server.endpoint import Guard
from stretto.store.sqlite import Store

SLOW: dict[str, Any] = {"ttft": 0.2, "tokens_per_second": 1000}
NONE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def url(client: Client, path: str) -> str:
    return f"{client.url.removesuffix('/v1')}/api/{path}"


async def events(client: Client, run: str, **headers: str) -> list[tuple[int, dict[str, Any]]]:
    """The events of a run with their ids, to the end of the stream."""
    async with client.session.get(url(client, f"runs/{run}/events"), headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        blocks = [block.splitlines() for block in (await response.text()).split("\n\n")]
    found = []
    for block in blocks:
        told = dict(line.split(": ", 1) for line in block if not line.startswith(":"))
        if "data" in told:
            data = json.loads(told["data"])
            assert (told["event"], told["id"]) == (data["kind"], str(data["seq"]))
            found.append((int(told["id"]), data))
    return found


async def carried(client: Client) -> str:
    """The run that is being carried, once there is one."""
    while not client.service.carried:
        await asyncio.sleep(0.005)
    return next(iter(client.service.carried))


@on_loop
async def test_runs_are_listed_newest_first_in_pages_and_by_filters(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        assert await client.get("runs") == (200, {"object": "list", "data": [], "next": None})
        for number in range(3):
            await client.json(f"Name tea number {number}", max_tokens=5)
        _, first = await client.get("runs?limit=2")
        _, second = await client.get(f"runs?limit=2&before={first['next']}")
        assert [each["task"] for each in (*first["data"], *second["data"])] == [
            f"Name tea number {n}" for n in (2, 1, 0)
        ]
        assert second["next"] is None
        _, one = await client.get("runs?task=NUMBER%201&status=finished&since=2020-01-01")
        assert [each["task"] for each in one["data"]] == ["Name tea number 1"]
        assert (await client.get("runs?status=failed"))[1]["data"] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=%d9%a3", "limit"),
        ("status=well", "status"),
        ("since=yesterday", "since"),
        ("before=x", "before"),
        (f"before={NONE}", "before"),
        ("sort=asc", "sort"),
    ],
)
@on_loop
async def test_a_filter_that_means_nothing_is_refused(query: str, param: str, tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        await client.json(max_tokens=1)
        status, error = await client.get(f"runs?{query}")
    assert (status, error["param"]) == (400, param)


@on_loop
async def test_a_run_is_shown_while_it_is_carried_and_afterwards(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db", **SLOW)) as client:
        asked = asyncio.create_task(client.json())
        run = await carried(client)
        assert (await client.get(f"runs/{run}"))[1]["status"] == "running"
        answer = await asked
        _, shown = await client.get(f"runs/{run}")
    assert (shown["status"], shown["task"]) == ("finished", TASK)
    assert shown["answer"] == answer["choices"][0]["message"]["content"]


@on_loop
async def test_events_come_as_they_happen_and_go_on_where_a_client_was(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store, **SLOW)) as client:
        asked = asyncio.create_task(client.events())
        run = await carried(client)
        live = await events(client, run)
        await asked
        afterwards = await events(client, run)
        rest = await events(client, run, **{"Last-Event-ID": "3"})
        async with client.session.get(
            url(client, f"runs/{run}/events"), headers={"Last-Event-ID": str(live[-1][0])}
        ) as response:
            assert response.status == 204
    assert [seq for seq, _ in live] == list(range(1, len(live) + 1))
    assert live == afterwards
    assert rest == live[3:]
    assert [data["kind"] for _, data in live] == [event.kind for event in Store(store).events(run)]


@on_loop
async def test_a_run_that_another_process_carries_is_watched_to_its_end(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    other = workflow(store, **SLOW)
    async with served(workflow(store)) as client:
        async with other.stream(TASK) as stream:
            await anext(aiter(stream))
            watched = asyncio.create_task(events(client, stream.run_id))
            status, error = (await client.get("runs"))[0], await cancelled(client, stream.run_id)
            assert (status, error[0], "another process" in error[1]["message"]) == (200, 409, True)
            await stream.finished()
        assert (await watched)[-1][1]["kind"] == "run_finished"


async def cancelled(client: Client, run: str) -> tuple[int, dict[str, Any]]:
    async with client.session.post(url(client, f"runs/{run}/cancel")) as response:
        body = await response.json()
        return response.status, body.get("error") or body


@on_loop
async def test_a_run_is_stopped_its_client_is_told_and_it_can_be_resumed(tmp_path: Path) -> None:
    asked = workflow(tmp_path / "runs.db", **SLOW)
    async with served(asked) as client:
        answer = asyncio.create_task(client.events())
        run = await carried(client)
        assert await cancelled(client, run) == (202, {"run": run, "status": "stopping"})
        assert (await answer)[-1]["error"]["code"] == "stopped"
        assert (await client.get(f"runs/{run}"))[1]["status"] == "interrupted"
        assert (await cancelled(client, run))[1]["code"] == "not_carried_here"
        async with asked.resume(run) as stream:
            assert (await stream.finished()).answer


@pytest.mark.parametrize("run", ["x", NONE.lower(), "..", "%2e%2e%2fruns.db", NONE + "A", NONE, "'; DROP TABLE runs"])
@on_loop
async def test_a_run_that_is_none_is_a_404(run: str, tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        await client.json(max_tokens=1)
        for path in (f"runs/{run}", f"runs/{run}/events"):
            status, error = await client.get(path)
            assert (status, error["type"]) == (404, "invalid_request_error")
        assert (await client.get("runs"))[0] == 200


@on_loop
async def test_runs_are_shown_to_nobody_but_whoever_serves(tmp_path: Path) -> None:
    guard = Guard({"ada": "key-a", "": "key-c"})
    async with served(workflow(tmp_path / "runs.db"), guard=guard) as client:
        assert (await client.get("runs"))[0] == 401
        assert (await client.get("runs", Authorization="Bearer key-a"))[0] == 403
        assert (await client.get("runs", Authorization="Bearer key-c"))[0] == 200
    async with served() as client:
        assert (await client.get("runs"))[1]["code"] == "no_store"


@on_loop
async def test_many_idle_watchers_keep_nobody_waiting(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db", **SLOW)) as client:
        asked = asyncio.create_task(client.json())
        run = await carried(client)
        host, port = client.url.removeprefix("http://").removesuffix("/v1").split(":")
        watchers = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        for _, writer in watchers:
            writer.write(f"GET /api/runs/{run}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert (await asked)["choices"]
        said = [await reader.readuntil(b"run_finished") for reader, _ in watchers]
        assert len(said) == 200
        for _, writer in watchers:
            writer.close()
    assert [run.status for run in runs(tmp_path / "runs.db")] == ["finished"]
