"""What of other runs answers a call, and what of a run is kept."""

import asyncio
from pathlib import Path
from typing import Any, Literal

import pytest

from simulated import simulator_of
from stretto import Memory, Role, Run, Simulator, Workflow
from stretto import events as e
from stretto.errors import ConfigError, StoreError, WorkError
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store

TASK = "Compare teas in exactly 3 subtasks"


def flow(path: Path, memory: Memory, *, faults: tuple[str, ...] = (), **options: Any) -> Workflow:
    simulator = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=20_000, faults=tuple(map(parse_fault, faults)))
    role = Role("sim:x", options=options)
    return Workflow(role, {"part": role}, role, providers={"sim": simulator}, store=path, memory=memory)


async def carried(workflow: Workflow, **facts: Any) -> tuple[Run, int]:
    """A run, and how many requests it made."""
    async with workflow.stream(TASK, **facts) as events:
        run = await events.finished()
    return run, simulator_of(workflow).asked.total()


def test_with_the_store_identical_calls_of_any_earlier_run_are_not_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        first, asked = await carried(flow(tmp_path / "s.db", Memory()))
        assert asked == 5
        second, asked = await carried(flow(tmp_path / "s.db", Memory(reuse="store")))
        assert asked == 0
        assert second.answer == first.answer
        assert {call.finished.origin for call in second.calls if call.finished} == {first.id}
        _, asked = await carried(flow(tmp_path / "s.db", Memory()))
        assert asked == 5

    asyncio.run(main())


@pytest.mark.parametrize(
    ("temperature", "sampled", "asked"), [(0.7, False, 5), (0.7, True, 0), ("0.7", False, 5), (0, False, 0)]
)
def test_what_was_drawn_by_chance_is_drawn_again_unless_it_may_be_reused(
    tmp_path: Path, temperature: float | str, sampled: bool, asked: int
) -> None:
    async def main() -> None:
        await carried(flow(tmp_path / "s.db", Memory(), temperature=temperature))
        again = flow(tmp_path / "s.db", Memory(reuse="store", reuse_sampled=sampled), temperature=temperature)
        assert (await carried(again))[1] == asked

    asyncio.run(main())


def test_fresh_asks_everything_and_its_replies_are_the_newest(tmp_path: Path) -> None:
    async def main() -> None:
        memory = Memory(reuse="store")
        await carried(flow(tmp_path / "s.db", memory))
        fresh, asked = await carried(flow(tmp_path / "s.db", memory), fresh="everything")
        assert asked == 5
        last, asked = await carried(flow(tmp_path / "s.db", memory))
        assert asked == 0
        assert {call.finished.origin for call in last.calls if call.finished} == {fresh.id}

    asyncio.run(main())


def test_what_is_named_fresh_is_asked_and_the_rest_is_from_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        plan = {"tasks": [{"type": "part", "description": f"Describe {tea}."} for tea in ("green", "black")]}
        memory = Memory(reuse="store")
        await carried(flow(tmp_path / "s.db", memory), plan=plan)
        again, asked = await carried(flow(tmp_path / "s.db", memory), plan=plan, fresh=["synthesizer"])
        assert asked == 1
        assert (again.basis.fresh, again.basis.samples) == (("synthesizer",), {"synthesizer": 1})
        one, asked = await carried(flow(tmp_path / "s.db", memory), plan=plan, fresh=["t2"])
        assert asked in {1, 2}  # the answer, too, if t2 is another one now
        assert next(call.subtask for call in one.calls if call.finished and not call.finished.reused) == "t2"

    asyncio.run(main())


def test_a_run_that_is_fresh_stays_so_when_it_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        memory = Memory(reuse="store")
        await carried(flow(tmp_path / "s.db", memory))
        workflow = flow(tmp_path / "s.db", memory)
        async with workflow.stream(TASK, fresh="everything") as events:
            async for event in events:
                if isinstance(event, e.SubtaskFinished):
                    break
        async with workflow.resume(events.run_id) as later:
            resumed = await later.finished()
        assert {call.finished.origin for call in resumed.calls if call.finished} <= {None, resumed.id}
        assert set(simulator_of(workflow).completed.values()) == {1}

    asyncio.run(main())


