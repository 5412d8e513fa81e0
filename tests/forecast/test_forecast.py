"""What a plan will take: from recorded calls where there are some, else from prices and defaults."""

import math
import sqlite3
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drawn import examples
from stretto import Definition, Input, Limits, Plan, Price, Result, Role, Subtask, Workflow
from stretto.errors import TaskError
from stretto.forecast.drawn import Grounds
from stretto.forecast.gate import Work, forecast
from stretto.forecast.history import History, Kind
from stretto.proposal import Proposal, Range, dependents, without
from stretto.store.efforts import Effort, newest_efforts

DEFINITION = Definition(Role("x:o"), {"part": Role("x:w")}, Role("x:s"))
PRICES = dict.fromkeys(("x:o", "x:w", "x:s", "x:c", "x:d"), Price(Decimal(1), Decimal(1)))
WORK = Work("Explain tides.")
PRICED = Grounds(History(), PRICES)
TASK = "Compare three ways to make tea in 3 subtasks"


def plan(*needs: str) -> Plan:
    """Subtasks t1, t2, …, each given by the numbers of those it needs."""
    lines = enumerate(needs, 1)
    return Plan(
        tuple(Subtask(f"t{n}", "part", f"Do {n}.", tuple(f"t{x}" for x in each)) for n, each in lines), "complete"
    )


def efforts(seconds: float, tokens: int, number: int = 10, **facts: Any) -> list[Effort]:
    """Recorded calls that all took the same; a worker's, if nothing else is said."""
    usual = {"model": "x:w", "role": "worker", "type": "part", "part": "", "input_tokens": 10, "simulated": False}
    return [Effort(**{**usual, "output_tokens": tokens, "seconds": seconds, **facts}) for _ in range(number)]


EVEN = [*efforts(2.0, 100), *efforts(3.0, 50, model="x:s", role="synthesizer", type="")]


def told(*needs: str, known: list[Effort] = EVEN, definition: Definition = DEFINITION, **limits: Any) -> Proposal:
    definition = replace(definition, limits=Limits(**limits))
    return forecast(definition, plan(*needs), WORK, Grounds(History(known), PRICES))


def test_calls_that_always_took_the_same_are_forecast_exactly() -> None:
    proposal = told("", "", "1")
    assert (proposal.total.seconds.p50, proposal.total.seconds.p95) == (7.0, 7.0)  # two after each other, then 3 s
    assert [line.seconds.p50 for line in (*proposal.lines, proposal.answer)] == [2.0, 2.0, 2.0, 3.0]
    assert (proposal.total.calls, proposal.total.source, proposal.total.known) == (4, "history", 20)


def test_the_chain_that_ends_last_is_marked_with_the_answer() -> None:
    proposal = told("", "", "1", "3")
    assert [line.name for line in (*proposal.lines, proposal.answer) if line.critical] == ["t1", "t3", "t4", "answer"]


@pytest.mark.slow
def test_a_dependent_reads_the_results_it_needs_and_the_answer_reads_all() -> None:
    alone, needing = told("", ""), told("", "1")
    assert 100 <= needing.lines[1].tokens.p50 - alone.lines[1].tokens.p50 < 200  # the result, and what it stands under
    more = told("", "", "")
    assert more.answer.tokens.p50 - alone.answer.tokens.p50 > 100


@pytest.mark.parametrize(("limits", "seconds"), [({"parallel": 2}, 4 + 3), ({"rpm": 60.0}, 3 + 2 + 3), ({}, 2 + 3)])
def test_the_workflows_own_limits_hold_calls_back(limits: dict[str, Any], seconds: float) -> None:
    assert told("", "", "", "", **limits).total.seconds.p95 == pytest.approx(seconds)


def test_without_history_prices_and_defaults_tell_and_a_reply_keeps_to_its_limit() -> None:
    worker = Role("x:w", options={"max_tokens": 600})
    proposal = told("", known=[], definition=replace(DEFINITION, workers={"part": worker}))
    (line,) = proposal.lines
    assert line.source == "defaults"
    assert line.known == 0
    assert line.seconds.p95 <= 600 / 60 + 3
    assert line.tokens.p50 < line.tokens.p95 < 1000
    assert line.cost is not None
    assert line.cost.p50 < line.cost.p95
    mixed = told("", known=efforts(2.0, 100))
    assert (mixed.lines[0].source, mixed.answer.source, mixed.total.source) == ("history", "defaults", "mixed")


