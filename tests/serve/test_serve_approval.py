"""Approval over HTTP: a plan waits for an answer, and what is answered is carried out, after a kill too."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from loops import on_loop
from serving import TASK, Client, served, server, workflow
from stretto.server.endpoint.turnstile import STOPPING
from stretto.store.sqlite import Store
from terminal import Terminal

EDITED = {"tasks": [{"type": "general", "description": "Only tea"}]}


async def posted(session: aiohttp.ClientSession, url: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    data = None if body is None else json.dumps(body).encode()
    async with session.post(url, data=data) as response:
        told = await response.json()
        return response.status, told.get("error") or told


class Asked:
    """A run that was started with approval, at a server somewhere."""

    def __init__(self, session: aiohttp.ClientSession, base: str, run: str) -> None:
        self._session = session
        self._base = base
        self.run = run

    async def proposal(self) -> dict[str, Any]:
        """What waits for an answer, once it does."""
        while True:
            async with self._session.get(f"{self._base}/api/runs/{self.run}/proposal") as response:
                told: dict[str, Any] = await response.json()
                if response.status == 200:
                    return told
                assert (response.status, told["error"]["code"]) == (404, "no_proposal")
            await asyncio.sleep(0.01)

    async def post(self, way: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        return await posted(self._session, f"{self._base}/api/runs/{self.run}/{way}", body)

    async def answer(self, decision: str, **more: Any) -> tuple[int, dict[str, Any]]:
        return await self.post("answer", {"decision": decision, **more})

    async def ended(self) -> dict[str, Any]:
        """The run, once it is over."""
        async with self._session.get(f"{self._base}/api/runs/{self.run}/events") as response:
            await response.read()
        async with self._session.get(f"{self._base}/api/runs/{self.run}") as response:
            return dict(await response.json())


async def asked(session: aiohttp.ClientSession, base: str, **body: Any) -> Asked:
    status, told = await posted(session, f"{base}/api/runs", {"workflow": "general", "task": TASK, **body})
    assert status == 201
    return Asked(session, base, told["run"])


async def at(client: Client, **body: Any) -> Asked:
    return await asked(client.session, client.url.removesuffix("/v1"), approve=True, **body)


async def nobody_inside(client: Client) -> None:
    """Wait until every place is left, which is after its client was told all."""
    while client.service.runs.inside:
        await asyncio.sleep(0.005)


def kinds(store: Path, run: str) -> list[str]:
    return [event.kind for event in Store(store).events(run)]


@on_loop
async def test_a_plan_waits_with_its_forecast_and_nothing_of_it_is_begun(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        run = await at(client)
        proposal = await run.proposal()
        assert (await client.get(f"runs/{run.run}"))[1]["approval"] == "asked"
        while "plan_proposed" not in kinds(store, run.run):
            await asyncio.sleep(0.01)
        assert kinds(store, run.run)[-1] == "plan_proposed"
        assert await run.answer("go") == (202, {"run": run.run, "decision": "go"})
        shown = await run.ended()
    assert proposal["run_id"] == run.run
    assert [line["name"] for line in proposal["lines"]] == [each["id"] for each in proposal["plan"]["subtasks"]]
    assert proposal["total"]["tokens"]["p95"] > 0
    assert (shown["status"], shown["approval"]) == ("finished", "given")
    assert kinds(store, run.run).index("plan_approved") < kinds(store, run.run).index("subtask_started")


@pytest.mark.slow
@on_loop
async def test_whoever_waits_for_a_person_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db"), most_runs=1, most_waiting=0) as client:
        run = await at(client)
        await run.proposal()
        assert (await client.json())["choices"]
        await nobody_inside(client)
        other = await at(client)
        await other.proposal()
        with client.service.runs.place():
            status, error = await run.answer("go")
            assert (status, error["code"]) == (429, "server_busy")
        assert (await run.answer("go"))[0] == 202
        assert (await run.ended())["status"] == "finished"
        assert (await other.answer("stop"))[0] == 202
        assert (await other.ended())["code"] == "stopped"
        await nobody_inside(client)


@pytest.mark.slow
@on_loop
async def test_plans_are_edited_cut_and_asked_for_again_until_one_is_right(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        run = await at(client)
        first = await run.proposal()
        ids = [each["id"] for each in first["plan"]["subtasks"]]
        assert (await run.answer("again", remark="Take two"))[0] == 202
        while (await run.proposal()) == first:
            await asyncio.sleep(0.01)
        assert (await run.answer("drop", ids=ids[:1]))[0] == 202
        while kinds(store, run.run).count("plan_proposed") < 3:
            await asyncio.sleep(0.01)
        await run.proposal()
        assert (await run.answer("edit", plan=EDITED))[0] == 202
        while kinds(store, run.run).count("plan_proposed") < 4:
            await asyncio.sleep(0.01)
        assert [each["description"] for each in (await run.proposal())["plan"]["subtasks"]] == ["Only tea"]
        await run.answer("go")
        shown = await run.ended()
    assert [each["description"] for each in shown["plan"]["subtasks"]] == ["Only tea"]
    assert [each["remark"] for each in shown["withdrawn"]] == ["Take two"]


@on_loop
async def test_a_plan_that_is_edited_to_have_no_subtasks_is_one_call_once_that_is_approved(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        run = await at(client)
        first = await run.proposal()
        assert (await run.answer("edit", plan={"tasks": []}))[0] == 202
        while (await run.proposal()) == first:
            await asyncio.sleep(0.01)
        assert (await run.proposal())["plan"]["subtasks"] == []
        await run.answer("go")
        shown = await run.ended()
    assert (shown["status"], shown["plan"]["subtasks"]) == ("finished", [])
    assert shown["answer"]


NO_ANSWERS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"decision": "maybe"}, "decision"),
    ({"decision": "edit"}, "plan"),
    ({"decision": "edit", "plan": {"tasks": None}}, "plan.tasks"),
    ({"decision": "edit", "plan": {"tasks": [{**EDITED["tasks"][0], "needs": ["t9"]}]}}, None),
    ({"decision": "drop"}, None),
    ({"decision": "drop", "ids": ["t77"]}, None),
    ({"decision": "again"}, None),
    ({"decision": "again", "remark": " "}, None),
    ({"decision": "go", "more": 1}, None),
]


@on_loop
async def test_an_answer_that_is_none_leaves_the_plan_waiting(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        run = await at(client)
        waiting = await run.proposal()
        for body, param in NO_ANSWERS:
            status, error = await run.post("answer", body)
            assert (status, error["param"], bool(error["message"])) == (400, param, True), body
            assert await run.proposal() == waiting, body
        assert (await run.answer("stop"))[0] == 202
        await run.ended()


@on_loop
async def test_an_answer_that_nobody_waits_for_is_a_conflict(tmp_path: Path) -> None:
    async with served(workflow(tmp_path / "runs.db")) as client:
        run = await asked(client.session, client.url.removesuffix("/v1"))
        await run.ended()
        assert (await run.answer("go"))[1]["code"] == "nothing_waits"
        assert (await client.get(f"runs/{run.run}/proposal"))[1]["code"] == "no_proposal"
        nobody = Asked(client.session, client.url.removesuffix("/v1"), "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert (await nobody.answer("go"))[1]["code"] == "run_not_found"
        waiting = await at(client)
        await waiting.proposal()
        assert (await waiting.post("cancel"))[0] == 202
        assert (await waiting.ended())["status"] == "interrupted"
        assert (await waiting.answer("go"))[1]["code"] == "nothing_waits"


@pytest.mark.slow
@on_loop
async def test_a_run_that_was_stopped_at_its_plan_is_asked_about_again_when_it_is_resumed(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        run = await at(client)
        await run.proposal()
        await run.answer("stop")
        await run.ended()
        assert (await run.post("resume"))[0] == 202
        await run.proposal()
        await run.answer("go")
        assert (await run.ended())["status"] == "finished"
        assert (await run.post("resume"))[0] == 202  # which was approved, and is not asked about
        assert (await run.ended())["approval"] == "given"
        status, told = await run.post("rerun", {"approve": True, "fresh": ["t1"]})
        again = Asked(client.session, client.url.removesuffix("/v1"), told["run"])
        await again.proposal()
        await again.answer("go")
        assert (status, (await again.ended())["status"]) == (201, "finished")


@pytest.mark.slow
@on_loop
async def test_a_server_that_ends_leaves_what_waits_to_be_asked_about_again(tmp_path: Path) -> None:
    store = tmp_path / "runs.db"
    async with served(workflow(store)) as client:
        run = await at(client)
        await run.proposal()
    assert Store(store).run(run.run).status == "interrupted"
    async with served(workflow(store), most_runs=1) as client:
        later = Asked(client.session, client.url.removesuffix("/v1"), run.run)
        await later.post("resume")
        await later.proposal()
        with client.service.runs.place():
            assert (await later.answer("go"))[0] == 202  # it waits for a place
            client.service.close()
            status, error = await later.post("rerun")
            assert (status, error["code"]) == (503, STOPPING.code)
        assert (await later.ended())["code"] == "stopped"


@pytest.mark.parametrize("killed", ["before the answer", "after it"])
@on_loop
async def test_after_a_kill_what_was_not_answered_is_asked_again_and_what_was_is_carried_out(
    killed: str, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path)
    async with aiohttp.ClientSession() as session:
        with server(terminal) as (child, base):
            run = await asked(session, base, approve=True)
            await run.proposal()
            if killed == "after it":
                await run.answer("edit", plan=EDITED)
                while kinds(terminal.store, run.run).count("plan_proposed") < 2:
                    await asyncio.sleep(0.01)
                await run.proposal()
                await run.answer("go")
                while "plan_approved" not in kinds(terminal.store, run.run):
                    await asyncio.sleep(0.01)
            child.kill()
            child.wait()
        with server(terminal) as (_, base):
            later = Asked(session, base, run.run)
            assert (await later.post("resume"))[0] == 202
            if killed == "before the answer":
                assert (await later.proposal())["plan"]["subtasks"]
                assert (await later.answer("go"))[0] == 202
            shown = await later.ended()
    assert shown["status"] == "finished"
    assert [each["description"] for each in shown["plan"]["subtasks"]] == ["Only tea"] or killed == "before the answer"
    assert [call["role"] for call in shown["calls"]].count("orchestrator") <= 2
