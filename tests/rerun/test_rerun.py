"""Rerunning: what has not changed is not asked again, what has is, and whatever depends on it."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from simulated import pool_of, simulator_of
from stretto import Limits, Memory, Price, Role, Run, Simulator, Workflow
from stretto import events as e
from stretto.errors import ConfigError, RunNotFound, TaskError
from stretto.models.simulator import parse_fault
from stretto.store.pruning import prune
from stretto.store.sqlite import Store

TASK = "Compare teas in exactly 6 subtasks with needs"
CURT = Role("sim:default", "In few words: {task_description}")
FAST = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=20_000, length=20)


class Kitchen:
    """A workflow with two kinds of workers on one simulator and one store, and how often that was asked."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "s.db"
        self.asked = 0

    def flow(self, *, memory: Memory | None = None, limits: Limits | None = None, **roles: Role) -> Workflow:
        usual = {
            "orchestrator": Role("sim:o"),
            "draft": Role("sim:w"),
            "proof": Role("sim:w"),
            "synthesizer": Role("sim:s"),
        }
        usual |= roles
        return Workflow(
            usual["orchestrator"],
            {"draft": usual["draft"], "proof": usual["proof"]},
            usual["synthesizer"],
            providers={"sim": FAST},
            store=self.store,
            memory=memory,
            limits=limits,
        )

    async def run(self, flow: Workflow, task: str = TASK, **facts: Any) -> Run:
        """A new run; `asked` is how many requests it made."""
        return await self._finished(flow, flow.stream(task, **facts))

    async def rerun(self, flow: Workflow, origin: Run, **facts: Any) -> Run:
        """A rerun; `asked` is how many requests it made."""
        return await self._finished(flow, flow.rerun(origin.id, **facts))

    async def _finished(self, flow: Workflow, stream: Any) -> Run:
        before = self._count(flow)
        async with stream as events:
            run: Run = await events.finished()
        self.asked = self._count(flow) - before
        return run

    def _count(self, flow: Workflow) -> int:
        simulated = pool_of(flow).simulated.get("sim")
        return simulated.asked.total() if simulated else 0


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def sources(run: Run) -> Mapping[str, str | None]:
    """By subtask or role, the run in which each reply of a run was recorded; None if it was asked."""
    return {
        call.subtask or call.role: call.finished.origin for call in run.calls if call.finished and call.finished.finish
    }


