"""A rerun takes the plan that a run was given or approved with, without an orchestrator too."""

import asyncio
from pathlib import Path

import pytest

from stretto import Input, Plan, Role, Simulator, Subtask, Workflow
from stretto.proposal import Drop, Go, Proposal

NOTES = [Input("a.md", "a line about tea\n" * 200)]


@pytest.mark.slow
def test_what_was_dropped_from_shares_is_not_asked_in_a_rerun_unless_the_inputs_are_others(tmp_path: Path) -> None:
    providers = {"sim": Simulator(length=12)}
    flow = Workflow(None, {"map": Role("sim:instant", share=400)}, None, providers=providers, store=tmp_path / "s.db")
    seen: list[Plan] = []

    def approve(proposal: Proposal) -> Go | Drop:
        seen.append(proposal.plan)
        return Drop(["t1"]) if len(seen) == 1 else Go()

    async def main() -> None:
        run = await flow.run("Summarise it", inputs=NOTES, approve=approve)
        async with flow.rerun(run.id) as events:
            again = await events.finished()
        assert again.plan.subtasks == run.plan.subtasks
        assert again.answer == run.answer
        assert all(call.finished and call.finished.reused for call in again.calls)
        async with flow.rerun(run.id, inputs=[Input("b.md", "other")]) as events:
            other = await events.finished()
        assert [subtask.id for subtask in other.plan.subtasks] == ["t1"]

    asyncio.run(main())


def test_a_plan_that_was_given_to_a_workflow_without_an_orchestrator_is_rerun(tmp_path: Path) -> None:
    providers = {"sim": Simulator(length=12)}
    flow = Workflow(None, {"a": "sim:instant", "b": "sim:instant"}, None, providers=providers, store=tmp_path / "s.db")
    plan = Plan((Subtask("x", "a", "only this"),), "complete")

    async def main() -> None:
        async with flow.stream("Do it", plan=plan) as events:
            run = await events.finished()
        async with flow.rerun(run.id) as events:
            again = await events.finished()
        assert [subtask.id for subtask in again.plan.subtasks] == ["x"]
        assert again.answer == run.answer

    asyncio.run(main())