def test_a_price_that_is_unknown_makes_the_cost_unknown_and_nothing_else() -> None:
    grounds = Grounds(History(EVEN), {**PRICES, "x:s": None})
    proposal = forecast(DEFINITION, plan("", ""), WORK, grounds)
    assert (proposal.answer.cost, proposal.total.cost) == (None, None)
    assert proposal.lines[0].cost is not None
    assert proposal.total.tokens.p50 > 200


def test_the_price_of_long_prompts_is_that_of_their_tier() -> None:
    price = Price(Decimal(1), Decimal(0), above=((5, Price(Decimal(10), Decimal(0))),))
    dear = forecast(DEFINITION, plan(""), WORK, Grounds(History(EVEN), {**PRICES, "x:w": price})).lines[0].cost
    cheap = forecast(DEFINITION, plan(""), WORK, Grounds(History(EVEN), {**PRICES, "x:w": replace(price, above=())}))
    assert dear is not None
    assert cheap.lines[0].cost is not None
    assert dear.p50 == pytest.approx(10 * cheap.lines[0].cost.p50, rel=Decimal("0.1"))


def test_members_of_an_ensemble_run_at_once_then_merge_then_check() -> None:
    worker = Role("x:w", models=("x:w", "x:d"), samples=2, check=Role("x:c", about="Is it true?"))
    definition = replace(DEFINITION, workers={"part": worker})
    known = [*EVEN, *efforts(4.0, 100, model="x:d"), *efforts(1.0, 9, model="x:c", part="check")]
    (line,) = told("", definition=definition, known=known).lines
    assert line.calls == 2 * 2 + 1 + 1
    assert line.seconds.p50 == 4.0 + 2.0 + 1.0
    # A checker without a model is the worker's own, and a vote takes no call.
    vote = replace(definition, workers={"part": replace(worker, merge="vote", check="Is it true?")})
    (line,) = told("", definition=vote, known=known).lines
    assert (line.calls, line.seconds.p50) == (2 * 2 + 1, 4.0 + 2.0)


@pytest.mark.slow
def test_a_workflow_within_a_subtask_is_forecast_as_a_plan_some_work_and_an_answer_and_its_check() -> None:
    part = Definition(Role("x:o"), {"deep": Role("x:d")}, Role("x:s"))
    definition = replace(DEFINITION, workers={"part": Role(workflow=part, check=Role("x:c"))})
    known = [*EVEN, *efforts(1.0, 10, model="x:o", part="plan"), *efforts(4.0, 10, model="x:d", type="deep")]
    (line,) = told("", definition=definition, known=known).lines
    assert (line.calls, line.source) == (1 + 4 + 1 + 1, "mixed")
    (line,) = told("", definition=definition, known=[*known, *efforts(0.5, 10, model="x:c", part="check")]).lines
    assert (line.seconds.p50, line.source) == (1.0 + 4.0 + 3.0 + 0.5, "history")
    proposal = told("", definition=definition, known=known, max_subtasks=3)  # of the whole run
    assert proposal.lines[0].calls == 1 + 2 + 1  # what its plan lacks makes it doubtful anyway: nobody checks it


@pytest.mark.slow
def test_a_further_round_is_forecast_as_one_that_adds_nothing() -> None:
    once, twice = told("", ""), told("", "", rounds=2, known=[*EVEN, *efforts(5.0, 20, model="x:o")])
    assert (once.total.calls, twice.total.calls) == (3, 4)
    assert twice.total.seconds.p50 == once.total.seconds.p50 + 5.0
    assert [line.calls for line in (*twice.lines, twice.answer)] == [1, 1, 1]