@pytest.mark.parametrize("reuse", ["off", "run", "store"])
def test_every_way_of_reuse_resumes(tmp_path: Path, reuse: Literal["off", "run", "store"]) -> None:
    async def main() -> None:
        workflow = flow(tmp_path / "s.db", Memory(reuse=reuse))
        async with workflow.stream(TASK) as events:
            async for event in events:
                if isinstance(event, e.SubtaskFinished):
                    break
        simulated = simulator_of(workflow)
        done = simulated.completed.copy()
        assert done.total() >= 2  # the plan and a result
        async with workflow.resume(Store(tmp_path / "s.db").recent(1)[0].id) as events:
            resumed = await events.finished()
        assert resumed.coverage.complete
        assert set(simulated.completed.values()) == {1}
        assert simulated.completed.total() > done.total()

    asyncio.run(main())


def test_identical_calls_of_a_run_without_reuse_are_all_paid_and_none_is_paid_twice_when_it_goes_on(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        plan = {"tasks": [{"type": "part", "description": "Describe tea."}] * 4}
        workflow = flow(tmp_path / "s.db", Memory(reuse="off"))
        seen: list[e.AnyEvent] = []
        async with workflow.stream(TASK, plan=plan) as events:
            async for event in events:
                seen.append(event)
                if sum(isinstance(each, e.SubtaskFinished) for each in seen) == 2:
                    break
        log = Store(tmp_path / "s.db").events(seen[0].run)
        paid = sum(isinstance(event, e.CallFinished) and event.finish == "stop" for event in log)
        before = simulator_of(workflow).completed.total()
        async with workflow.resume(seen[0].run) as events:
            await events.finished()
        assert 2 <= paid <= 4
        assert simulator_of(workflow).completed.total() - before == 4 - paid + 1

    asyncio.run(main())


def test_usage_alone_keeps_no_prompt_ever_and_no_text_once_the_run_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main() -> str:
        workflow = flow(path, Memory(record="usage"), faults=("quota role=worker times=1",))
        with pytest.raises(WorkError):
            await workflow.run(TASK)
        store = Store(path)
        failed = store.recent(1)[0]
        assert all(record.request is None for record in store.records(failed.id).values())
        async with workflow.resume(failed.id) as events:
            run = await events.finished()
        assert run.answer  # whoever carries the run has it
        kept = store.run(run.id)
        assert kept.forgotten
        assert (kept.usage, kept.cost, kept.coverage) == (run.usage, run.cost, run.coverage)
        before, after = ([call.finished for call in each.calls if call.finished] for each in (run, kept))
        assert [(one.usage, one.cost, one.finish) for one in after] == [(o.usage, o.cost, o.finish) for o in before]
        assert {one.error for one in after} == {None, "(not kept)"}
        assert not any(record.reply or record.request for record in store.records(run.id).values())
        for attempt in (workflow.resume, workflow.rerun):
            with pytest.raises(StoreError, match="kept no texts"):
                async with attempt(run.id) as events:
                    await events.finished()
        return run.answer

    answer = asyncio.run(main())
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("s.db*") if file.is_file())
    assert answer.encode()[:60] not in stored
    assert TASK.encode() not in stored


@pytest.mark.parametrize("memory", [Memory(reuse="sometimes"), Memory(record="nothing")])  # type: ignore[arg-type]
def test_a_word_that_means_nothing_is_an_error(tmp_path: Path, memory: Memory) -> None:
    with pytest.raises(ConfigError, match=r"memory\."):
        flow(tmp_path / "s.db", memory)


def test_to_reuse_a_store_there_must_be_one() -> None:
    with pytest.raises(ConfigError, match="needs a store"):
        Workflow("sim:x", {"a": "sim:x"}, memory=Memory(reuse="store"))


def test_what_is_no_memory_is_refused_by_name(tmp_path: Path) -> None:
    memory: Any = "store"
    with pytest.raises(ConfigError, match=r"memory: must be Memory\(reuse=…\) or a mapping"):
        Workflow("sim:x", {"part": "sim:x"}, store=tmp_path / "s.db", memory=memory)
