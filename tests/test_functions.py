"""Python functions as workers: called like models, remembered like models."""

import asyncio
import functools
import threading
from pathlib import Path
from typing import Any

import pytest

from stretto import Function, Limits, Memory, Simulator, Workflow
from stretto.errors import ConfigError
from stretto.runs import Run
from stretto.types import Subtask

FAST = Simulator(ttft=0.01, ttft_spread=0, tokens_per_second=20_000)
PLAN = {
    "tasks": [
        {"type": "look", "description": "tides"},
        {"type": "look", "description": "ports"},
        {"type": "join", "description": "both", "needs": ["t1", "t2"]},
    ]
}
called: list[tuple[str, ...]] = []


async def look(subtask: Subtask) -> str:
    """Looks something up.

    In no time.
    """
    called.append((subtask.id, subtask.type, subtask.description))
    return f"about {subtask.description}"


def join(subtask: Subtask, results: dict[str, str]) -> str:
    called.append((subtask.id, threading.current_thread().name))
    return " and ".join(results[need] for need in subtask.needs)


async def fails(_: Subtask) -> str:
    raise ValueError("no such thing")


async def slow(_: Subtask) -> str:
    await asyncio.sleep(60)
    return "late"


def stops(_: Subtask) -> str:
    raise StopIteration


def leaves(_: Subtask) -> str:
    raise SystemExit(3)


async def waits_for_what_is_cancelled(_: Subtask) -> str:
    other = asyncio.create_task(asyncio.sleep(60))
    other.cancel()
    await other
    return "never"


async def number(_: Subtask) -> Any:
    return 7


@pytest.fixture(autouse=True)
def _nobody_called() -> None:
    called.clear()


def flow(workers: dict[str, Any], store: Path | None = None, **facts: Any) -> Workflow:
    return Workflow("sim:x", workers, "sim:x", providers={"sim": FAST}, store=store, **facts)


async def carried(workflow: Workflow, plan: dict[str, Any] | None = None) -> Run:
    async with workflow.stream("Tell of the sea", plan=plan or PLAN) as events:
        return await events.finished()


def test_functions_do_subtasks_awaited_or_in_a_thread_with_what_they_need() -> None:
    run = asyncio.run(carried(flow({"look": look, "join": join})))
    assert run.results["t3"].text == "about tides and about ports"
    assert called[0] == ("t1", "look", "tides")
    assert called[2][0] == "t3"
    assert called[2][1] != threading.main_thread().name
    assert run.coverage.complete
    assert [call.model for call in run.calls if call.subtask == "t1"] == [f"python:{__name__}.look@1"]


def test_the_orchestrator_is_told_what_a_function_is_good_for() -> None:
    workflow = flow({"look": look, "join": Function(join, about="joins what was found")})
    about = {name: role.about for name, role in workflow.definition.workers.items()}
    assert about == {"look": "Looks something up.", "join": "joins what was found"}


def test_a_function_is_not_called_again_for_what_is_recorded_until_its_version_is_raised(tmp_path: Path) -> None:
    async def main() -> None:
        first = await carried(flow({"look": look, "join": join}, tmp_path / "s.db"))
        called.clear()
        same = flow({"look": look, "join": join}, tmp_path / "s.db")
        async with same.rerun(first.id) as events:
            assert (await events.finished()).answer == first.answer
        assert called == []
        raised = flow({"look": Function(look, version="2"), "join": join}, tmp_path / "s.db")
        async with raised.rerun(first.id) as events:
            again = await events.finished()
        assert [each[0] for each in called] == ["t1", "t2"]  # what they return is the same, so nothing else has changed
        assert again.answer == first.answer

    asyncio.run(main())


def test_functions_are_reused_from_the_store_by_what_they_were_asked(tmp_path: Path) -> None:
    async def main() -> None:
        await carried(flow({"look": look, "join": join}, tmp_path / "s.db"))
        called.clear()
        other = {"tasks": [{"id": "x", "type": "look", "description": "ports"}]}
        run = await carried(flow({"look": look}, tmp_path / "s.db", memory=Memory(reuse="store")), other)
        assert run.results["x"].text == "about ports"
        assert called == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (fails, "raised ValueError: no such thing"),
        (slow, "did not return within 0.1 s"),
        (stops, "raised RuntimeError: StopIteration"),
        (leaves, "raised SystemExit: 3"),
        (waits_for_what_is_cancelled, "raised CancelledError"),
        (number, "returned int; a result is a text"),
    ],
)
def test_what_goes_wrong_in_a_function_costs_its_subtask(function: Any, why: str) -> None:
    workers = {"look": look, "bad": function}
    plan = {"tasks": [{"type": "look", "description": "tides"}, {"type": "bad", "description": "x"}]}
    run = asyncio.run(carried(flow(workers, limits=Limits(timeout=0.1)), plan))
    assert run.results["t2"].outcome == "failed"
    assert why in (run.results["t2"].error or "")
    assert run.results["t1"].outcome == "done"
    assert sum(call.subtask == "t2" for call in run.calls) == 1


def test_a_function_costs_nothing_and_needs_no_budget() -> None:
    run = asyncio.run(carried(flow({"look": look, "join": join}, limits=Limits(tokens=9000))))
    assert run.coverage.complete
    assert all(call.finished and call.finished.cost == 0 for call in run.calls if call.role == "worker")


@pytest.mark.parametrize("worker", [lambda _: "x", 7, Function(lambda _: "x")])
def test_what_is_no_function_with_a_name_is_no_worker(worker: Any) -> None:
    with pytest.raises(ConfigError, match=r'workers\."look"'):
        flow({"look": worker})


def test_two_functions_of_one_name_are_told_apart_or_refused() -> None:
    def made(text: str) -> Any:
        async def inner(_: Subtask) -> str:
            return text

        return inner

    with pytest.raises(ConfigError, match="another worker's function"):
        flow({"a": made("a"), "b": made("b")})
    flow({"a": made("a"), "b": Function(made("b"), version="b")})


class Desk:
    def look(self, subtask: Subtask) -> str:
        return f"about {subtask.description}"


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def inner(subtask: Subtask) -> Any:
        return function(subtask)

    return inner


def test_one_method_does_two_types_and_what_a_wrapper_returns_is_awaited() -> None:
    desk = Desk()
    workers = {"look": desk.look, "join": desk.look, "more": wrapped(look)}
    plan = {"tasks": [{"type": type_, "description": "x"} for type_ in workers]}
    run = asyncio.run(carried(flow(workers), plan))
    assert [result.text for result in run.results.values()] == ["about x"] * 3