@pytest.mark.slow
def test_results_that_are_too_long_for_who_writes_the_answer_are_forecast_with_what_condenses_them() -> None:
    long = [*efforts(2.0, 3000), *efforts(1.0, 800, part="condense"), *efforts(3.0, 50, model="x:s", type="")]
    small = replace(DEFINITION, synthesizer=Role("x:s", context=6000))
    proposal = told("", "", known=long, definition=small)
    assert proposal.total.calls > 3
    assert sum(line.calls for line in proposal.lines) == proposal.total.calls - 1
    assert told("", "", known=long).total.calls == 3


def test_replies_that_must_fit_a_schema_are_asked_once_as_those_that_need_not() -> None:
    schema = {"type": "object", "properties": {"found": {"type": "string"}}, "required": ["found"]}
    shaped = Definition(Role("x:o"), {"part": Role("x:w", schema=schema)}, Role("x:s", schema=schema))
    assert told("", "1", definition=shaped).total.calls == 3


def test_a_function_takes_no_tokens_and_returns_text_all_the_same() -> None:
    functions = replace(DEFINITION, workers={"part": Role("python:there@1")})
    proposal = told("", "", definition=functions, known=[])
    assert [line.cost for line in proposal.lines] == [Range(Decimal(0), Decimal(0))] * 2
    assert [line.tokens.p95 for line in proposal.lines] == [0, 0]
    assert proposal.answer.tokens.p50 > 2 * 300  # it reads what they return


def test_who_reads_a_share_of_the_inputs_has_a_shorter_prompt_than_who_reads_all() -> None:
    inputs = (Input("a", "word " * 2000), Input("b", "word " * 2000))
    subtasks = (Subtask("t1", "part", "Do."), Subtask("t2", "part", "Do.", reads=("i1",)))
    proposal = forecast(DEFINITION, Plan(subtasks, "complete"), Work("Tea?", inputs), Grounds(History(EVEN), PRICES))
    whole, share = (line.tokens.p50 for line in proposal.lines)
    assert share < 0.6 * whole


def test_what_is_done_and_what_cannot_be_done_takes_no_calls() -> None:
    subtasks = (
        Subtask("a", "part", "Do."),
        Subtask("b", "strange", "Do."),
        Subtask("c", "part", "Do.", ("b",)),
        Subtask("d", "part", "Do.", ("a",)),
    )
    definition = replace(DEFINITION, workers={"part": Role("x:w"), "other": Role("x:w")})
    work = Work("Explain tides.", results={"a": Result("a", "done", "x" * 300)})
    proposal = forecast(definition, Plan(subtasks, "complete"), work, Grounds(History(EVEN), PRICES))
    assert [line.calls for line in proposal.lines] == [0, 0, 1, 1]  # what needs it is done all the same
    assert proposal.total.seconds.p50 == 5.0
    failed = Work("Explain tides.", results={"a": Result("a", "failed", error="no")})
    assert forecast(definition, Plan(subtasks, "complete"), failed, PRICED).lines[0].calls == 1


def test_a_plan_without_subtasks_is_one_call_for_the_answer() -> None:
    proposal = forecast(DEFINITION, Plan((), "complete"), WORK, Grounds(History(EVEN), PRICES))
    assert proposal.lines == ()
    assert (proposal.answer.calls, proposal.total.calls, proposal.total.seconds.p50) == (1, 1, 3.0)


def test_without_a_synthesizer_the_answer_takes_nothing() -> None:
    proposal = forecast(replace(DEFINITION, synthesizer=None), plan("", ""), WORK, Grounds(History(EVEN), PRICES))
    assert (proposal.answer.calls, proposal.total.seconds.p50) == (0, 2.0)


@pytest.mark.slow
def test_the_same_arguments_make_the_same_forecast() -> None:
    assert forecast(DEFINITION, plan("", "1"), WORK, PRICED) == forecast(DEFINITION, plan("", "1"), WORK, PRICED)


# -- history


def test_few_calls_tell_about_where_it_is_but_not_how_much_it_differs() -> None:
    few, many = (told("", known=efforts(2.0, 100, number)).lines[0].seconds for number in (4, 5))
    assert many.p50 == many.p95 == 2.0
    assert few.p50 == pytest.approx(2.0, rel=0.1)
    assert few.p95 > 3.0


