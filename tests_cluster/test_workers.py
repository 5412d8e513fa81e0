"""Runs that are handed over: carried once, by whoever lives, whatever becomes of workers and their database."""

import asyncio
import os
import random
import shutil
import signal
from collections import Counter
from contextlib import ExitStack, closing
from decimal import Decimal
from itertools import accumulate
from pathlib import Path

import pytest

import stretto
from chaos_endpoint import endpoint
from loops import at_leisure
from postgres import Postgres
from stretto import Limits, Price, Provider, Simulator, Workflow
from stretto.cluster import Cluster
from stretto.errors import ConfigError, RunNotFound
from stretto.events import CallFinished, RunFinished, RunResumed
from stretto.store.connecting import connect
from stretto.store.listing import Wanted
from stretto.store.locations import Server
from stretto.store.sqlite import Store
from workers import Worker, asking, quick, statuses, wait, workers

TASK = "Compare tea and coffee in 4 subtasks"


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server(postgres.database())


async def cancelled(server: Server, run: str) -> str:
    """Stop a run; how it ended."""
    async with Cluster(server) as cluster:
        return (await cluster.cancel(run)).status


async def submitted(server: Server, workflow: Workflow, count: int = 1, priority: int = 1000) -> list[str]:
    async with Cluster(server) as cluster:
        return [await cluster.submit(workflow.stream(f"{TASK} {n}"), priority) for n in range(count)]


def paid_twice(server: Server, runs: list[str]) -> list[str]:
    """Calls that were recorded with a reply of their own more than once."""
    found = []
    for run in runs:
        ended = [event for event in Store(server).events(run) if isinstance(event, CallFinished)]
        counts = Counter(event.fingerprint for event in ended if event.usage and not event.reused and not event.error)
        found += [f"{run} {key}" for key, count in counts.items() if count > 1]
    return found


@at_leisure
async def test_a_run_that_is_handed_over_waits_and_is_carried_as_any_other(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider:
        workflow = asking(server, provider)
        (run,) = await submitted(server, workflow)
        assert statuses(server) == {"queued": 1}
        assert Store(server).listing(Wanted(status="queued"))[0].run == run
        with workers(server, tmp_path):
            async with Cluster(server.url) as cluster:
                told = [state.status async for state in cluster.states(run)]
                kept = await cluster.finished(run)
        assert (told[0], told[-1]) == ("running", "finished")
        assert (kept.status, kept.executions, kept.coverage.missing) == ("finished", 1, ())
        assert kept.answer
        assert max(provider.arrived.values()) == 1
        assert Store(server).queued() == 0


@at_leisure
async def test_who_has_priority_goes_first(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.05)) as provider:
        workflow = asking(server, provider)
        later = await submitted(server, workflow, 2, 500)
        first = await submitted(server, workflow, 2, 10)
        with workers(server, tmp_path, 1, "--runs", "1"):
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 4})
        began = {
            run: next(e.at for e in Store(server).events(run) if isinstance(e, RunResumed)) for run in later + first
        }
        assert sorted(began, key=began.__getitem__) == first + later


@at_leisure
async def test_a_killed_workers_runs_go_on_elsewhere_and_nothing_is_paid_twice(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.3)) as provider, workers(server, tmp_path, 1) as (first,):
        runs = await submitted(server, asking(server, provider), 4)
        await asyncio.to_thread(wait, lambda: len(provider.arrived) > 8, first.said)
        with workers(server, tmp_path, 1) as (second,):
            first.signal(signal.SIGKILL)
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 4}, second.said)
        assert paid_twice(server, runs) == []
        assert max(provider.arrived.values()) <= 2
        assert {Store(server).run(run).coverage.missing for run in runs} == {()}


