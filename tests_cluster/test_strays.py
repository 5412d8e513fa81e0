"""Runs whose handing over was cut off in the midst, or came twice: each is carried once."""

import asyncio
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chaos_endpoint import endpoint
from loops import at_leisure
from postgres import Postgres
from stretto import Workflow
from stretto.cluster import Cluster, engine
from stretto.cluster.queue import queue
from stretto.proposal import Answer
from stretto.run.stream import RunStream
from stretto.store.connecting import connect
from stretto.store.locations import Server
from stretto.store.postgres import proposals
from stretto.store.pruning import Pruned, prune
from stretto.store.sqlite import Store
from workers import asking, quick, statuses, wait, workers

TASK = "Compare tea and coffee in 2 subtasks"


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server(postgres.database())


def told_to_wait(server: Server, *runs: str) -> None:
    """As whoever hands runs over does, before they are in the queue."""
    with closing(connect(server)) as db:
        for run in runs:
            db.execute("INSERT INTO queued VALUES (?)", (run,))


async def begun(workflow: Workflow, count: int) -> list[str]:
    streams: list[RunStream[Any]] = [workflow.stream(f"{TASK} {n}") for n in range(count)]
    for stream in streams:
        await stream.begin()
    return [stream.run_id for stream in streams]


@at_leisure
async def test_what_was_cut_off_in_being_handed_over_is_carried_or_called_off_all_the_same(
    server: Server, tmp_path: Path
) -> None:
    with endpoint(quick()) as provider:
        waits, dropped = await begun(asking(server, provider), 2)
        told_to_wait(server, waits)
        with queue(server) as waiting, closing(connect(server)) as db:
            waiting.put(dropped)
            db.execute("UPDATE dbos.workflow_status SET status = 'CANCELLED'")
        assert statuses(server) == {"queued": 2}
        with workers(server, tmp_path, 2) as (worker, _):
            over = {"finished": 1, "interrupted": 1}
            await asyncio.to_thread(wait, lambda: statuses(server) == over, worker.said)
        assert (Store(server).run(waits).executions, Store(server).queued()) == (1, 0)
        assert max(provider.arrived.values()) == 1


@at_leisure
async def test_a_run_whose_plan_was_approved_goes_on_though_whoever_approved_it_died(
    server: Server, tmp_path: Path
) -> None:
    async def nobody(_: object) -> None:
        raise AssertionError

    with endpoint(quick()) as provider, workers(server, tmp_path) as (worker,):
        async with Cluster(server) as cluster:
            stream = asking(server, provider).stream(TASK, approve=nobody)  # type: ignore[arg-type]
            run = await cluster.submit(stream)
            await asyncio.to_thread(wait, lambda: proposals.waiting(server, run) is not None, worker.said)
            await asyncio.to_thread(wait, lambda: not Store(server).is_carried(run), worker.said)
            assert proposals.decide(server, run, msgspec.json.encode(Answer(decision="go")))
            assert (await asyncio.wait_for(cluster.finished(run), 60)).status == "finished"
        assert max(provider.arrived.values()) == 1


@at_leisure
async def test_a_run_that_workers_kept_dying_of_has_failed(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider:
        (run,) = await begun(asking(server, provider), 1)
        told_to_wait(server, run)
        with queue(server) as waiting, closing(connect(server)) as db:
            waiting.put(run)
            db.execute("UPDATE dbos.workflow_status SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'")
        with workers(server, tmp_path) as (worker,):
            await asyncio.to_thread(wait, lambda: statuses(server) == {"failed": 1}, worker.said)
    kept = Store(server).run(run)
    assert kept.error_type == "WorkersLost"
    assert "resume it" in str(kept.error)


@at_leisure
async def test_what_is_handed_over_twice_is_one_run_whether_it_waits_is_carried_or_is_over(
    server: Server, tmp_path: Path
) -> None:
    with endpoint(quick(ttft=0.3)) as provider:
        workflow = asking(server, provider)

        def lines() -> list[RunStream[Any]]:
            return [workflow.stream(f"{TASK} {n}", run_id=f"00NN6JX9SEY5XJX338WXZMY6{n:02}") for n in range(12)]

        async def submitted(cluster: Cluster) -> list[str]:
            return [await cluster.submit(stream) for stream in lines()]

        async with Cluster(server) as one, Cluster(server) as other:
            runs, again = await asyncio.gather(submitted(one), submitted(other))
            assert runs == again
            with workers(server, tmp_path) as (worker,):
                await asyncio.to_thread(wait, lambda: len(provider.arrived) > 2, worker.said)
                assert await submitted(one) == runs
                for run in runs:
                    assert (await one.finished(run)).status == "finished"
            assert await submitted(one) == runs
        assert (statuses(server), Store(server).queued()) == ({"finished": 12}, 0)
        assert max(provider.arrived.values()) == 1


@at_leisure
async def test_nobody_waits_for_a_run_that_was_killed_and_that_no_worker_has(server: Server) -> None:
    with endpoint(quick()) as provider:
        (run,) = await begun(asking(server, provider), 1)
        async with Cluster(server) as cluster:
            await asyncio.wait_for(cluster.finished(run), 30)
            assert (await cluster.cancel(run)).status == "interrupted"


@at_leisure
async def test_what_waits_is_not_pruned(server: Server) -> None:
    with endpoint(quick()) as provider:
        waits, proposed, left = await begun(asking(server, provider), 3)
        async with Cluster(server) as cluster:
            await cluster.submit(asking(server, provider).stream(f"{TASK} 0", run_id=waits))
        proposals.keep(server, proposed, b"{}")
        assert prune(server, [waits, proposed, left]) == Pruned(removed=1, kept=2)
        assert {run.run for run in Store(server).listing()} == {waits, proposed}


def test_nothing_is_said_of_what_another_worker_was_given_meanwhile(server: Server) -> None:
    with closing(connect(server)) as db, queue(server) as waiting:
        waiting.put("01K0001")
        db.execute("UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = 'lives'")
        db.execute("DELETE FROM queued")
        engine.tell_waiting(db, "dead")
        assert Store(server).queued() == 0
        engine.tell_waiting(db, "lives", ["01K0002"])
        assert Store(server).queued() == 0
        engine.tell_waiting(db, "lives")
        assert Store(server).queued() == 1


@at_leisure
async def test_whoever_watches_a_run_hears_that_it_is_left_and_what_came_while_it_looked(server: Server) -> None:
    with Store(server).carrying("one"), ExitStack() as stack:
        stack.enter_context(Store(server).carrying("two"))
        async with Cluster(server) as cluster:
            await asyncio.sleep(0.5)  # until it listens
            with cluster.watching("two") as more, cluster.watching("one") as other:
                heard = asyncio.create_task(more(60))
                await asyncio.sleep(0.1)
                stack.close()
                await asyncio.wait_for(heard, 30)
                stack.enter_context(Store(server).carrying("two"))
                stack.close()
                await asyncio.sleep(0.5)  # nobody waits just now
                await asyncio.wait_for(more(60), 30)
                quiet = asyncio.create_task(other(60))
                await asyncio.sleep(0.2)
                assert not quiet.done()
                quiet.cancel()
