"""Workflows within subtasks, once they are recorded: resumed, replayed, rerun, asked anew."""

import asyncio
from pathlib import Path

import pytest

from stores import keep_until
from stretto import Limits, Role, Run, Simulator, Workflow
from stretto.errors import TaskError
from stretto.events import SubtaskPlanned
from stretto.store.sqlite import Store

FAST = "sim:instant"
INNER = Workflow(FAST, {"detail": FAST}, Role(FAST, prompt="Merge for {task}: {worker_responses}"))


def outer(store: Path, inner: Workflow = INNER, limits: Limits | None = None) -> Workflow:
    simulator = Simulator(length=12, seed=3)
    return Workflow(FAST, {"part": FAST, "deep": inner}, FAST, store=store, limits=limits, providers={"sim": simulator})


async def done(workflow: Workflow, task: str = "Compare teas in exactly 4 subtasks with needs") -> Run:
    return await workflow.run(task)


async def replayed(workflow: Workflow, run: Run) -> list[str]:
    async with asyncio.timeout(20), workflow.replay(run.id) as events:
        await events.finished()
        assert events.run.answer == run.answer
        return events.differences


async def rerun(workflow: Workflow, run: Run, *fresh: str) -> Run:
    async with workflow.rerun(run.id, fresh=fresh) as events:
        return await events.finished()


def asked(run: Run) -> set[tuple[str | None, str]]:
    return {(call.subtask, call.part) for call in run.calls if call.finished and not call.finished.reused}


def test_rounds_of_a_run_and_of_a_workflow_within_are_replayed(tmp_path: Path) -> None:
    inner = Workflow(INNER.definition.orchestrator, {"detail": FAST}, FAST, limits=Limits(rounds=2))
    workflow = outer(tmp_path / "s.db", inner, Limits(rounds=2))

    async def main() -> None:
        run = await done(workflow, "Compare teas in exactly 3 subtasks with needs")
        assert run.plan.rounds == 2
        assert {part.plan.rounds for part in run.parts.values()} == {2}
        assert await replayed(workflow, run) == []

    asyncio.run(main())


def test_a_run_killed_while_a_plan_within_was_written_is_replayed_and_rerun_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    workflow = outer(path)

    async def main() -> None:
        run = await done(workflow)
        log = Store(path).events(run.id)
        planned = [event.seq for event in log if isinstance(event, SubtaskPlanned) and event.subtask == "t2/t2"]
        keep_until(path, run.id, planned[0] or 0)
        async with workflow.resume(run.id) as events:
            resumed = await events.finished()
        assert resumed.answer == run.answer
        assert await replayed(workflow, resumed) == []
        again = await rerun(workflow, resumed)
        assert asked(again) == set()
        assert again.answer == run.answer
        assert await replayed(workflow, again) == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["t2", "t2/t1", "t2/synthesizer", "t2/orchestrator"])
def test_what_a_workflow_within_does_can_be_asked_anew(tmp_path: Path, name: str) -> None:
    workflow = outer(tmp_path / "s.db")

    async def main() -> None:
        run = await done(workflow)
        again = await rerun(workflow, run, name)
        calls = asked(again)
        named = {"t2": ("t2", "plan"), "t2/synthesizer": ("t2", "answer"), "t2/orchestrator": ("t2", "plan")}
        assert named.get(name, (name, "")) in calls
        assert (("t2", "plan") in calls) == (name in {"t2", "t2/orchestrator"})
        assert ("t1", "") not in calls
        if name == "t2":
            assert {subtask for subtask, _ in calls if subtask and subtask.startswith("t2/")} == {
                f"t2/{id_}" for id_ in again.parts["t2"].results
            }
        with pytest.raises(TaskError, match="no such subtask"):
            await rerun(workflow, run, "t2/t99")

    asyncio.run(main())


def test_what_a_workflow_within_would_ask_is_foretold_like_all_else(tmp_path: Path) -> None:
    workflow = outer(tmp_path / "s.db")

    async def main() -> None:
        run = await done(workflow)
        told = await workflow.explain(run.id)
        assert {line.fate for line in told} == {"reused"}
        assert [line.name for line in told if line.name.startswith("t2/")] == [
            f"t2/{id_}" for id_ in run.parts["t2"].results
        ]
        lines = {line.name: line for line in await workflow.explain(run.id, fresh=["t2/t1"])}
        assert (lines["t2/t1"].fate, lines["t2/t1"].why) == ("new", "it is to be asked anew")
        assert lines["t2"].fate == "new"
        assert lines["t2"].why.startswith("t2/t1")
        assert lines["t2"].why.endswith("asked again")
        assert lines["t1"].fate == lines["t3"].fate == "reused"
        assert lines["synthesizer"].fate == "new"
        lines = {line.name: line for line in await workflow.explain(run.id, fresh=["t2/orchestrator"])}
        assert (lines["t2"].fate, lines["t2"].why) == ("new", "plan: it is to be asked anew")
        assert {line.fate for name, line in lines.items() if name.startswith("t2/")} == {"unknown"}

    asyncio.run(main())
