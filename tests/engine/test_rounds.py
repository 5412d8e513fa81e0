"""Rounds: the orchestrator sees the results, and adds subtasks or stops."""

import re
from typing import Any

from msgspec.structs import replace

from models import TRIO, Script, Told, carry, plan_of
from stretto import Limits
from stretto.calls import Call
from stretto.events import SubtaskPlanned

THREE = replace(TRIO, limits=Limits(rounds=3))


def script(*plans: str, worker: str = "Done.") -> Script:
    """A model that answers each round with the next plan."""

    def say(call: Call, _: int) -> list[Any]:
        if call.role == "orchestrator":
            return [plans[round_of(call) - 1]]
        return [worker if call.role == "worker" else "The answer."]

    return say


def round_of(call: Call) -> int:
    found = re.search(r"round (\d) of", "".join(message.content for message in call.request.messages[1:]))
    return int(found[1]) if found else 1


def ids(told: Told) -> list[tuple[str, int]]:
    return [(s.id, s.round) for s in told.run.plan.subtasks]


def test_a_second_round_sees_the_results_of_the_first_and_adds_to_the_plan() -> None:
    asked: list[str] = []

    plans = [plan_of("first"), plan_of({"type": "part", "description": "second", "needs": ["t1"]}), plan_of()]

    def say(call: Call, _: int) -> list[Any]:
        if call.role == "orchestrator":
            asked.append(call.request.messages[-1].content)
            return [plans[round_of(call) - 1]]
        return ["What the first found." if call.role == "worker" else "The answer."]

    told = carry(say, THREE)
    assert told.error is None
    assert ids(told) == [("t1", 1), ("t2", 2)]
    assert len(asked) == 3
    assert "What the first found." in asked[1]
    assert "round 2 of 3" in asked[1]
    assert "round 3 of 3" in asked[2]
    assert told.run.coverage.complete
    assert told.run.plan.rounds == 3


def test_one_round_is_what_happens_if_nobody_asks_for_more() -> None:
    told = carry(script(plan_of("first"), plan_of("second")), TRIO)
    assert ids(told) == [("t1", 1)]


def test_the_orchestrator_stops_with_an_empty_round() -> None:
    told = carry(script(plan_of("first"), plan_of()), THREE)
    assert ids(told) == [("t1", 1)]
    assert len([c for c in told.run.calls if c.role == "orchestrator"]) == 2


def test_no_round_goes_over_the_number_of_subtasks_that_is_permitted() -> None:
    few = replace(TRIO, limits=Limits(rounds=3, max_subtasks=3))
    told = carry(script(plan_of("a", "b"), plan_of("c", "d")), few)
    assert [id_ for id_, _ in ids(told)] == ["t1", "t2", "t3"]
    assert told.run.coverage.plan == "bounded"
    assert not told.run.coverage.complete


def test_a_subtask_that_is_listed_again_in_a_later_round_is_not_done_again() -> None:
    told = carry(script(plan_of("a", "b"), plan_of("a", "c"), plan_of()), THREE)
    assert ids(told) == [("t1", 1), ("t2", 1), ("t3", 2)]


def test_a_subtask_that_failed_is_asked_again_if_a_later_round_lists_it_again() -> None:
    told = carry(
        lambda call, nth: ["Do b: B." if call.request.sample else ""] if is_b(call) else FAILING(call, nth), THREE
    )
    outcomes = {id_: result.outcome for id_, result in told.run.results.items()}
    assert outcomes == {"t1": "done", "t2": "failed", "t3": "done", "t4": "done"}
    assert ids(told) == [("t1", 1), ("t2", 1), ("t3", 2), ("t4", 2)]
    assert told.run.results["t3"].text == "Do b: B."
    assert told.run.coverage.complete  # what a later round has done is not missing


def test_what_fails_in_every_round_stays_missing() -> None:
    told = carry(lambda call, nth: [""] if is_b(call) else FAILING(call, nth), THREE)
    assert [each.subtask for each in told.run.coverage.missing] == ["t2", "t3"]


def is_b(call: Call) -> bool:
    return call.role == "worker" and any("Do b" in message.content for message in call.request.messages)


FAILING = script(plan_of("Do a", "Do b"), plan_of("Do b", "Do c", "Do b"), plan_of())


def test_an_execution_goes_on_in_the_midst_of_a_round_with_what_was_planned() -> None:
    plans = script(plan_of("a"), plan_of("b", "c"), plan_of())
    whole = carry(plans, THREE)
    events = [event for _, event in whole.events if event.stored]
    for cut in range(2, len(events)):
        again = carry(plans, THREE, history=events[:cut])
        planned = [event.subtask for event in events[:cut] if isinstance(event, SubtaskPlanned)]
        assert [s.id for s in again.run.plan.subtasks][: len(planned)] == planned
        assert sorted(s.description for s in again.run.plan.subtasks) == ["a", "b", "c"], cut
        assert again.error is None
        assert again.run.answer == "The answer."
