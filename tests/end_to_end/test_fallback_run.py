"""Runs over real sockets: a dead provider costs a few requests, and one key is one key in all workflows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stretto import Limits, Provider, Role, Run, Simulator, Workflow
from stretto.errors import MissingKey
from stretto.models.simulator import SimulatedProvider, parse_fault
from stretto.server.sim import PROVIDER, listening, simulator_app


@asynccontextmanager
async def serving(**settings: object) -> AsyncIterator[tuple[Provider, SimulatedProvider]]:
    """A simulated endpoint, as a provider, and what it saw."""
    app = simulator_app(Simulator(ttft=0.02, tokens_per_second=5000, **settings))  # type: ignore[arg-type]
    async with listening(app) as url:
        yield Provider(url), app[PROVIDER]


def asked(run: Run) -> set[str]:
    """Who answered the workers' calls."""
    finished = [call.finished for call in run.calls if call.finished and call.role == "worker"]
    return {event.asked or event.model for event in finished}


def test_where_a_provider_is_dead_the_next_one_answers_and_the_dead_one_is_left_alone() -> None:
    async def main() -> None:
        faults = (parse_fault("500 always role=worker"),)
        async with serving(faults=faults) as (dead, refusing), serving() as (sound, _):
            worker = Role(("dead:x", "sound:y"))
            flow = Workflow("sound:y", {"part": worker}, "sound:y", providers={"dead": dead, "sound": sound})
            run = await flow.run("Describe tea in 40 subtasks.")
        assert run.coverage.complete
        assert asked(run) == {"sound:y"}
        assert refusing.asked.total() < 60  # forty calls that would have been asked four times each
        (degraded, *_) = run.coverage.degraded
        assert degraded.startswith("fallback: dead:x")

    asyncio.run(main())


def test_a_plan_has_fallbacks_too() -> None:
    async def main() -> None:
        async with serving(faults=(parse_fault("400 always"),)) as (refusing, _), serving() as (sound, _):
            both = Role(("refusing:x", "sound:y"))
            flow = Workflow(both, {"part": both}, both, providers={"refusing": refusing, "sound": sound})
            run = await flow.run("Describe tea in 4 subtasks.")
        assert run.coverage.complete
        assert {call.finished.asked for call in run.calls if call.finished} == {"sound:y"}

    asyncio.run(main())


def test_one_key_is_one_key_in_all_workflows_of_a_process() -> None:
    async def main() -> None:
        async with serving() as (provider, seen):
            narrow = Provider(provider.base_url, parallel=3)
            flows = [Workflow("one:x", {"part": "one:x"}, "one:x", providers={"one": narrow}) for _ in range(3)]
            tasks = [f"Describe tea number {number} in 8 subtasks." for number in range(3)]
            runs = await asyncio.gather(*(flow.run(task) for flow, task in zip(flows, tasks, strict=True)))
        assert all(run.coverage.complete for run in runs)
        assert seen.max_in_flight == 3

    asyncio.run(main())


def test_a_fallback_without_a_key_is_an_error_before_anything_is_asked() -> None:
    flow = Workflow(
        Role(("sim:instant", "needy:y")),
        {"part": "sim:instant"},
        limits=Limits(),
        providers={"needy": Provider("http://localhost:9/v1", key_env="STRETTO_TEST_NO_SUCH_KEY")},
    )
    with pytest.raises(MissingKey, match="STRETTO_TEST_NO_SUCH_KEY"):
        flow.run_sync("Say hello.")