@at_leisure
async def test_a_worker_that_stands_still_loses_its_runs_and_writes_nothing_afterwards(
    server: Server, tmp_path: Path
) -> None:
    with endpoint(quick(ttft=0.3)) as provider, workers(server, tmp_path, 1) as (frozen,):
        (run,) = await submitted(server, asking(server, provider))
        await asyncio.to_thread(wait, lambda: len(provider.arrived) > 2, frozen.said)
        frozen.signal(signal.SIGSTOP)
        with workers(server, tmp_path, 1) as (other,):
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 1}, other.said)
            told = Store(server).events(run)
            frozen.signal(signal.SIGCONT)
            await asyncio.to_thread(wait, lambda: "taken over" in frozen.said(), frozen.said)
            assert Store(server).events(run) == told
            # And it is as good as before.
            (more,) = await submitted(server, asking(server, provider))
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 2}, frozen.said)
        assert paid_twice(server, [run, more]) == []


@at_leisure
async def test_workers_live_through_a_restart_of_the_database(postgres: Postgres, tmp_path: Path) -> None:
    server = Server(postgres.database())
    with endpoint(quick(ttft=0.3)) as provider, workers(server, tmp_path, 2) as both:
        runs = await submitted(server, asking(server, provider), 6)
        await asyncio.to_thread(wait, lambda: len(provider.arrived) > 6)
        await asyncio.to_thread(postgres.stop, "immediate")
        await asyncio.sleep(1)
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(
            wait, lambda: statuses(server) == {"finished": 6}, lambda: "\n".join(w.said() for w in both)
        )
        for worker in both:
            assert worker.said().index("cannot be reached") < worker.said().index("the database is there again")
        assert [worker.child.poll() for worker in both] == [None, None]
        assert paid_twice(server, runs) == []
        assert max(provider.arrived.values()) == 1


@at_leisure
async def test_a_run_is_stopped_while_it_waits_and_while_it_is_carried(server: Server, tmp_path: Path) -> None:
    with endpoint(Simulator(ttft=30)) as provider:
        workflow = asking(server, provider)
        (first,) = await submitted(server, workflow)
        assert await cancelled(server, first) == "interrupted"
        with workers(server, tmp_path) as (worker,):
            (second,) = await submitted(server, workflow)
            await asyncio.to_thread(wait, lambda: len(provider.arrived) == 1, worker.said)
            assert await cancelled(server, second) == "interrupted"
            assert await cancelled(server, second) == "interrupted"
        assert statuses(server) == {"interrupted": 2}
        assert len(provider.arrived) == 1  # the first never began


@at_leisure
async def test_a_worker_that_is_told_to_end_lets_its_runs_finish(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.2)) as provider, workers(server, tmp_path, 1, "--grace", "60") as (first,):
        runs = await submitted(server, asking(server, provider), 2)
        await asyncio.to_thread(wait, lambda: len(provider.arrived) > 2, first.said)
        first.signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.ended) == 0
        assert statuses(server) == {"finished": 2}
        assert paid_twice(server, runs) == []


@at_leisure
async def test_a_worker_without_grace_leaves_its_runs_to_another(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.5)) as provider:
        with workers(server, tmp_path, 1, "--grace", "0") as (first,):
            runs = await submitted(server, asking(server, provider), 2)
            await asyncio.to_thread(wait, lambda: len(provider.arrived) > 4, first.said)
            first.signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.ended) == 0
        assert statuses(server) == {"queued": 2}, first.said()
        assert await cancelled(server, runs[1]) == "interrupted"  # what was interrupted by that waits like any other
        assert statuses(server) == {"queued": 1, "interrupted": 1}
        with workers(server, tmp_path) as (second,):
            done = {"finished": 1, "interrupted": 1}
            await asyncio.to_thread(wait, lambda: statuses(server) == done, second.said)
        assert paid_twice(server, runs) == []


@at_leisure
async def test_what_no_worker_can_carry_is_not_handed_over(server: Server, tmp_path: Path) -> None:
    def tea(subtask: str) -> str:
        return f"tea for {subtask}"

    async with Cluster(server) as cluster:
        with pytest.raises(ConfigError, match="Python functions"):
            await cluster.submit(Workflow("sim:x", {"part": tea}, "sim:x", store=server.url).stream(TASK))
        with pytest.raises(ConfigError, match=r"kept in .*runs\.db"):
            await cluster.submit(Workflow("sim:x", {"part": "sim:x"}, "sim:x", store=tmp_path / "runs.db").stream(TASK))
        with pytest.raises(RunNotFound):
            await cluster.finished("01K0000")
    assert statuses(server) == {}
    with pytest.raises(ConfigError, match="need a store that they can reach"):
        Cluster(tmp_path / "runs.db")