def test_simulated_calls_tell_of_simulated_models_only() -> None:
    known = [*efforts(1.0, 10, simulated=True), *efforts(9.0, 90)]
    kind = Kind("x:w", "worker", "part")
    assert {each.seconds for each in History(known).like(kind)} == {9.0}
    assert {each.seconds for each in History(known, {"x"}).like(kind)} == {1.0}


def test_a_type_nobody_knows_is_told_by_its_models_other_workers_then_by_all_its_calls() -> None:
    plans = efforts(9.0, 90, role="orchestrator", type="")
    history = History([*efforts(1.0, 10), *efforts(2.0, 10, 4, type="other"), *plans])
    assert {each.seconds for each in history.like(Kind("x:w", "worker", "other"))} == {2.0}
    assert {each.seconds for each in history.like(Kind("x:w", "worker", "new"))} == {1.0, 2.0}
    assert {each.seconds for each in History(plans).like(Kind("x:w", "worker", "part"))} == {9.0}
    assert {each.seconds for each in history.like(Kind("x:w", "orchestrator"))} == {9.0}
    assert not history.like(Kind("y:w", "worker", "part"))


def test_a_store_tells_what_its_calls_took_without_those_that_were_reused(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    flow = Workflow("sim:instant", {"part": "sim:instant"}, "sim:instant", store=path)
    first = flow.run_sync(TASK)
    found = newest_efforts(path)
    assert {(each.role, each.type) for each in found} == {("orchestrator", ""), ("worker", "part"), ("synthesizer", "")}
    assert len(found) == len(first.calls)
    assert all(each.simulated and each.seconds >= 0 and each.output_tokens > 0 for each in found)
    assert sum(each.output_tokens for each in found) == first.usage.output_tokens


def test_a_damaged_event_counts_as_not_there(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    run = Workflow("sim:instant", {"part": "sim:instant"}, "sim:instant", store=path).run_sync(TASK)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET body = ? WHERE kind = 'call_finished' AND seq % 2", (b"\xff",))
    assert len(newest_efforts(path)) < len(run.calls)


# -- scheduling, and leaving out


@pytest.mark.slow
@examples(60)
@given(st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=8), st.integers(1, 9))
def test_a_forecast_keeps_to_needs_and_is_no_shorter_than_its_work(drawn: list[set[int]], parallel: int) -> None:
    needs = [sorted({n % place + 1 for n in each} if place else ()) for place, each in enumerate(drawn)]
    depths = list[int]()
    for each in needs:
        depths.append(1 + max((depths[need - 1] for need in each), default=0))
    subtasks = tuple(
        Subtask(f"t{n}", "part", f"Do {n}.", tuple(f"t{need}" for need in each)) for n, each in enumerate(needs, 1)
    )
    definition = replace(DEFINITION, limits=Limits(parallel=parallel))
    proposal = forecast(definition, Plan(subtasks, "complete"), WORK, Grounds(History(EVEN), PRICES))
    taken = proposal.total.seconds.p50 - 3.0
    assert 2.0 * max(*depths, math.ceil(len(needs) / parallel)) <= taken <= 2.0 * len(needs)
    chain = [line for line in proposal.lines if line.critical]
    assert all(before.name in after.needs for before, after in pairwise(chain))


def test_who_needs_what_is_left_out_is_named() -> None:
    tree = plan("", "1", "2", "")
    assert dependents(tree.subtasks, ["t1"]) == ("t2", "t3")
    with pytest.raises(TaskError, match=r"drop: t2, t3 need t1; drop t2, t3 as well"):
        without(tree, ["t1"])
    assert [each.id for each in without(tree, ["t1", "t2", "t3"]).subtasks] == ["t4"]
    with pytest.raises(TaskError, match="no subtask 't9' in the plan; there are t1"):
        without(tree, ["t9"])
    with pytest.raises(TaskError, match="nothing would be left"):
        without(tree, ["t1", "t2", "t3", "t4"])
