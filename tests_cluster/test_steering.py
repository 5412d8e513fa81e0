"""What is asked of a server about runs that workers, or another server, carry: as if they were carried there."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chaos_endpoint import endpoint
from loops import at_leisure
from postgres import Postgres
from serving import Client, served
from stretto import Workflow
from stretto.models.simulator import parse_fault
from stretto.store.locations import Server
from stretto.store.sqlite import Store
from workers import asking, quick, statuses, wait, workers

TASK = "Compare tea and coffee in 3 subtasks"
PLAN = {
    "tasks": [
        {"id": "t1", "type": "part", "description": "Alpha"},
        {"id": "t2", "type": "part", "description": "Beta"},
    ]
}
SILENT = parse_fault("silence role=worker match=Alpha")


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server(postgres.database())


@asynccontextmanager
async def two_servers(workflow: Workflow[Any], server: Server) -> AsyncGenerator[tuple[Client, Client], None]:
    """Two servers of the same workflow and store."""
    async with served(workflow, store=server) as one, served(workflow, store=server) as other:
        yield one, other


async def post(client: Client, path: str, **body: Any) -> tuple[int, Any]:
    async with client.session.post(f"{client.url.removesuffix('/v1')}/api/{path}", json=body) as response:
        return response.status, await response.json()


async def begun(client: Client, task: str = TASK, **body: Any) -> str:
    status, told = await post(client, "runs", workflow="general", task=task, **body)
    assert status == 201, told
    return str(told["run"])


async def proposed(client: Client, run: str) -> dict[str, Any]:
    """What is proposed about a run, once it is."""
    for _ in range(600):
        status, told = await client.get(f"runs/{run}/proposal")
        if status == 200:
            return told
        await asyncio.sleep(0.05)
    raise AssertionError(told)


@at_leisure
async def test_a_plan_is_approved_at_another_server_and_no_worker_waits_for_that(
    server: Server, tmp_path: Path
) -> None:
    with endpoint(quick()) as provider, workers(server, tmp_path, 1, "--runs", "1") as (worker,):
        async with two_servers(asking(server, provider), server) as (one, other):
            run = await begun(one, approve=True)
            proposal = await proposed(other, run)
            assert len(proposal["plan"]["subtasks"]) == 3
            asked = len(provider.arrived)

            # The worker's only place is free meanwhile.
            free = await begun(one, "Compare salt and pepper")
            await asyncio.to_thread(wait, lambda: Store(server).run(free).status == "finished", worker.said)
            status, shown = await other.get(f"runs/{run}")
            assert (status, shown["status"], shown["approval"]) == (200, "running", "asked")
            assert (await one.get("runs?status=running"))[1]["data"][0]["run"] == run
            assert len(Store(server).run(run).calls) == asked == 1

            assert (await post(other, f"runs/{run}/answer", decision="go"))[0] == 202
            await asyncio.to_thread(wait, lambda: Store(server).run(run).status == "finished", worker.said)
            assert (await post(other, f"runs/{run}/answer", decision="go"))[0] == 409
            assert (await one.get(f"runs/{run}/proposal"))[0] == 404
    assert max(provider.arrived.values()) == 1
    assert Store(server).run(run).coverage.missing == ()


@at_leisure
async def test_a_plan_is_changed_and_shown_once_more_and_then_stopped(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider, workers(server, tmp_path) as (worker,):
        async with two_servers(asking(server, provider), server) as (one, other):
            run = await begun(one, approve=True)
            await proposed(one, run)
            assert (await post(other, f"runs/{run}/answer", decision="edit"))[0] == 400
            assert (await post(other, f"runs/{run}/answer", decision="drop", ids=["t9"]))[0] == 400
            assert (await post(other, f"runs/{run}/answer", decision="edit", plan=PLAN))[0] == 202
            changed = await proposed(other, run)
            while [each["description"] for each in changed["plan"]["subtasks"]] != ["Alpha", "Beta"]:
                changed = await proposed(other, run)
            assert (await post(one, f"runs/{run}/answer", decision="stop"))[0] == 202
            await asyncio.to_thread(wait, lambda: statuses(server) == {"interrupted": 1}, worker.said)
            await asyncio.to_thread(worker.says, "stopped at its plan")
            # Whoever goes on with it is asked once more.
            assert (await post(other, f"runs/{run}/resume"))[0] == 202
            await proposed(one, run)
            assert (await post(one, f"runs/{run}/cancel"))[1]["status"] == "interrupted"
            assert (await other.get(f"runs/{run}/proposal"))[0] == 404
            assert statuses(server) == {"interrupted": 1}


@at_leisure
async def test_subtasks_that_a_worker_carries_are_stopped_and_asked_anew_from_a_server(
    server: Server, tmp_path: Path
) -> None:
    simulator = quick(faults=(SILENT,))
    with endpoint(simulator) as provider, workers(server, tmp_path) as (worker,):
        async with two_servers(asking(server, provider), server) as (one, _):
            run = await begun(one, plan=PLAN)
            await asyncio.to_thread(wait, lambda: "t2" in Store(server).run(run).results, worker.said)

            assert (await post(one, f"runs/{run}/subtasks/t9/stop"))[0] == 404
            status, told = await post(one, f"runs/{run}/subtasks/t2/stop")
            assert (status, told["error"]["code"]) == (409, "not_steered")
            assert (await post(one, f"runs/{run}/subtasks/t2/again", remark="in French" * 2000))[0] == 202
            status, _ = await post(one, f"runs/{run}/subtasks/t1/stop")
            assert status == 202
            await asyncio.to_thread(wait, lambda: Store(server).run(run).status == "finished", worker.said)
            assert (await post(one, f"runs/{run}/subtasks/t1/stop"))[0] == 409
    kept = Store(server).run(run)
    assert kept.results["t1"].outcome == "cut"
    assert kept.results["t1"].text
    assert "in French" in str([each.request for each in Store(server).records(run).values()])


@at_leisure
async def test_a_run_that_one_server_carries_is_steered_and_stopped_at_another(server: Server) -> None:
    simulator = quick(faults=(SILENT,))
    with endpoint(simulator) as provider:
        async with two_servers(asking(server, provider), server) as (one, other):
            asked = asyncio.create_task(one.session.post(f"{one.url}/chat/completions", json={
                "model": "general", "messages": [{"role": "user", "content": "Describe Alpha and Beta"}],
            }))  # fmt: skip
            await asyncio.to_thread(wait, lambda: bool(Store(server).recent()))
            (run,) = Store(server).recent()
            assert (await post(other, f"runs/{run.id}/cancel"))[0] == 202
            async with await asked as response:
                assert response.status == 503
            assert Store(server).run(run.id).status == "interrupted"


@at_leisure
async def test_whoever_watches_a_run_at_a_server_watches_on_while_it_is_handed_over(
    server: Server, tmp_path: Path
) -> None:
    with endpoint(quick(ttft=0.3)) as provider:
        async with served(asking(server, provider), store=server) as client:
            path = f"{client.url.removesuffix('/v1')}/api/runs"
            with workers(server, tmp_path, 1, "--grace", "0") as (first,):
                run = await begun(client, TASK)

                async def watched() -> str:
                    async with client.session.get(f"{path}/{run}/events") as response:
                        return await response.text()

                watching = asyncio.create_task(watched())
                await asyncio.to_thread(wait, lambda: len(provider.arrived) > 2, first.said)
                first.signal(signal.SIGTERM)
                assert await asyncio.to_thread(first.ended) == 0
            await asyncio.sleep(1.5)
            assert (Store(server).run(run).status, watching.done()) == ("interrupted", False)
            late = len(Store(server).events(run))
            async with client.session.get(f"{path}/{run}/events?after={late}") as response:
                assert response.status == 200  # 204 would tell an EventSource to ask no more
                with workers(server, tmp_path):
                    assert "event: run_finished" in await response.text()
            assert "event: run_finished" in await watching