@at_leisure
async def test_a_run_that_cannot_be_begun_there_has_failed_and_nobody_waits_for_it(
    server: Server, tmp_path: Path
) -> None:
    keyed = Provider("http://127.0.0.1:9/v1", key_env="NO_WORKER_HAS_THIS_KEY", local=True)
    workflow = Workflow("far:x", {"part": "far:x"}, "far:x", store=server.url, providers={"far": keyed})
    async with Cluster(server) as cluster:
        run = await cluster.submit(workflow.stream(TASK))
        with workers(server, tmp_path) as (worker,):
            told = await asyncio.wait_for(cluster.finished(run), 60)
            assert (told.status, told.error_type) == ("failed", "MissingKey")
            assert "NO_WORKER_HAS_THIS_KEY" in str(told.error)
            assert statuses(server) == {"failed": 1}
            assert f"{run}: failed: MissingKey" in worker.said()


@at_leisure
async def test_a_worker_in_a_folder_whose_file_cannot_be_read_takes_no_run(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider:
        await submitted(server, asking(server, provider))
        for broken in ("[workers", '[providers.box]\nbase_url = "https://elsewhere.example/v1"\n'):
            (tmp_path / "stretto.toml").write_text(broken)
            worker = Worker(server, tmp_path)
            try:
                assert await asyncio.to_thread(worker.ended) == 3
            finally:
                worker.child.kill()
            assert "stretto.toml: " in worker.said()
        assert statuses(server) == {"queued": 1}
        (tmp_path / "stretto.toml").unlink()
        with workers(server, tmp_path) as (good,):
            (tmp_path / "stretto.toml").write_text(broken)  # it was read before
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 1}, good.said)


@at_leisure
async def test_whoever_waits_for_a_run_waits_on_while_it_is_handed_over(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.5)) as provider:
        async with Cluster(server) as cluster:
            with workers(server, tmp_path, 1, "--grace", "0") as (first,):
                runs = await submitted(server, asking(server, provider), 2)
                waiting = [asyncio.create_task(cluster.finished(run)) for run in runs]
                await asyncio.to_thread(wait, lambda: len(provider.arrived) > 4, first.said)
                first.signal(signal.SIGTERM)
                await asyncio.to_thread(first.ended)
            await asyncio.sleep(0.5)
            assert [task.done() for task in waiting] == [False, False]
            with workers(server, tmp_path):
                assert [(await task).status for task in waiting] == ["finished"] * 2


@at_leisure
async def test_of_sixty_runs_none_is_lost_though_workers_and_database_die(postgres: Postgres, tmp_path: Path) -> None:
    server, chance = Server(postgres.database()), random.Random(7)
    with endpoint(Simulator(ttft=0.4)) as provider, ExitStack() as stack:
        alive = [stack.enter_context(workers(server, tmp_path))[0] for _ in range(3)]
        runs = await submitted(server, asking(server, provider), 60)
        kills = 0
        while statuses(server) != {"finished": 60}:
            await asyncio.sleep(2)
            if kills < 8:
                kills += 1
                victim = alive.pop(chance.randrange(3))
                victim.signal(signal.SIGKILL)
                alive.append((await asyncio.to_thread(stack.enter_context, workers(server, tmp_path)))[0])
            if kills == 4:
                await asyncio.to_thread(postgres.stop, "immediate")
                await asyncio.to_thread(postgres.start)
                kills += 1
        assert [worker.child.poll() for worker in alive] == [None] * 3
        assert paid_twice(server, runs) == []
        assert {Store(server).run(run).coverage.missing for run in runs} == {()}


