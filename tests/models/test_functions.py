"""Python functions as workers: called like models, remembered like models."""

import asyncio
import functools
import threading
from pathlib import Path
from typing import Any

import pytest

from models import outcome
from stretto import Function, Limits, Memory, Message, Role, Run, Simulator, Subtask, Workflow
from stretto.calls import Call, Text, Urgency, fingerprint
from stretto.engine.checking import VERDICT, checker_of
from stretto.errors import CallError, ConfigError
from stretto.models.functions import FunctionModel, review, work
from stretto.shapes import Shape, fitted
from stretto.types import Request

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


# -- functions that check


def counts(subtask: Subtask, text: str) -> Any:
    """Whether it is a number."""
    called.append((subtask.id, subtask.type, subtask.description, *subtask.needs, text))
    return text.isdecimal() or f"{text!r} is no number"


async def finds(_: Subtask, text: str) -> Any:
    return FOUND[text]


def breaks(_: Subtask, text: str) -> Any:
    raise ValueError(text)


def takes_one(_: Subtask) -> bool:
    return True


FOUND: dict[str, Any] = {
    "true": True,
    "false": False,
    "none": None,
    "text": "It is wrong.",
    "pair": (False, "It is wrong."),
    "holding pair": (True, "It is right."),
    "open pair": (None, "No source."),
    "surrogate": "\ud800",
    "empty": "",
    "number": 1,
    "triple": (True, "a", "b"),
    "two texts": ("a", "b"),
    "no remark": (False, None),
}


def asked_to_check(function: Any, text: str) -> Any:
    """What a function that checks says of a text; the error in its place if it is one."""
    subtask = Subtask("t2", "look", "ports", ("t1",))
    request = Request("python:f@1", (Message("user", review(subtask, text)),))
    asked = Call("c1", "r1", "worker", subtask.id, request, fingerprint(request), False, Urgency(2), part="check")
    said = asyncio.run(outcome(FunctionModel("f@1", function, 1.0), asked))
    return str(said) if isinstance(said, CallError) else "".join(each.text for each in said if isinstance(each, Text))


@pytest.mark.parametrize(
    ("text", "verdict", "remark"),
    [
        ("true", "holds", ""),
        ("false", "fails", ""),
        ("none", "unsure", ""),
        ("text", "fails", "It is wrong."),
        ("pair", "fails", "It is wrong."),
        ("holding pair", "holds", "It is right."),
        ("open pair", "unsure", "No source."),
        ("surrogate", "fails", "\ufffd"),
    ],
)
def test_what_a_checking_function_returns_is_a_verdict(text: str, verdict: str, remark: str) -> None:
    said = asked_to_check(finds, text)
    assert fitted(said, Shape(VERDICT)).parsed == {"verdict": verdict, "remark": remark}


@pytest.mark.parametrize(
    ("function", "text", "why"),
    [
        (finds, "empty", "returned an empty text; a checker returns True, False, None, or what is wrong"),
        (finds, "number", "returned int"),
        (finds, "triple", "returned tuple"),
        (finds, "two texts", "returned tuple"),
        (finds, "no remark", "returned tuple"),
        (breaks, "x", "raised ValueError: x"),
        (takes_one, "x", "raised TypeError"),
    ],
)
def test_what_is_no_verdict_of_a_function_is_an_error(function: Any, text: str, why: str) -> None:
    assert why in asked_to_check(function, text)


def test_a_checking_function_is_told_the_subtask_and_the_text() -> None:
    assert "'two' is no number" in asked_to_check(counts, "two")
    assert called == [("t2", "look", "ports", "t1", "two")]


def test_a_check_is_another_call_for_another_version_subtask_or_text() -> None:
    one = Subtask("t1", "look", "ports")
    other = Subtask("t1", "look", "tides")
    assert len({review(one, "a"), review(one, "b"), review(other, "a"), work(one, [])}) == 4
    assert review(one, "a") == review(Subtask("t7", "look", "ports"), "a")
    assert work(one, []) == '{"type":"look","description":"ports"}'  # as it is in the records of earlier versions


def test_a_check_may_be_a_function_of_a_model_or_of_another_function() -> None:
    checks: Any = counts
    workers = {"a": Role("sim:x", check=checks), "b": Function(look, check=Function(counts, version="2"))}
    definition = flow(workers).definition
    found = {name: checker_of(definition, role) for name, role in definition.workers.items()}
    names = {name: checker.candidates for name, checker in found.items() if checker}
    assert names == {"a": (f"python:{__name__}.counts@1",), "b": (f"python:{__name__}.counts@2",)}
    assert {*names["a"], *names["b"]} < set(flow(workers).all_models)


def test_a_function_is_checked_by_the_orchestrators_model_where_none_is_named() -> None:
    definition = flow({"a": Function(look, check="Is it there?")}).definition
    checker = checker_of(definition, definition.workers["a"])
    assert checker
    assert (checker.candidates, checker.about) == (("sim:x",), "Is it there?")


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (lambda _, text: bool(text), "has no name of its own"),
        (7, r'workers."a".check: a check is a text \(what to look at\), a Role or a function, not 7'),
        ("  ", r'workers."a".check: it is empty'),
        (Function(counts, check="x"), "a checker is not checked itself"),
    ],
)
def test_what_cannot_check_is_refused_at_the_door(check: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        flow({"a": Function(look, check=check)})
    with pytest.raises(ConfigError, match=why):
        flow({"a": Role("sim:x", check=check)})
