"""Deadlines: workers are cut in time for the answer, what they said is kept, and a run without an answer says why."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from models import TRIO, Beat, Told, by_role, carry, plan_of
from stretto import Definition, Limits, Role
from stretto.calls import Call
from stretto.errors import DeadlineError

PLAN = plan_of("quick", "slow")


def within(seconds: float, definition: Definition = TRIO) -> Definition:
    return replace(definition, limits=Limits(deadline=seconds))


def worker(call: Call, _: int) -> Iterable[Beat]:
    """The quick one takes a second; the slow one says a word a second and never comes to an end."""
    if "quick" in call.request.messages[-1].content:
        return ["", 1.0, "Done quickly."]
    return [1.0, *(beat for n in range(1000) for beat in (f"word{n} ", 1.0))]


def synthesizer(_: Call, __: int) -> Iterable[Beat]:
    """An answer of two seconds."""
    return [1.0, "The answer", 1.0, " is there."]


def told(seconds: float, **scripts: object) -> Told:
    usual = {"orchestrator": PLAN, "worker": worker, "synthesizer": synthesizer}
    return carry(by_role(**{**usual, **scripts}), within(seconds))  # type: ignore[arg-type]


def test_workers_are_cut_so_that_the_answer_is_there_in_time() -> None:
    run = told(20.0)
    assert run.error is None
    (finished,) = run.at("run_finished")
    assert finished <= 20.0
    outcomes = {result.subtask: result.outcome for result in run.run.results.values()}
    assert outcomes == {"t1": "done", "t2": "cut"}
    assert run.run.results["t2"].text.startswith("word0 word1 ")
    (missing,) = run.run.coverage.missing
    assert (missing.outcome, missing.reason) == ("cut", "the deadline came after it had said this much")
    (degraded,) = run.run.coverage.degraded
    assert degraded == "deadline: who is still at work is cut, so that the answer can be written in time"
    assert run.run.answer == "The answer is there."


def test_what_was_cut_is_given_to_the_synthesizer_and_marked() -> None:
    prompts: list[str] = []

    def listening(call: Call, nth: int) -> Iterable[Beat]:
        prompts.append(call.request.messages[-1].content)
        return synthesizer(call, nth)

    told(20.0, synthesizer=listening)
    assert "=== PARTIAL RESULT OF t2 (part; cut): " in prompts[0]
    assert " ===\nword0 " in prompts[0]
    assert '"outcome":"cut"' in prompts[0]


def test_a_quick_run_does_not_notice_its_deadline() -> None:
    run = told(20.0, worker="Done.")
    assert run.run.coverage.complete
    assert run.run.coverage.degraded == ()


def test_the_time_for_the_answer_is_what_the_runs_own_calls_show() -> None:
    slow = told(100.0, orchestrator=lambda _c, _n: [10.0, PLAN[:40], 1.0, PLAN[40:]])
    quick = told(100.0, orchestrator=lambda _c, _n: [0.1, PLAN[:40], 0.01, PLAN[40:]])
    (cut_early,), (cut_late,) = (run.at("subtask_finished", outcome="cut") for run in (slow, quick))
    assert cut_early < cut_late


def test_a_plan_that_is_not_whole_in_time_is_taken_as_far_as_it_came() -> None:
    run = told(20.0, orchestrator=lambda _c, _n: [PLAN[:-30], 100.0, PLAN[-30:]], worker=worker)
    assert run.run.coverage.plan == "incomplete"
    assert "the deadline came before the plan was whole" in run.run.plan.remarks
    assert run.run.results["t1"].outcome == "done"
    assert run.run.answer == "The answer is there."
    assert run.at("run_finished")[0] <= 20.0


def test_no_plan_in_time_is_an_error_that_says_so() -> None:
    run = told(5.0, orchestrator=lambda _c, _n: [100.0, PLAN])
    assert isinstance(run.error, DeadlineError)
    assert "the deadline of 5 s came before there was a plan" in str(run.error)


def test_nothing_done_in_time_is_an_error_that_says_so() -> None:
    run = told(5.0, worker=lambda _c, _n: [100.0, "late"])
    assert isinstance(run.error, DeadlineError)
    assert "before any subtask was done" in str(run.error)


def test_what_needs_something_that_was_cut_was_never_asked() -> None:
    plan = plan_of(
        {"type": "part", "description": "slow", "id": "a"}, {"type": "part", "description": "b", "needs": ["a"]}
    )
    run = told(20.0, orchestrator=plan)
    assert [result.outcome for result in run.run.results.values()] == ["cut", "skipped"]
    assert len(run.only("call_started")) == 3


def test_an_answer_that_is_not_whole_in_time_is_kept_as_far_as_it_came() -> None:
    run = told(20.0, synthesizer=lambda _c, _n: ["The answer", 100.0, " is there."])
    assert run.run.answer == "The answer"
    assert run.run.coverage.answer == "cut"
    assert run.at("run_finished") == [20.0]


def test_without_time_to_merge_the_results_themselves_are_the_answer() -> None:
    run = told(20.0, synthesizer=lambda _c, _n: [100.0, "late"])
    assert run.run.coverage.answer == "unmerged"
    assert run.run.answer
    assert "Done quickly." in run.run.answer
    assert run.run.status == "finished"


def test_without_a_synthesizer_workers_have_all_the_time() -> None:
    run = carry(
        by_role(orchestrator=PLAN, worker=worker), within(20.0, Definition(Role("sim:o"), {"part": Role("sim:w")}))
    )
    assert run.at("subtask_finished", outcome="cut") == [20.0]
    assert run.run.answer
    assert "Done quickly." in run.run.answer


@pytest.mark.parametrize("streamed", [True, False])
def test_workers_are_streamed_only_if_there_is_a_deadline(streamed: bool) -> None:
    asked: list[Call] = []

    def listening(call: Call, _: int) -> Iterable[Beat]:
        asked.append(call)
        return ["ok"]

    definition = within(20.0) if streamed else TRIO
    carry(by_role(orchestrator=PLAN, worker=listening, synthesizer="x"), definition)
    assert {call.stream for call in asked} == {streamed}


def test_a_cut_call_is_paid_as_far_as_it_was_heard() -> None:
    run = told(20.0, worker=lambda _c, _n: ["a" * 300, 100.0])
    (cut, _) = [event for event in run.only("call_finished") if event.role == "worker"]
    assert cut.finish == "stopped"
    assert cut.lost.output_tokens == 100 + 32  # what was written behind the last piece, nobody heard
    assert cut.usage is None


def test_a_run_that_goes_on_asks_for_the_rest_of_its_plan_and_does_what_was_cut() -> None:
    first = told(20.0, orchestrator=lambda _c, _n: [PLAN[:-30], 100.0, PLAN[-30:]])
    assert first.run.coverage.plan == "incomplete"
    history = [event for _, event in first.events if event.stored]
    second = carry(by_role(orchestrator=PLAN, worker="Done.", synthesizer="All of it."), history=history)
    assert second.run.coverage.complete
    assert [subtask.id for subtask in second.run.plan.subtasks] == ["t1", "t2"]
    assert second.run.answer == "All of it."