@at_leisure
async def test_a_run_waits_until_the_budget_of_the_day_allows_it(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider:
        prices = dict.fromkeys(("box:plan", "box:work", "box:write"), Price(Decimal(1), Decimal(1)))
        workflow = asking(server, provider, limits=Limits(budget="2c", budget_per_day="2.1c"), prices=prices)
        runs = await submitted(server, workflow, 3)
        with workers(server, tmp_path, 1, "--runs", "1") as (worker,):
            await asyncio.to_thread(worker.says, "the budget of the day")
            told = Store(server)
            done = [run for run in runs if told.run(run).status == "finished"]
            assert 1 <= len(done) < 3
            assert set(statuses(server)) == {"finished", "queued"}
            (free,) = await submitted(server, asking(server, provider))  # which waits for no budget, and has the place
            await asyncio.to_thread(wait, lambda: told.run(free).status == "finished", worker.said)
            (left, *_) = [run for run in runs if run not in done]
            await cancelled(server, left)  # whoever waits can be called off
            with closing(connect(server)) as db:
                db.execute("UPDATE runs SET last_at = '2026-01-01T00:00:00.000Z' WHERE status = 'finished'")
            over = {"finished": 3, "interrupted": 1}
            await asyncio.to_thread(wait, lambda: statuses(server) == over, worker.said)
            assert told.queued() == 0
            worker.signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.ended) == 0


@at_leisure
async def test_all_workers_together_carry_no_more_runs_than_they_are_told(server: Server, tmp_path: Path) -> None:
    with endpoint(quick(ttft=0.2)) as provider:
        runs = await submitted(server, asking(server, provider), 8)
        with workers(server, tmp_path, 2, "--runs", "2", "--all-runs", "3"):
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 8})
        moments = list[tuple[str, int]]()
        for run in runs:
            first, *_, last = [e.at for e in Store(server).events(run) if isinstance(e, RunResumed | RunFinished)]
            moments += [(first, 1), (last, -1)]
        assert 1 < max(accumulate(step for _, step in sorted(moments))) <= 3


def other_version(folder: Path, **changed: tuple[str, str]) -> dict[str, str]:
    """An environment in which `python -m stretto` is another one: so many files of this one, changed."""
    shutil.copytree(Path(stretto.__file__).parent, folder / "stretto", ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changed.items():
        path = folder / "stretto" / f"{name.replace('__', '/')}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    return {**os.environ, "PYTHONPATH": str(folder)}


@at_leisure
async def test_two_versions_of_one_protocol_carry_the_same_runs_side_by_side(server: Server, tmp_path: Path) -> None:
    told = ("{run}: begun", "{run}: begun by a newer version")
    newer = other_version(tmp_path / "newer", cluster__carrying=told)
    with endpoint(quick(ttft=0.3)) as provider, workers(server, tmp_path, 1, "--runs", "4") as (old,):
        with workers(server, tmp_path, 1, "--runs", "4", env=newer) as (new,):
            runs = await submitted(server, asking(server, provider), 12)
            await asyncio.to_thread(wait, lambda: "by a newer version" in new.said() and "begun" in old.said())
            old.signal(signal.SIGKILL)  # as an upgrade that has no patience does
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 12}, new.said)
        assert paid_twice(server, runs) == []
        assert {Store(server).run(run).coverage.missing for run in runs} == {()}


@at_leisure
async def test_a_worker_of_another_protocol_leaves_runs_alone(server: Server, tmp_path: Path) -> None:
    other = other_version(tmp_path / "other", cluster__queue=('PROTOCOL = "1"', 'PROTOCOL = "2"'))
    with endpoint(quick()) as provider, workers(server, tmp_path, 1, env=other) as (stranger,):
        (run,) = await submitted(server, asking(server, provider))
        await asyncio.sleep(2)
        assert (statuses(server), run in stranger.said()) == ({"queued": 1}, False)
        with workers(server, tmp_path) as (worker,):
            await asyncio.to_thread(wait, lambda: statuses(server) == {"finished": 1}, worker.said)
        assert run not in stranger.said()


@at_leisure
async def test_a_map_is_handed_over_as_the_run_that_it_is(server: Server, tmp_path: Path) -> None:
    with endpoint(quick()) as provider, workers(server, tmp_path):
        async with Cluster(server) as cluster:
            mapped = asking(server, provider).map("Say what {item} is", ["tea", "coffee"], then="Compare them")
            run = await cluster.finished(await cluster.submit(mapped.events))
    assert [(row.item, row.state) for row in run.rows] == [("tea", "done"), ("coffee", "done")]
    assert all(row.answer for row in run.rows)
    assert run.answer