def test_a_rerun_of_what_has_not_changed_asks_nothing_and_answers_the_same(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        again = await kitchen.rerun(kitchen.flow(), first)
        assert kitchen.asked == 0
        assert again.id != first.id
        assert again.basis.origin == first.id
        assert (again.answer, again.plan.subtasks, again.coverage) == (
            first.answer,
            first.plan.subtasks,
            first.coverage,
        )
        assert again.usage.output_tokens == 0
        assert again.saved == first.usage
        assert set(sources(again).values()) == {first.id}

    asyncio.run(main())


def test_only_what_changed_is_asked_and_what_depends_on_it(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        changed = kitchen.flow(proof=Role("sim:default", "Proofread: {task_description}"))
        again = await kitchen.rerun(changed, first)
        touched: set[str] = set()
        for subtask in again.plan.subtasks:
            if subtask.type == "proof" or touched & set(subtask.needs):
                touched.add(subtask.id)
        assert touched
        asked = {name for name, source in sources(again).items() if source is None}
        assert asked == {*touched, "synthesizer"}
        assert kitchen.asked == len(asked)

    asyncio.run(main())


def test_a_rerun_stands_by_itself(kitchen: Kitchen) -> None:
    """What it reused is recorded in it: it can be rerun when the run it came from is gone."""

    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        second = await kitchen.rerun(kitchen.flow(), first)
        records = Store(kitchen.store).records(second.id)
        assert records == Store(kitchen.store).records(first.id)
        third = await kitchen.rerun(kitchen.flow(), second)
        assert kitchen.asked == 0
        assert third.answer == first.answer

    asyncio.run(main())


def test_fresh_asks_anew_under_a_sample_number_of_its_own(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        last = first.plan.subtasks[-1].id
        second = await kitchen.rerun(kitchen.flow(), first, fresh=[last])
        asked = {name for name, source in sources(second).items() if source is None}
        assert asked >= {last}
        assert asked <= {last, "synthesizer"}
        third = await kitchen.rerun(kitchen.flow(), second)  # keeps the sample it was given
        assert kitchen.asked == 0
        assert third.results[last] == second.results[last]
        fourth = await kitchen.rerun(kitchen.flow(), third, fresh=[last, "synthesizer"])
        assert fourth.basis.samples == {last: 2, "synthesizer": 1}
        assert kitchen.asked >= 2

    asyncio.run(main())


def test_fresh_everything_asks_all_that_was_asked_before(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        flow = kitchen.flow()
        told = await flow.explain(first.id, fresh="everything")
        assert told[0].fate == "new"
        assert told[0].why == "it is to be asked anew"
        second = await kitchen.rerun(flow, first, fresh="everything")
        assert kitchen.asked == len(second.calls) == 8
        assert (second.basis.fresh, second.basis.samples) == (("everything",), {})
        third = await kitchen.rerun(kitchen.flow(), second)
        assert kitchen.asked == 0
        assert third.answer == second.answer
        last = first.plan.subtasks[-1].id
        await kitchen.rerun(kitchen.flow(), first, only=[last], fresh=["everything"])
        assert kitchen.asked == 2  # it, and the answer

    asyncio.run(main())


def test_only_computes_these_and_takes_the_others_as_they_were(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        changed = kitchen.flow(
            draft=Role("sim:default", "D {task_description}"), proof=Role("sim:default", "P {task_description}")
        )
        one, *others = [subtask.id for subtask in first.plan.subtasks]
        again = await kitchen.rerun(changed, first, only=[one])
        assert kitchen.asked == 2  # it, and the synthesis
        assert again.results[one].outcome == "done"
        assert {id_: again.results[id_] for id_ in others} == {id_: first.results[id_] for id_ in others}

    asyncio.run(main())


def test_a_plan_that_is_given_is_carried_out_and_none_is_asked_for(kitchen: Kitchen) -> None:
    async def main() -> None:
        lines = [{"type": "draft", "description": "Write"}, {"type": "proof", "description": "x", "needs": ["t1"]}]
        run = await kitchen.run(kitchen.flow(), plan={"tasks": lines})
        assert kitchen.asked == 3
        assert [subtask.needs for subtask in run.plan.subtasks] == [(), ("t1",)]
        edited = {"tasks": [*lines, {"type": "draft", "description": "Another"}]}
        await kitchen.rerun(kitchen.flow(), run, plan=edited)
        assert kitchen.asked == 2  # the new subtask, and the synthesis
        again = await kitchen.rerun(kitchen.flow(), run)  # the plan stays given
        assert kitchen.asked == 0
        assert again.plan == run.plan

    asyncio.run(main())


def test_a_plan_alone_is_a_run_that_can_be_gone_on_with(kitchen: Kitchen) -> None:
    async def main() -> None:
        flow = kitchen.flow()
        async with flow.plan(TASK) as events:
            planned = await events.finished()
        assert simulator_of(flow).asked.total() == 1
        assert (planned.status, planned.error, planned.answer) == ("interrupted", "only its plan was asked for", "")
        assert len(planned.plan.subtasks) == 6
        async with flow.resume(planned.id) as events:
            run = await events.finished()
        assert simulator_of(flow).asked.total() == 8
        assert run.plan == planned.plan
        assert run.coverage.complete

    asyncio.run(main())


def test_a_rerun_that_was_stopped_goes_on_with_what_it_reused_and_what_it_was_given(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        one = first.plan.subtasks[0].id
        changed = kitchen.flow(
            draft=Role("sim:default", "D {task_description}"), proof=Role("sim:default", "P {task_description}")
        )
        seen: list[e.AnyEvent] = []
        async with changed.rerun(first.id, only=[one]) as events:
            async for event in events:
                seen.append(event)
                if isinstance(event, e.SubtaskFinished):
                    break
        async with changed.resume(seen[0].run) as events:
            run = await events.finished()
        assert run.basis.only == (one,)
        assert run.coverage.complete
        others = [subtask.id for subtask in first.plan.subtasks[1:]]
        assert {id_: run.results[id_] for id_ in others} == {id_: first.results[id_] for id_ in others}

    asyncio.run(main())


@pytest.mark.parametrize("limited", [True, False])
def test_a_rerun_that_was_stopped_goes_on_when_its_origin_is_gone(kitchen: Kitchen, limited: bool) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        last = first.plan.subtasks[-1].id
        changed = kitchen.flow(synthesizer=Role("sim:default", "S {worker_responses}"))
        async with changed.rerun(first.id, only=[last] if limited else []) as events:
            async for event in events:
                if isinstance(event, e.CallStarted) and event.role == "synthesizer":
                    break
        second = events.run_id
        prune(kitchen.store, [first.id])
        async with changed.resume(second) as events:
            run = await events.finished()
        assert run.results == first.results
        assert run.coverage.complete

    asyncio.run(main())


def test_a_plan_that_was_cut_and_gone_on_with_is_not_asked_for_again(kitchen: Kitchen) -> None:
    async def main() -> None:
        slow = Workflow(
            "slow:o",
            {"draft": "slow:w", "proof": "slow:w"},
            "slow:s",
            store=kitchen.store,
            providers={"slow": replace(FAST, tokens_per_second=500)},
        )
        seen: list[e.AnyEvent] = []
        async with slow.stream(TASK) as events:
            async for event in events:
                seen.append(event)
                if sum(isinstance(each, e.SubtaskPlanned) for each in seen) == 3:
                    break
        async with slow.resume(seen[0].run) as events:
            first = await events.finished()
        before = simulator_of(slow, "slow").asked.total()
        async with slow.rerun(first.id) as events:
            again = await events.finished()
        assert simulator_of(slow, "slow").asked.total() == before
        assert again.plan.subtasks == first.plan.subtasks
        assert again.answer == first.answer

    asyncio.run(main())


def test_degraded_replies_serve_their_own_run_only(kitchen: Kitchen) -> None:
    async def main() -> None:
        flow = Workflow(
            "sim:o",
            {"draft": Role(("down:w", "sim:w"))},
            "sim:s",
            store=kitchen.store,
            providers={"sim": FAST, "down": replace(FAST, faults=(parse_fault("500"),))},
            limits=Limits(attempts=1),
        )
        first = await flow.run("Compare teas in exactly 3 subtasks")
        assert all(call.finished and call.finished.asked == "sim:w" for call in first.calls if call.role == "worker")
        before = simulator_of(flow, "down").asked.total()
        async with flow.rerun(first.id) as events:
            again = await events.finished()
        assert {call.finished.origin for call in again.calls if call.finished and call.role == "worker"} == {None}
        assert simulator_of(flow, "down").asked.total() >= before

    asyncio.run(main())


def test_what_calls_will_take_that_were_never_made_is_not_told_as_nothing(kitchen: Kitchen) -> None:
    async def main() -> None:
        flow = Workflow(
            "sim:o",
            {"draft": "sim:w"},
            providers={"sim": FAST},
            store=kitchen.store,
            prices={"sim:w": Price(Decimal(1), Decimal(2))},
        )
        async with flow.plan("Compare teas in exactly 2 subtasks") as events:
            await events.finished()
        told = await flow.explain(events.run_id)
        assert [line.cost for line in told if line.fate == "new"] == [None, None]

    asyncio.run(main())


def test_why_nothing_is_reused_is_said(kitchen: Kitchen) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        told = await kitchen.flow(memory=Memory(reuse="off")).explain(first.id)
        assert (told[0].fate, told[0].why) == ("new", 'nothing is reused (reuse = "off")')

    asyncio.run(main())


def test_what_nobody_can_know_before_there_is_a_plan_is_foretold_as_unknown(kitchen: Kitchen) -> None:
    async def main() -> None:
        spoiled = Simulator(faults=(parse_fault("truncated role=orchestrator"),), ttft=0.4, tokens_per_second=20_000)
        flow = Workflow("sim:o", {"draft": "sim:w"}, providers={"sim": spoiled}, store=kitchen.store)
        async with flow.stream(TASK) as events:
            async for event in events:
                if isinstance(event, e.CallFinished) and event.role == "orchestrator":
                    break
        told = await flow.explain(events.run_id)
        assert (told[0].name, told[0].fate) == ("orchestrator", "new")
        assert told[0].why == "its plan was not taken in whole, so the rest of it is asked for"
        async with flow.stream(TASK) as events:
            async for _ in events:
                break
        told = await flow.explain(events.run_id)
        assert [(line.name, line.fate) for line in told] == [("orchestrator", "new"), ("subtasks", "unknown")]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"only": ["t9"]}, "--only t9: no such subtask"),
        ({"fresh": ["synthesiser"]}, "did you mean 'synthesizer'"),
        ({"only": "t9"}, "--only t9: no such"),
        ({"only": ["t1"], "fresh": ["t2"]}, "--fresh t2: it is not among"),
        ({"plan": {"tasks": None}}, r"no plan: .*tasks"),
        ({"plan": {"tasks": [{"type": "draft", "description": "x", "needs": ["t2"]}]}}, r"tasks\[0\].needs: 't2'"),
        ({"plan": {"tasks": [{"type": "drat", "description": "x"}]}}, "did you mean 'draft'"),
        ({"plan": {"tasks": [{"type": "draft"}]}}, r"tasks\[0\]"),
    ],
)
def test_what_cannot_be_rerun_is_said(kitchen: Kitchen, facts: dict[str, Any], said: str) -> None:
    async def main() -> None:
        first = await kitchen.run(kitchen.flow())
        with pytest.raises(TaskError, match=said):
            await kitchen.rerun(kitchen.flow(), first, **facts)
        assert len(Store(kitchen.store).recent()) == 1

    asyncio.run(main())


def test_a_run_that_is_not_there_cannot_be_rerun(kitchen: Kitchen) -> None:
    async def main() -> None:
        await kitchen.run(kitchen.flow())
        with pytest.raises(RunNotFound):
            async with kitchen.flow().rerun("01NONE") as events:
                await events.finished()

    asyncio.run(main())
    with pytest.raises(ConfigError, match="rerun from a store"):
        Workflow("sim:o", {"a": "sim:w"}).rerun("x")


def test_off_reuses_nothing_not_even_within_a_run(kitchen: Kitchen) -> None:
    async def main() -> None:
        off = Memory(reuse="off")
        plan = {"tasks": [{"type": "draft", "description": "Write"}] * 3}
        first = await kitchen.run(kitchen.flow(memory=off), plan=plan)
        assert kitchen.asked == 4
        await kitchen.rerun(kitchen.flow(memory=off), first)
        assert kitchen.asked == 4
        await kitchen.rerun(kitchen.flow(), first)
        assert kitchen.asked <= 1

    asyncio.run(main())
