"""Steering over HTTP: one subtask is stopped or asked anew, and what was said holds after a kill."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from loops import on_loop
from serving import ALPHA, SILENT, TASK, Client, served, server, silent
from stretto import Role, Simulator, Workflow
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store
from terminal import Terminal


class Steered:
    """A run at a server somewhere."""

    def __init__(self, session: aiohttp.ClientSession, base: str, run: str = "") -> None:
        self._session = session
        self._base = f"{base.removesuffix('/v1')}/api/runs"
        self.run = run

    async def post(self, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self._session.post(f"{self._base}{path}", data=data) as response:
            told = await response.json()
            return response.status, told.get("error") or told

    async def start(self) -> None:
        status, told = await self.post("", {"workflow": "general", "task": "Greek letters", "plan": ALPHA})
        assert status == 201
        self.run = told["run"]

    async def steer(self, subtask: str, way: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        return await self.post(f"/{self.run}/subtasks/{subtask}/{way}", body)

    async def finished(self, subtask: str, times: int = 1, after: int = 0) -> int:
        """Wait until a subtask is over so many times; the number of the event that says so."""
        async with self._session.get(f"{self._base}/{self.run}/events", params={"after": after}) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    event = json.loads(line.removeprefix(b"data: "))
                    times -= event["kind"] == "subtask_finished" and event["subtask"] == subtask
                    if not times:
                        return int(event["seq"])
        raise AssertionError("the run is over")

    async def ended(self) -> dict[str, Any]:
        async with self._session.get(f"{self._base}/{self.run}/events") as response:
            await response.read()
        async with self._session.get(f"{self._base}/{self.run}") as response:
            return dict(await response.json())


async def half_said(client: Client, run: str) -> None:
    stream = client.service.carried[run].stream
    while not any(stream.heard(call.id) for call in stream.run.calls if call.subtask == "t1"):
        await asyncio.sleep(0.005)


@on_loop
async def test_a_subtask_is_stopped_and_what_it_has_said_is_kept(tmp_path: Path) -> None:
    async with served(silent(tmp_path / "runs.db")) as client:
        run = Steered(client.session, client.url)
        await run.start()
        await half_said(client, run.run)
        await run.finished("t3")
        assert await run.steer("t1", "stop") == (202, {"run": run.run, "subtask": "t1"})
        shown = await run.ended()
        assert (await run.steer("t1", "stop"))[1]["code"] == "not_carried_here"
    result = shown["results"]["t1"]
    assert (shown["status"], result["outcome"], result["code"]) == ("finished", "cut", "stopped")
    assert result["text"]
    assert [each["subtask"] for each in shown["coverage"]["missing"]] == ["t1"]


@on_loop
async def test_a_subtask_is_asked_anew_with_a_remark_and_whoever_needs_it_too(tmp_path: Path) -> None:
    async with served(silent(tmp_path / "runs.db")) as client:
        run = Steered(client.session, client.url)
        await run.start()
        seen = await run.finished("t3")
        assert (await run.steer("t2", "again", {"remark": "In one word."}))[0] == 202
        await run.finished("t3", after=seen)
        await run.steer("t1", "stop")
        shown = await run.ended()
    assert shown["basis"]["remarks"] == {"t2": "In one word."}
    asked = [call["subtask"] for call in shown["calls"] if call["role"] == "worker"]
    assert [asked.count(subtask) for subtask in ("t1", "t2", "t3")] == [1, 2, 2]
    records = Store(tmp_path / "runs.db").records(run.run).values()
    prompts = [each.request.messages[-1].content for each in records if each.request]
    assert sum("In one word." in prompt for prompt in prompts) == 1


@pytest.mark.parametrize(
    ("subtask", "way", "body", "status", "code"),
    [
        ("t9", "stop", None, 404, "subtask_not_found"),
        ("t1%2Ft1", "stop", None, 404, "subtask_not_found"),
        ("%ff", "stop", None, 404, "subtask_not_found"),
        ("t9", "again", None, 404, "subtask_not_found"),
        ("t2", "stop", None, 409, "not_steered"),
        ("t1", "again", b"{", 400, "invalid_request"),
        ("t1", "again", {"remark": 3}, 400, "invalid_request"),
        ("t1", "again", {"why": "x"}, 400, "invalid_request"),
        ("t1", "pause", None, 404, "not_found"),
    ],
)
@on_loop
async def test_what_cannot_be_steered_is_refused(
    subtask: str, way: str, body: Any, status: int, code: str, tmp_path: Path
) -> None:
    async with served(silent(tmp_path / "runs.db")) as client:
        run = Steered(client.session, client.url)
        await run.start()
        await run.finished("t3")
        told, error = await run.steer(subtask, way, body)
        assert (told, error["code"], bool(error["message"])) == (status, code, True)
        other = Steered(client.session, client.url, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert (await other.steer("t1", "stop"))[1]["code"] == "run_not_found"


@on_loop
async def test_a_run_that_a_chat_waits_for_is_steered_too(tmp_path: Path) -> None:
    simulator = Simulator(ttft=0.0, tokens_per_second=1e6, faults=(parse_fault(SILENT),))
    asked = Workflow(
        None,
        {"a": Role("sim:x", "Alpha does all of {original_task}: {task_description}"), "b": Role("sim:x")},
        Role("sim:x"),
        providers={"sim": simulator},
        store=tmp_path / "runs.db",
        limits={"timeout": "1h"},
    )
    async with served(asked) as client:
        answer = asyncio.create_task(client.json(TASK))
        while not client.service.carried:
            await asyncio.sleep(0.005)
        run = Steered(client.session, client.url, next(iter(client.service.carried)))
        await run.finished("t2")
        assert (await run.steer("t1", "stop"))[0] == 202
        told = await answer
    assert told["choices"][0]["message"]["content"]
    assert [each["subtask"] for each in told["stretto"]["missing"]] == ["t1"]


@pytest.mark.parametrize("way", ["stop", "again"])
@on_loop
async def test_after_a_kill_the_run_does_what_it_was_told(way: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.write(
        "stretto.toml",
        f'[providers.sim]\nttft = 0\ntokens_per_second = 1e6\nfaults = ["{SILENT}"]\n[limits]\ntimeout = "1h"\n',
    )
    async with aiohttp.ClientSession() as session:
        with server(terminal) as (child, base):
            run = Steered(session, base)
            await run.start()
            seen = await run.finished("t3")
            if way == "stop":
                assert (await run.steer("t1", "stop"))[0] == 202
                await run.finished("t1", after=seen)
            else:
                assert (await run.steer("t2", "again", {"remark": "In one word."}))[0] == 202
                await run.finished("t3", after=seen)
            child.kill()
            child.wait()
        before = Store(terminal.store).run(run.run)
        known = len(Store(terminal.store).events(run.run))
        with server(terminal) as (_, base):
            later = Steered(session, base, run.run)
            assert (await later.post(f"/{run.run}/resume"))[0] == 202
            if way == "again":
                await later.finished("t3", after=known)
                assert (await later.steer("t1", "stop"))[0] == 202
            shown = await later.ended()
    assert shown["status"] == "finished"
    assert shown["results"]["t1"]["outcome"] == "cut"
    assert before.results["t2"].text == shown["results"]["t2"]["text"]
    if way == "stop":
        assert before.stopped == shown["stopped"]
    else:
        assert shown["basis"]["remarks"] == {"t2": "In one word."}
