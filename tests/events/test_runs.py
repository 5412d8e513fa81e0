"""A run is its events: what `fold` makes of them."""

import time
from decimal import Decimal
from itertools import pairwise

from hypothesis import given

from drawn import examples
from logs import STARTED, answered, done, finished, logs, planned, started
from stretto import Coverage, Result, Subtask, Usage
from stretto import events as e
from stretto.fold import Fold, fold
from stretto.ground.ids import new_ulid
from stretto.runs import coverage_of


@examples(50)
@given(logs())
def test_folding_is_the_same_at_once_and_event_by_event(log: list[e.AnyEvent]) -> None:
    reader = Fold()
    for count, event in enumerate(log, 1):
        reader.take(event)
        assert reader.run == fold(log[:count])


@examples(50)
@given(logs())
def test_a_fold_keeps_the_plan_in_order_and_has_a_result_only_for_what_was_planned(log: list[e.AnyEvent]) -> None:
    run = fold(log)
    in_log = [event.subtask for event in log if isinstance(event, e.SubtaskPlanned)]

    assert [subtask.id for subtask in run.plan.subtasks] == in_log
    assert [subtask for subtask in in_log if subtask in run.results] == list(run.results)
    # Who goes on with a run right behind the event that began it, or had it go on, does what that one was to do.
    resumed = (before for before, event in pairwise(log) if isinstance(event, e.RunResumed))
    assert run.executions == 1 + sum(not isinstance(before, e.RunStarted | e.RunResumed) for before in resumed)
    assert run.last_at == log[-1].at
    assert len({call.id for call in run.calls}) == len(run.calls)


@examples(50)
@given(logs())
def test_the_log_read_back_from_json_folds_to_the_same_run(log: list[e.AnyEvent]) -> None:
    assert fold(e.decode(e.encode(event)) for event in log) == fold(log)


def test_usage_is_summed_over_executions_and_what_was_reused_is_saved_not_paid() -> None:
    run = fold([
        STARTED, finished("c1"), finished("c2"), e.RunInterrupted(),
        e.RunResumed(workflow={}), finished("c3", reused=True), finished("c4"), answered("yes"),
    ])  # fmt: skip

    assert run.usage == Usage(30, 15)
    assert run.saved == Usage(10, 5)


def test_cost_is_the_sum_of_known_prices_and_unknown_as_soon_as_one_is_unknown() -> None:
    one, two = finished("c1", cost=Decimal("0.10")), finished("c2", cost=Decimal("0.02"))

    assert fold([STARTED, one, two]).cost == Decimal("0.12")
    assert fold([STARTED, one, finished("c2", cost=None)]).cost is None


def test_a_reused_call_costs_nothing_though_its_price_is_unknown() -> None:
    assert fold([STARTED, finished("c1", reused=True)]).cost == Decimal(0)
    assert fold([STARTED, finished("c1", cost=Decimal(3)), finished("c2", reused=True)]).cost == Decimal(3)


def test_usage_that_a_provider_did_not_tell_is_not_invented() -> None:
    run = fold([STARTED, finished("c1", usage=None)])

    assert run.usage == Usage()
    assert run.calls[0].finished is not None
    assert run.calls[0].finished.usage is None


def test_a_run_without_an_end_is_running() -> None:
    run = fold([STARTED, planned("t1"), started("c1")])

    assert (run.status, run.answer, run.plan.state) == ("running", "", None)
    assert run.calls[0].finished is None


def test_an_interrupted_run_is_interrupted_until_it_goes_on() -> None:
    log: list[e.AnyEvent] = [STARTED, planned("t1"), done("t1"), e.RunInterrupted(reason="Ctrl-C")]

    assert (fold(log).status, fold(log).error) == ("interrupted", "Ctrl-C")
    again = fold([*log, e.RunResumed(workflow={"v": 2})])
    assert (again.status, again.error, again.executions, again.workflow) == ("running", None, 2, {"v": 2})
    assert again.results["t1"].text == "text"


