"""Workflows without an orchestrator, and workflows that do the subtasks of others."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, carry, plan_of
from stretto import Definition, Limits, Role
from stretto.calls import Call
from stretto.errors import BudgetError, RequestError

INNER = Definition(Role("sim:inner-o"), {"detail": Role("sim:detail")}, Role("sim:inner-s"))
OUTER = replace(TRIO, workers={"part": Role("sim:w"), "deep": Role(workflow=INNER)})
PLAN = plan_of(
    {"type": "deep", "description": "the depth of it"}, {"type": "part", "description": "the rest", "needs": ["t1"]}
)


def say(call: Call, _: int) -> list[Any]:
    """The outer plan has one deep subtask; its own plan has two."""
    match call.request.model:
        case "sim:o":
            return [PLAN]
        case "sim:inner-o":
            return [plan_of({"type": "detail", "description": "x"}, {"type": "detail", "description": "y"})]
        case "sim:inner-s":
            return ["The inner answer."]
        case "sim:s":
            return ["The answer."]
    return ["Done."]


# -- no orchestrator


def test_without_an_orchestrator_every_worker_does_the_whole_task() -> None:
    told = carry(say, replace(TRIO, orchestrator=None, workers={"a": Role("sim:a"), "b": Role("sim:b")}))
    assert [(s.type, s.description) for s in told.run.plan.subtasks] == [
        ("a", "the whole task"),
        ("b", "the whole task"),
    ]
    assert told.run.answer == "The answer."
    assert {call.role for call in told.run.calls} == {"worker", "synthesizer"}


# -- a workflow as a worker


def test_a_subtask_is_done_by_a_workflow_of_its_own() -> None:
    told = carry(say, OUTER)
    assert told.error is None
    assert told.run.results["t1"].text == "The inner answer."
    assert [s.description for s in told.run.plan.subtasks] == ["the depth of it", "the rest"]
    part = told.run.parts["t1"]
    assert [s.description for s in part.plan.subtasks] == ["x", "y"]
    assert {result.text for result in part.results.values()} == {"Done."}
    assert told.run.coverage.complete
    assert [(call.subtask, call.part) for call in told.run.calls if call.subtask == "t1"] == [
        ("t1", "plan"),
        ("t1", "answer"),
    ]


def test_the_workflow_within_is_asked_for_its_part_and_knows_the_whole_task() -> None:
    asked: list[str] = []

    def listen(call: Call, nth: int) -> list[Any]:
        if call.request.model == "sim:inner-o":
            asked.append(call.request.messages[-1].content)
        return say(call, nth)

    carry(listen, OUTER)
    assert "Explain tides." in asked[0]
    assert "the depth of it" in asked[0]


def test_what_a_workflow_within_lacks_makes_its_result_doubtful() -> None:
    def fail(call: Call, nth: int) -> list[Any]:
        if call.subtask == "t1/t2":
            return [RequestError("no")]
        return say(call, nth)

    told = carry(fail, OUTER)
    (doubtful,) = told.run.coverage.doubtful
    assert doubtful.subtask == "t1"
    assert "t2 (detail) is failed" in doubtful.remark
    assert not told.run.coverage.complete
    assert told.run.answer == "The answer."


def test_a_workflow_within_whose_plan_fails_is_answered_directly_and_doubtful() -> None:
    def fail(call: Call, nth: int) -> list[Any]:
        return [RequestError("no")] if call.request.model.startswith("sim:inner-o") else say(call, nth)

    told = carry(fail, replace(OUTER, workers={**OUTER.workers, "other": Role("sim:w")}))
    (doubtful,) = told.run.coverage.doubtful
    assert doubtful.remark == "answered directly, without its subtasks: no"
    assert told.run.coverage.complete is False


def test_the_subtasks_of_all_depths_together_are_bounded() -> None:
    told = carry(say, replace(OUTER, limits=Limits(max_subtasks=3)))
    assert len(told.run.parts["t1"].plan.subtasks) == 1
    assert told.run.parts["t1"].plan.state == "bounded"
    assert told.run.coverage.doubtful


@pytest.mark.parametrize("tokens", [700, 1500, 3000, 9000])
def test_a_budget_is_handed_down_to_the_workflow_within(tokens: int) -> None:
    told = carry(say, replace(OUTER, limits=Limits(tokens=tokens)))
    assert told.run.usage.input_tokens + told.run.usage.output_tokens <= tokens
    for event in told.only("call_started"):
        assert event.reserved is not None


def test_a_workflow_within_for_which_there_is_no_money_is_skipped() -> None:
    def broke(call: Call, nth: int) -> list[Any]:
        return [BudgetError("too dear")] if call.subtask == "t1" else say(call, nth)

    told = carry(broke, OUTER)
    assert [missing.outcome for missing in told.run.coverage.missing] == ["skipped"]


def test_an_execution_goes_on_in_the_midst_of_a_workflow_within() -> None:
    whole = carry(say, OUTER)
    events = [event for _, event in whole.events if event.stored]
    for cut in range(2, len(events)):
        again = carry(say, OUTER, history=events[:cut])
        assert again.error is None
        assert [s.description for s in again.run.parts["t1"].plan.subtasks] == ["x", "y"], cut
        assert again.run.results["t1"].text == "The inner answer."


def test_the_deadline_cuts_a_workflow_within() -> None:
    def slow(call: Call, nth: int) -> list[Any]:
        return [100.0, "late"] if call.subtask and re.match("t1/", call.subtask) else say(call, nth)

    told = carry(slow, replace(OUTER, limits=Limits(deadline=20)))
    assert told.run.results["t1"].outcome == "cut"
    assert told.error is not None or told.run.coverage.missing


def test_what_a_workflow_within_has_when_it_is_cut_is_not_lost() -> None:
    def slow(call: Call, nth: int) -> list[Any]:
        return [100.0, "late"] if call.subtask == "t1/t2" else say(call, nth)

    told = carry(slow, replace(OUTER, limits=Limits(deadline=20)))
    assert told.error is None
    assert (told.run.results["t1"].outcome, told.run.results["t1"].text) == ("cut", "Done.")
    assert told.run.answer == "The answer."
    assert [missing.subtask for missing in told.run.coverage.missing] == ["t1", "t2"]