def test_a_failed_run_says_why_and_forgets_it_when_it_is_resumed() -> None:
    log: list[e.AnyEvent] = [STARTED, e.RunFailed(error="no plan", error_type="PlanError")]

    assert (fold(log).status, fold(log).error, fold(log).error_type) == ("failed", "no plan", "PlanError")
    resumed = fold([*log, e.RunResumed(workflow={})])
    assert (resumed.status, resumed.error, resumed.error_type) == ("running", None, None)


def test_a_run_resumed_twice_counts_three_executions() -> None:
    again = e.RunResumed(workflow={})
    run = fold([STARTED, e.RunInterrupted(), again, e.RunFailed(error="x", error_type="y"), again, answered("yes")])

    assert (run.executions, run.status, run.answer, run.error) == (3, "finished", "yes", None)


def test_a_finished_run_that_is_resumed_has_no_answer_and_no_old_coverage_until_it_finishes_again() -> None:
    log: list[e.AnyEvent] = [STARTED, planned("t1"), e.SubtaskFinished(subtask="t1", outcome="failed", error="500")]
    old = e.RunFinished(answer="old", usage=Usage(), coverage=Coverage({"done": 99}))
    between = fold([*log, old, e.RunResumed(workflow={}), e.SubtaskStarted(subtask="t1"), done("t1")])

    assert (between.status, between.answer) == ("running", "")
    assert between.coverage.counts["done"] == 1
    assert fold([*log, old, e.RunResumed(workflow={}), answered("new")]).answer == "new"


def test_a_subtask_that_is_done_again_has_no_result_until_it_is_done() -> None:
    failed = e.SubtaskFinished(subtask="t1", outcome="failed", error="500")
    log: list[e.AnyEvent] = [STARTED, planned("t1"), failed, e.RunResumed(workflow={}), e.SubtaskStarted(subtask="t1")]

    assert fold(log).results == {}
    assert fold([*log, done("t1", "better")]).results == {"t1": Result("t1", "done", "better")}


def test_a_call_that_was_held_back_before_it_was_sent_is_a_call_with_a_retry() -> None:
    retried = e.CallRetried(reason="429", wait=2.0, attempt=0, rate_limited=True, call="c1", subtask="t1", model="m")
    run = fold([STARTED, retried, started("c1"), retried, finished("c1")])

    assert len(run.calls) == 1
    assert run.calls[0].finished == finished("c1")


def test_a_run_that_was_answered_by_the_simulator_later_is_marked_as_simulated() -> None:
    assert not fold([STARTED]).simulated
    assert fold([STARTED, e.RunResumed(workflow={}), finished("c1", simulated=True)]).simulated


def test_coverage_counts_outcomes_and_lists_all_that_is_not_done_in_the_order_of_the_plan() -> None:
    subtasks = [Subtask(f"t{n}", "a", "") for n in range(1, 7)]
    results = {
        "t6": Result("t6", "cut"),
        "t5": Result("t5", "skipped", error="it needs 't2', which is failed"),
        "t3": Result("t3", "truncated", "half", "token limit"),
        "t2": Result("t2", "failed", error="500"),
        "t1": Result("t1", "done", "x"),
    }
    coverage = coverage_of(subtasks, results)

    assert coverage.counts == {"done": 1, "truncated": 1, "cut": 1, "failed": 1, "skipped": 1}
    assert [missing.subtask for missing in coverage.missing] == ["t2", "t3", "t5", "t6"]
    assert coverage.missing[3].reason == "cut"
    assert not coverage.complete


def test_coverage_is_complete_only_with_a_whole_plan_and_a_whole_answer() -> None:
    subtasks, results = [Subtask("t1", "a", "")], {"t1": Result("t1", "done", "x")}

    assert coverage_of(subtasks, results).complete
    assert not coverage_of(subtasks, results, "incomplete").complete
    assert not coverage_of(subtasks, results, "bounded").complete
    assert not coverage_of(subtasks, results, "complete", "truncated").complete


def test_run_ids_are_ulids_that_sort_by_time_and_never_repeat() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_ulid())
        time.sleep(0.002)

    assert ids == sorted(ids)
    assert all(len(one) == 26 and one.isalnum() and one == one.upper() for one in ids)
    assert len({new_ulid() for _ in range(2000)}) == 2000
