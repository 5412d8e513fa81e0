"""The spine, in virtual time: what starts when, what a failure costs, and what is passed on of it."""

import heapq
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from models import TRIO, Beat, Script, Scripted, Told, by_role, carry, plan_of
from stretto import Definition, Limits, Role, Usage
from stretto.calls import Call, Done, Reasoning, Restarted, Sent
from stretto.errors import (
    AuthError,
    CallError,
    ConnectError,
    CutError,
    PlanError,
    RateLimited,
    RequestError,
    ServerError,
    StoreError,
    WorkError,
)
from stretto.events import AnyEvent, CallStarted
from stretto.fold import fold

DONE_OF_TEN = {"done": 9, "truncated": 0, "cut": 0, "failed": 1, "skipped": 0}
TEN = [f"Piece {n}." for n in range(1, 11)]


def letter_by_letter(text: str, pause: float) -> Iterable[Beat]:
    for letter in text:
        yield letter
        yield pause


def unless(part: str, *instead: Beat) -> Script:
    """A worker that does everything but one part."""

    def script(call: Call, _: int) -> Iterable[Beat]:
        prompt = call.request.messages[-1].content
        return instead if part in prompt else [f"Done: {prompt.split('Your part:')[-1].strip().splitlines()[0]}"]

    return script


def limited(**limits: Any) -> Definition:
    return Definition(TRIO.orchestrator, TRIO.workers, TRIO.synthesizer, Limits(**limits))


# When things start


def test_a_worker_is_asked_at_the_very_letter_that_closes_its_subtask() -> None:
    plan = plan_of("One.", "Two.", "Three.")
    told = carry(by_role(orchestrator=lambda *_: letter_by_letter(plan, 0.01), worker="Done.", synthesizer="All."))
    closings = [at for at, letter in enumerate(plan) if letter == "}"][:3]
    assert told.at("call_started", role="worker") == pytest.approx([0.01 * at for at in closings])
    assert told.at("call_started", role="worker")[-1] < told.at("plan_finished")[0]
    assert told.at("subtask_finished", subtask="t1")[0] < told.at("subtask_planned", subtask="t2")[0]


def test_events_of_a_subtask_come_in_their_order_and_the_last_event_is_the_end() -> None:
    told = carry(by_role(orchestrator=plan_of("One."), worker="Done.", synthesizer="All."))
    kinds = [event.kind for _, event in told.events]
    of_work = [kind for kind in kinds if kind != "answer_delta"]
    assert of_work == [
        "run_started", "call_started", "subtask_planned", "call_finished", "plan_finished",
        "subtask_started", "call_started", "call_finished", "subtask_finished",
        "call_started", "call_finished", "run_finished",
    ]  # fmt: skip
    assert [event.seq for _, event in told.events if event.stored] == list(range(1, len(of_work) + 1))


Dag = list[tuple[float, list[int]]]


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """Subtasks with their seconds and the earlier ones they need."""
    size = draw(st.integers(1, 12))
    seconds = st.integers(1, 50).map(lambda n: n / 10)
    needs = [draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else [] for n in range(size)]
    return [(draw(seconds) + n / 1000, needed) for n, needed in enumerate(needs)]  # alike ones would be one call


def plan_with_needs(dag: Dag) -> str:
    return plan_of(
        *(
            {"id": f"s{n}", "type": "part", "description": f"takes {seconds}", "needs": [f"s{need}" for need in needs]}
            for n, (seconds, needs) in enumerate(dag)
        )
    )


def as_long_as_it_says(call: Call, _: int) -> Iterable[Beat]:
    said = call.request.messages[-1].content.split("takes ")[-1].split()[0]
    return [float(said), f"After {said} s."]


@examples(60)
@given(dags())
def test_every_subtask_starts_the_moment_its_needs_are_there_so_the_makespan_is_the_critical_path(dag: Dag) -> None:
    ends: list[float] = []
    starts: list[float] = []
    for seconds, needs in dag:
        starts.append(max((ends[need] for need in needs), default=0.0))
        ends.append(starts[-1] + seconds)
    told = carry(by_role(orchestrator=plan_with_needs(dag), worker=as_long_as_it_says, synthesizer="All."))
    for n, start in enumerate(starts):
        assert told.at("subtask_started", subtask=f"s{n}")[0] == pytest.approx(start)
    assert told.at("run_finished")[0] == pytest.approx(max(ends))


def uneven(count: int) -> list[float]:
    return [1.0 + (n * 37 % 100) / 25 for n in range(count)]


def done_by(seconds: Sequence[float], hands: int) -> float:
    """When so many hands are through that take the next piece whenever one is free."""
    free = [0.0] * hands
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def test_uneven_workers_keep_eight_calls_in_flight_all_the_time() -> None:
    seconds = uneven(60)
    model = Scripted(
        by_role(orchestrator=plan_with_needs([(s, []) for s in seconds]), worker=as_long_as_it_says, synthesizer="All.")
    )
    told = carry(model, limited(parallel=8))
    assert model.most_in_flight == 8
    assert told.at("run_finished")[0] == pytest.approx(done_by(seconds, 8))


def test_thirty_workers_at_300_requests_a_minute_go_out_at_exactly_that_rate() -> None:
    model = Scripted(
        by_role(
            orchestrator=plan_with_needs([(2.0 + n / 1000, []) for n in range(30)]),
            worker=as_long_as_it_says,
            synthesizer="All.",
        )
    )
    told = carry(model, limited(rpm=300))
    # A second's worth at once, of which the plan took one; then one every fifth of a second.
    assert model.sent_at[1:31] == pytest.approx([max(0.0, (n - 3) / 5) for n in range(30)], abs=1e-5)
    assert told.at("run_finished")[0] == pytest.approx(26 / 5 + 2.029, abs=1e-3)


def test_identical_subtasks_are_one_subtask() -> None:
    tasks: list[dict[str, Any]] = [{**subtask(f"s{n}"), "description": "Same."} for n in range(3)]
    tasks += [subtask("x", needs=["s2"])]
    model = Scripted(by_role(orchestrator=plan_of(*tasks), worker=lambda *_: [1.0, "Done."], synthesizer="!"))
    told = carry(model)
    assert [s.id for s in told.run.plan.subtasks] == ["s0", "x"]
    assert told.run.plan.subtasks[1].needs == ("s0",)
    assert len(model.prompts("worker")) == 2
    assert told.run.coverage.complete


def test_of_two_plans_the_first_is_carried_out_and_the_second_is_told() -> None:
    plans = f"{plan_of('One.', 'Two.')}\nNo, better:\n{plan_of('Three.', 'Four.')}"
    told = carry(Scripted(by_role(orchestrator=plans, worker="Done.", synthesizer="All.")))
    assert [s.description for s in told.run.plan.subtasks] == ["One.", "Two."]
    assert "a further plan" in told.run.plan.remarks[0]


def test_an_orchestrator_that_lists_the_same_again_and_again_is_stopped() -> None:
    def orchestrator(*_: object) -> Iterable[Beat]:
        yield plan_of("One.", "Two.").removesuffix("]}")
        for _again in range(1000):
            yield ', {"type": "part", "description": "Two."}'
            yield 0.1

    model = Scripted(by_role(orchestrator=orchestrator, worker="Done.", synthesizer="All."))
    told = carry(model)
    assert [s.description for s in told.run.plan.subtasks] == ["One.", "Two."]
    assert told.run.coverage.complete
    assert "again and again" in told.run.plan.remarks[0]
    assert model.cancelled == 1
    assert told.at("plan_finished")[0] < 1


def test_identical_requests_are_one_call() -> None:
    definition = Definition(Role("sim:o"), {"part": Role("sim:w", "Do {task_type}")}, Role("sim:s"))
    model = Scripted(by_role(orchestrator=plan_of("One.", "Two."), worker=lambda *_: [1.0, "Done."], synthesizer="!"))
    told = carry(model, definition)
    assert len(model.prompts("worker")) == 1
    assert [result.outcome for result in told.run.results.values()] == ["done", "done"]
    assert told.run.saved == Usage(1, 1)


# What a failure costs


def test_a_worker_that_fails_for_ever_costs_one_of_ten_and_the_synthesizer_is_told() -> None:
    model = Scripted(
        by_role(
            orchestrator=plan_of(*TEN), worker=unless("Piece 4.", ServerError("500: boom")), synthesizer="Nine of ten."
        )
    )
    told = carry(model)
    (prompt,) = model.prompts("synthesizer")
    assert [f"Done: {piece}\n" in prompt for piece in TEN] == [piece != "Piece 4." for piece in TEN]
    results, ledger = prompt.split("=== LEDGER ===")
    assert "boom" not in results
    assert '{"id":"t4","type":"part","outcome":"failed","why":"500: boom","description":"Piece 4."}\n' in ledger
    assert told.run.answer == "Nine of ten."
    assert told.run.coverage.counts == DONE_OF_TEN
    assert [(m.subtask, m.type, m.outcome, m.reason) for m in told.run.coverage.missing] == [
        ("t4", "part", "failed", "500: boom")
    ]
    assert not told.run.coverage.complete
    finished = [e for e in told.only("call_finished") if e.subtask == "t4"]
    assert [(e.attempts, e.error, e.finish) for e in finished] == [(4, "500: boom", None)]


def test_a_worker_with_a_bug_costs_one_subtask_too() -> None:
    told = carry(by_role(orchestrator=plan_of(*TEN), worker=unless("Piece 4.", KeyError("oops")), synthesizer="Nine."))
    assert told.run.coverage.counts == DONE_OF_TEN
    assert "KeyError: 'oops'" in told.run.coverage.missing[0].reason
    assert all(call.finished for call in told.run.calls)


def test_a_truncated_result_is_passed_on_as_partial_and_counts_as_missing() -> None:
    model = Scripted(
        by_role(
            orchestrator=plan_of(*TEN),
            worker=unless("Piece 4.", "Half of", Done("length")),
            synthesizer="Nine and a half.",
        )
    )
    told = carry(model)
    (prompt,) = model.prompts("synthesizer")
    assert "=== PARTIAL RESULT OF t4 (part; truncated): Piece 4. ===\nHalf of\n" in prompt
    assert '"outcome":"truncated","why":"' in prompt.split("=== LEDGER ===")[1]
    assert (told.run.results["t4"].outcome, told.run.results["t4"].text) == ("truncated", "Half of")
    assert told.run.coverage.missing[0].outcome == "truncated"


def test_what_a_content_filter_left_is_no_result() -> None:
    model = Scripted(
        by_role(
            orchestrator=plan_of(*TEN),
            worker=unless("Piece 4.", "I may not", Done("content_filter")),
            synthesizer="Nine.",
        )
    )
    told = carry(model)
    assert "I may not" not in model.prompts("synthesizer")[0]
    assert told.run.coverage.counts == DONE_OF_TEN
    assert "content_filter" in told.run.coverage.missing[0].reason


def test_a_broken_reply_is_asked_again_and_nothing_of_it_stays() -> None:
    def worker(_: Call, nth: int) -> Iterable[Beat]:
        return ["Half a th", CutError("cut")] if nth == 0 else ["A whole thought."]

    told = carry(by_role(orchestrator=plan_of("One."), worker=worker, synthesizer="All."))
    assert told.run.results["t1"].text == "A whole thought."
    assert told.run.coverage.complete


def refusing(call: Call, _: int) -> Iterable[Beat]:
    return [RequestError("bad request" if "Piece 1." in call.request.messages[-1].content else "too long")]


def test_when_every_worker_fails_the_task_is_answered_directly_and_that_is_said() -> None:
    model = Scripted(by_role(orchestrator=plan_of(*TEN), worker=refusing, synthesizer="As one call says it."))
    told = carry(model)
    assert told.run.answer == "As one call says it."
    assert told.run.coverage.direct == "none of 10 subtasks has a result: bad request; too long"
    assert not told.run.coverage.complete
    assert model.prompts("synthesizer") == ["Explain tides."]


def test_when_the_direct_call_fails_too_the_run_fails_and_names_each_reason_once() -> None:
    told = carry(by_role(orchestrator=plan_of(*TEN), worker=refusing, synthesizer=lambda *_: [ServerError("500")]))
    assert isinstance(told.error, WorkError)
    assert str(told.error) == "none of 10 subtasks has a result: bad request; too long"
    assert not told.only("run_finished")
    assert all(result.outcome == "failed" for result in told.run.results.values())


def test_a_refused_key_of_all_workers_is_the_cause_of_the_error() -> None:
    told = carry(
        by_role(orchestrator=plan_of("One.", "Two."), worker=lambda *_: [AuthError("401: no")], synthesizer="")
    )
    assert isinstance(told.error, WorkError)
    assert isinstance(told.error.__cause__, AuthError)


def test_a_worker_that_says_nothing_is_asked_once_more_and_then_has_failed() -> None:
    model = Scripted(by_role(orchestrator=plan_of("One.", "Two."), worker=unless("One.", "  "), synthesizer="Some."))
    told = carry(model)
    assert told.run.results["t1"].outcome == "failed"
    assert told.run.results["t1"].error == "the model replied with no text, twice"
    assert len([call for call in told.run.calls if call.subtask == "t1"]) == 2
    assert told.run.answer == "Some."


def test_a_worker_that_says_something_when_asked_again_has_a_result() -> None:
    def late(call: Call, _: int) -> Iterable[Beat]:
        return ["Yes."] if "was empty" in call.request.messages[-1].content else []

    model = Scripted(by_role(orchestrator=plan_of("One."), worker=late, synthesizer="!"))
    told = carry(model)
    assert told.run.results["t1"].text == "Yes."
    assert [call.part for call in told.run.calls if call.subtask == "t1"] == ["", "again"]
    assert told.run.coverage.complete


def test_if_the_synthesizer_fails_the_results_are_the_answer() -> None:
    def synthesizer(*_: object) -> Iterable[Beat]:
        return [RequestError("400: too long")]

    told = carry(by_role(orchestrator=plan_of(*TEN), worker=unless("Piece 4.", "Four."), synthesizer=synthesizer))
    assert "Four." in str(told.run.answer)
    assert told.run.coverage.answer == "unmerged"
    assert told.run.coverage.degraded == ("synthesis: the results themselves are the answer: 400: too long",)
    assert told.only("call_finished")[-1].error == "400: too long"


def test_a_store_that_fails_fails_the_run_and_stops_the_other_calls() -> None:
    model = Scripted(by_role(orchestrator=plan_of("One.", "Two."), worker=unless("One.", 60.0, "late"), synthesizer=""))
    broken = Scripted(lambda *_: [])

    async def stream(call: Call) -> Any:
        async for chunk in model.stream(call):
            if call.subtask == "t2":
                raise StoreError("disk full")
            yield chunk

    broken.stream = stream  # type: ignore[method-assign]  # a model whose reader meets the store's error
    told = carry(broken)
    assert isinstance(told.error, StoreError)
    assert model.in_flight == 0
    assert model.cancelled == 2


# The answer


def test_an_answer_that_breaks_off_begins_anew_and_is_whole() -> None:
    def synthesizer(_: Call, nth: int) -> Iterable[Beat]:
        return ["The tides a", CutError("cut")] if nth == 0 else ["The tides ", "follow the moon."]

    told = carry(by_role(orchestrator=plan_of("One."), worker="Done.", synthesizer=synthesizer))
    assert [(e.text, e.restart) for e in told.only("answer_delta")] == [
        ("The tides a", False), ("", True), ("The tides", False), (" follow the moon.", False),
    ]  # fmt: skip
    assert told.run.answer == "The tides follow the moon."
    assert told.run.coverage.complete


def test_an_answer_at_its_token_limit_is_given_and_said_to_be_truncated() -> None:
    told = carry(
        by_role(orchestrator=plan_of("One."), worker="Done.", synthesizer=lambda *_: ["So far", Done("length")])
    )
    assert told.run.answer == "So far"
    assert told.run.coverage.answer == "truncated"
    assert not told.run.coverage.complete


def test_an_answer_that_a_content_filter_stopped_is_none_and_the_results_stand() -> None:
    told = carry(
        by_role(orchestrator=plan_of("One."), worker="Done.", synthesizer=lambda *_: ["So", Done("content_filter")])
    )
    assert told.run.coverage.answer == "unmerged"
    assert "content_filter" in told.run.coverage.degraded[0]
    assert told.run.answer == "=== WORKER RESULT (part) ===\nDone."


def test_reasoning_is_no_part_of_an_answer() -> None:
    told = carry(
        by_role(
            orchestrator=plan_of("One."), worker="Done.", synthesizer=lambda *_: [Reasoning("Hm, tides."), "The moon."]
        )
    )
    assert told.run.answer == "The moon."
    assert [e.text for e in told.only("answer_delta")] == ["The moon."]


def test_without_a_synthesizer_the_results_are_the_answer() -> None:
    told = carry(
        by_role(orchestrator=plan_of("One.", "Two."), worker=unless("One.", 3.0, "First.")),
        Definition(TRIO.orchestrator, {**TRIO.workers, "other": Role("sim:w")}),
    )
    assert told.run.answer == "=== WORKER RESULT (part) ===\nFirst.\n\n=== WORKER RESULT (part) ===\nDone: Two."
    assert [e.text for e in told.only("answer_delta")] == [told.run.answer]


def test_without_a_synthesizer_the_parts_of_one_kind_of_worker_are_one_text() -> None:
    said = by_role(orchestrator=plan_of("One.", "Two.", "Three."), worker=unless("Two.", CutError("no"), "Part."))
    told = carry(said, Definition(TRIO.orchestrator, TRIO.workers))
    assert told.run.answer.startswith("Done: One.\n\n=== MISSING: t2 ===\n\nDone: Three.\n\n=== MISSING ===\n")


# The plan


def test_an_empty_plan_is_answered_by_the_synthesizers_model_from_the_task_alone() -> None:
    model = Scripted(by_role(orchestrator=plan_of(), synthesizer="Forty-two."))
    told = carry(model)
    assert told.run.answer == "Forty-two."
    assert model.prompts("synthesizer") == ["Explain tides."]
    assert model.calls[-1].request.model == "sim:s"
    assert told.run.coverage.complete


def test_an_empty_plan_without_a_synthesizer_is_answered_by_the_orchestrators_model() -> None:
    model = Scripted(by_role(orchestrator=plan_of(), synthesizer="Forty-two."))
    told = carry(model, Definition(Role("sim:o", system="Be brief."), TRIO.workers))
    assert told.run.answer == "Forty-two."
    assert model.calls[-1].request.model == "sim:o"
    assert [message.content for message in model.calls[-1].request.messages] == ["Be brief.", "Explain tides."]
    assert model.calls[-1].request.schema is None


def first_then(first: Sequence[Beat], rest: Sequence[Beat]) -> Script:
    """An orchestrator's first reply, and what it says to the request for the rest."""
    return lambda call, _: rest if "already under way" in call.request.messages[-1].content else first


def obliging(first: Sequence[Beat]) -> Script:
    """An orchestrator whose second reply is exactly what the request for the rest does not name."""

    def script(call: Call, _: int) -> Iterable[Beat]:
        asked = call.request.messages[-1].content
        if "already under way" not in asked:
            return first
        return [plan_of(*(part for part in ("One.", "Two.", "Three.", "Four.") if f'"{part}"' not in asked))]

    return script


WHOLE = plan_of("One.", "Two.", "Three.", "Four.")
BROKEN = WHOLE.replace('"Two."', "17")


@pytest.mark.parametrize(
    "first",
    [
        [WHOLE[: WHOLE.index('"Three') + 3]],
        [WHOLE[: WHOLE.index('"Three') + 3], Done("length")],
        [WHOLE[: WHOLE.index('"Three') + 3], CutError("the connection ended")],
        ["Here you are:\n", BROKEN],
        ["I would begin with the moon."],
        ['{"analysis": "Hm.", "tasks": "none"}'],
    ],
    ids=["cut", "length", "disconnect", "one broken", "prose", "no list"],
)
def test_a_spoilt_plan_is_made_whole_by_one_request_that_names_what_is_under_way(first: list[Beat]) -> None:
    orchestrator = obliging(first)
    model = Scripted(by_role(orchestrator=orchestrator, worker="Done.", synthesizer="All."))
    told = carry(model)
    assert len(model.prompts("orchestrator")) == 2
    assert sorted(s.description for s in told.run.plan.subtasks) == ["Four.", "One.", "Three.", "Two."]
    assert len({s.id for s in told.run.plan.subtasks}) == 4
    assert told.run.coverage.complete
    assert told.run.plan.remarks


@pytest.mark.parametrize("around", [("```json\n", "\n```"), ("Sure! ", " Shall I go on?"), ("", "\n")])
def test_a_fence_or_prose_around_a_plan_costs_nothing(around: tuple[str, str]) -> None:
    model = Scripted(by_role(orchestrator=around[0] + WHOLE + around[1], worker="Done.", synthesizer="All."))
    told = carry(model)
    assert len(model.prompts("orchestrator")) == 1
    assert told.run.coverage.counts["done"] == 4


def test_subtasks_listed_again_in_the_rest_are_not_done_again() -> None:
    half = WHOLE[: WHOLE.index('"Three') + 3]
    model = Scripted(
        by_role(orchestrator=first_then([half], [WHOLE.replace("One.", "One. ")]), worker="Done.", synthesizer="!")
    )
    told = carry(model)
    assert [s.description for s in told.run.plan.subtasks] == ["One.", "Two.", "Three.", "Four."]


@pytest.mark.parametrize(
    "rest", [["Sorry?"], [AuthError("401: no")], [ServerError("500: boom")], ["{", CutError("cut")]]
)
def test_if_the_rest_cannot_be_had_either_the_run_goes_on_and_says_that_the_plan_is_incomplete(
    rest: list[Beat],
) -> None:
    half = WHOLE[: WHOLE.index('"Three') + 3]
    model = Scripted(by_role(orchestrator=first_then([half], rest), worker="Done.", synthesizer="Half."))
    told = carry(model)
    assert told.run.answer == "Half."
    assert told.run.coverage.plan == "incomplete"
    assert told.run.coverage.counts["done"] == 2
    assert not told.run.coverage.complete
    assert "the end of the plan" in model.prompts("synthesizer")[0].split("=== LEDGER ===")[1]


def test_a_task_whose_plan_cannot_be_read_is_answered_directly_and_that_is_said() -> None:
    model = Scripted(by_role(orchestrator="I would begin with the moon.", synthesizer="The moon pulls."))
    told = carry(model)
    assert told.run.answer == "The moon pulls."
    assert "I would begin with the moon." in told.run.coverage.direct
    assert told.run.coverage.plan == "incomplete"
    assert len(model.prompts("orchestrator")) == 2
    assert model.prompts("synthesizer") == ["Explain tides."]


def test_a_plan_that_used_up_its_tokens_before_it_began_says_so() -> None:
    told = carry(by_role(orchestrator=lambda *_: [Reasoning("Hm"), Done("length")], synthesizer="The moon."))
    assert told.run.answer == "The moon."
    assert "'length'" in told.run.coverage.direct


@pytest.mark.parametrize("error", [ServerError("500: boom"), RequestError("400: no schema here")])
def test_a_plan_that_cannot_be_had_is_done_without(error: CallError) -> None:
    told = carry(by_role(orchestrator=lambda *_: [error], synthesizer="The moon."))
    assert told.run.answer == "The moon."
    assert told.run.coverage.direct == str(error)
    assert told.run.coverage.degraded == (f"plan: the task was answered directly: {error}",)


@pytest.mark.parametrize("error", [AuthError("401: no"), ConnectError("refused")])
def test_a_provider_that_refuses_or_is_not_there_is_not_asked_once_more(error: CallError) -> None:
    model = Scripted(by_role(orchestrator=lambda *_: [error], synthesizer="Never."))
    assert carry(model).error is error
    assert not model.prompts("synthesizer")


def test_another_provider_may_answer_where_that_of_the_plan_refuses() -> None:
    definition = Definition(Role("closed:o"), TRIO.workers, Role("sim:s"))
    told = carry(by_role(orchestrator=lambda *_: [AuthError("401")], synthesizer="The moon."), definition)
    assert told.run.answer == "The moon."


@pytest.mark.parametrize("error", [AuthError("401: no"), ServerError("500: boom")])
def test_an_orchestrator_that_cannot_be_asked_fails_the_run_with_its_own_error_if_nobody_answers(
    error: CallError,
) -> None:
    told = carry(by_role(orchestrator=lambda *_: [error]))
    assert told.error is error


def test_an_orchestrator_that_is_cut_while_it_thinks_is_asked_again() -> None:
    def orchestrator(_: Call, nth: int) -> Iterable[Beat]:
        return [Reasoning("Let me see"), CutError("cut")] if nth == 0 else [plan_of("One.")]

    model = Scripted(by_role(orchestrator=orchestrator, worker="Done.", synthesizer="All."))
    assert carry(model).run.coverage.complete
    assert len(model.prompts("orchestrator")) == 2


def test_a_plan_that_a_policy_restarts_is_read_from_the_beginning() -> None:
    spoilt = BROKEN[: BROKEN.index('"Three') + 3]
    model = Scripted(by_role(orchestrator=lambda *_: [spoilt, Restarted(), WHOLE], worker="Done.", synthesizer="All."))
    told = carry(model)
    assert [s.description for s in told.run.plan.subtasks] == ["One.", "Three.", "Two.", "Four."] or [
        s.description for s in told.run.plan.subtasks
    ] == ["One.", "Two.", "Three.", "Four."]
    assert len(model.prompts("orchestrator")) == 1
    assert told.run.coverage.complete


def test_a_plan_of_ten_thousand_is_bounded_and_the_orchestrators_call_is_closed() -> None:
    def orchestrator(*_: object) -> Iterable[Beat]:
        plan = plan_of(*(f"Piece {n}." for n in range(10_000)))
        return (line for at in range(0, len(plan), 100) for line in (plan[at : at + 100], 0.1))

    model = Scripted(by_role(orchestrator=orchestrator, worker="Done.", synthesizer="Some."))
    told = carry(model, limited(max_subtasks=64))
    assert told.run.coverage.counts["done"] == 64
    assert told.run.coverage.plan == "bounded"
    assert not told.run.coverage.complete
    assert told.run.plan.analysis == "It divides."
    assert "max_subtasks = 64" in told.run.plan.remarks[0]
    assert model.cancelled == 1
    (planning,) = (call.finished for call in told.run.calls if call.role == "orchestrator")
    assert planning
    assert (planning.finish, planning.usage) == ("stopped", None)
    assert told.at("run_finished")[0] < 10
    assert "longer than permitted" in model.prompts("synthesizer")[0].split("=== LEDGER ===")[1]


def test_a_plan_of_exactly_max_subtasks_is_whole() -> None:
    told = carry(by_role(orchestrator=plan_of(*TEN), worker="Done.", synthesizer="All."), limited(max_subtasks=10))
    assert told.run.coverage.complete


def test_a_description_of_a_megabyte_reaches_its_worker_whole_and_the_synthesizer_shortened() -> None:
    huge = "m" * 1_000_000
    model = Scripted(
        by_role(orchestrator=plan_of("One.", huge), worker=unless(huge, RequestError("413")), synthesizer="!")
    )
    told = carry(model)
    assert huge in model.prompts("worker")[1]
    assert len(model.prompts("synthesizer")[0]) < 3000
    assert told.run.coverage.missing[0].subtask == "t2"


def outcomes(told: Told) -> dict[str, tuple[str, str | None]]:
    return {id_: (result.outcome, result.error) for id_, result in told.run.results.items()}


TWO_KINDS = Definition(Role("sim:o"), {"draw": Role("sim:d"), "Text/Long": Role("sim:t")}, Role("sim:s"))


def subtask(id_: str, type_: str = "draw", **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": type_, "description": f"Do {id_}.", **more}


def done(definition: Definition, *subtasks: Mapping[str, Any]) -> tuple[Told, Scripted]:
    model = Scripted(by_role(orchestrator=plan_of(*subtasks), worker="Done.", synthesizer="All."))
    return carry(model, definition), model


def test_a_type_nobody_does_is_done_by_another_with_a_remark() -> None:
    told, model = done(TWO_KINDS, subtask("a"), subtask("b", "sing"))
    assert outcomes(told) == {"a": ("done", None), "b": ("done", None)}
    (planned,) = [event for event in told.only("subtask_planned") if event.subtask == "b"]
    assert (planned.type, planned.remark) == ("draw", "no worker is of type 'sing', and 'draw' does it")
    assert len(model.prompts("worker")) == 2


def test_the_only_worker_takes_every_type() -> None:
    told, model = done(TRIO, subtask("a", "sing"))
    assert outcomes(told)["a"] == ("done", None)
    assert "part (sing)" in model.calls[1].request.messages[0].content


def test_a_type_in_other_letter_case_is_the_same_type() -> None:
    told, model = done(TWO_KINDS, subtask("a", " text/long"))
    assert outcomes(told)["a"] == ("done", None)
    assert model.calls[1].request.model == "sim:t"


@pytest.mark.parametrize("need", ["nobody", "b", "a"], ids=["unknown", "later", "own"])
def test_a_need_that_is_not_listed_before_is_waited_for_or_left_out_with_a_remark(need: str) -> None:
    told, model = done(TRIO, subtask("a", needs=[need]), subtask("b"))
    assert {id_: outcome for id_, (outcome, _) in outcomes(told).items()} == {"a": "done", "b": "done"}
    assert len(model.prompts("worker")) == 2
    remarked = {subtask.id: subtask.remark for subtask in told.run.plan.subtasks if subtask.remark}
    assert list(remarked) == ["a"]
    assert repr(need) in remarked["a"]


def asked_for(model: Scripted, id_: str) -> str:
    """What the worker of a subtask was asked."""
    return next(prompt for prompt in model.prompts("worker") if f"Your part: Do {id_}." in prompt)


CHAIN = plan_of(subtask("a"), subtask("b", needs=["a"]), subtask("c", needs=["b"]), subtask("d"))


def test_what_needs_something_that_is_not_done_is_done_with_what_there_is() -> None:
    model = Scripted(
        by_role(orchestrator=CHAIN, worker=unless("Your part: Do a.", "Half", Done("length")), synthesizer="Some.")
    )
    told = carry(model)
    assert [outcome for outcome, _ in outcomes(told).values()] == ["truncated", "done", "done", "done"]
    assert "=== PARTIAL RESULT OF a (draw; truncated): Do a. ===\nHalf\n" in asked_for(model, "b")


def test_what_is_missing_is_told_to_whoever_needs_it() -> None:
    model = Scripted(
        by_role(orchestrator=CHAIN, worker=unless("Your part: Do a.", RequestError("too long")), synthesizer="!")
    )
    told = carry(model)
    assert [outcome for outcome, _ in outcomes(told).values()] == ["failed", "done", "done", "done"]
    assert "=== MISSING: RESULT OF a (draw): Do a. ===\n(failed: too long. Do" in asked_for(model, "b")


@pytest.mark.parametrize(("needs", "outcome"), [(["a"], "skipped"), (["a", "d"], "done"), ([], "done")])
def test_a_role_that_needs_all_is_skipped_only_if_nothing_of_it_is_there(needs: list[str], outcome: str) -> None:
    workers = {"draw": Role("sim:w", needs="all")}
    definition = Definition(Role("sim:o"), workers, Role("sim:s"))
    plan = plan_of(subtask("a"), subtask("d"), subtask("b", needs=needs))
    model = Scripted(by_role(orchestrator=plan, worker=unless("Your part: Do a.", RequestError("no")), synthesizer="!"))
    told = carry(model, definition)
    assert outcomes(told)["b"][0] == outcome
    assert (outcomes(told)["b"][1] or "").startswith("none of what it needs is there" if outcome == "skipped" else "")


def test_a_worker_reads_the_results_it_needs_and_no_others() -> None:
    told, model = done(TRIO, subtask("a"), subtask("b"), subtask("c", needs=[" b", "b"]))
    assert "=== RESULT OF b (draw): Do b. ===\nDone.\n" in model.prompts("worker")[2]
    assert "RESULT OF a" not in model.prompts("worker")[2]
    assert told.run.plan.subtasks[2].needs == ("b",)


def test_an_id_that_stands_twice_is_renamed_with_a_remark() -> None:
    told, _ = done(TRIO, subtask("a"), {**subtask("a"), "description": "Another."}, subtask("c", needs=["a"]))
    assert [s.id for s in told.run.plan.subtasks] == ["a", "a-2", "c"]
    assert [event.remark for event in told.only("subtask_planned")] == [
        None, "id 'a' stands twice in the plan; this one is now 'a-2'", None,
    ]  # fmt: skip
    assert told.run.coverage.complete


# Going on


def test_an_execution_goes_on_from_every_point_of_its_log_with_new_call_ids_and_the_same_answer() -> None:
    script = by_role(
        orchestrator=obliging([WHOLE[: WHOLE.index('"Three') + 3]]),
        worker=lambda call, _: [float(len(call.id)), "Done."],
        synthesizer="All.",
    )
    whole = carry(script, limited(parallel=2))
    stored = [event for _, event in whole.events if event.stored]
    for cut in range(1, len(stored) - 1):
        told = carry(script, limited(parallel=2), history=stored[:cut])
        assert told.run.answer == "All."
        assert [s.description for s in told.run.plan.subtasks] == ["One.", "Two.", "Three.", "Four."]
        before = {call.id for call in fold(stored[:cut]).calls}
        assert before.isdisjoint(event.call for event in told.only("call_started"))


def _is_start(event: AnyEvent, call: str) -> bool:
    return isinstance(event, CallStarted) and event.call == call


def test_calls_of_a_later_execution_never_take_the_id_of_an_earlier_one() -> None:
    whole = carry(by_role(orchestrator=WHOLE, worker="Done.", synthesizer="All."))
    last = max(n for n, (_, event) in enumerate(whole.events) if _is_start(event, "c5"))
    waiting = {"c2", "c3", "c4"}  # had their ids, but were not let out yet
    history = [event for _, event in whole.events[: last + 1] if getattr(event, "call", "") not in waiting]
    assert {call.id for call in fold(history).calls} == {"c1", "c5"}
    told = carry(by_role(orchestrator=WHOLE, worker="Done.", synthesizer="All."), history=history)
    assert "c5" not in {event.call for event in told.only("call_started")}


def test_a_request_counts_as_one_call_however_often_it_left() -> None:
    def worker(_: Call, nth: int) -> Iterable[Beat]:
        return (
            [RateLimited("429", retry_after=1.0)] if nth == 0 else [Sent(), ServerError("500")] if nth == 1 else ["!"]
        )

    told = carry(by_role(orchestrator=plan_of("One."), worker=worker, synthesizer="All."))
    assert len(told.at("call_started", role="worker")) == 1
    assert [(e.rate_limited, e.attempt) for e in told.only("call_retried")] == [(True, 0), (False, 1)]
    assert [e.attempts for e in told.only("call_finished") if e.role == "worker"] == [2]


def test_the_schema_names_the_workers_and_prompts_that_show_the_form_are_known_to() -> None:
    _, model = done(TWO_KINDS, subtask("a"))
    schema = json.dumps(model.calls[0].request.schema)
    assert '["draw", "Text/Long"]' in schema
    assert "at most 64" in schema
    assert model.calls[0].described  # the default prompt does


def test_a_repair_that_does_not_bring_what_could_not_be_read_leaves_the_plan_incomplete() -> None:
    cut = plan_of("one", "two")
    told = carry(first_then([cut[: cut.rindex("two")]], ['{"tasks": []}']))
    assert told.run.coverage.plan == "incomplete"
    assert [subtask.description for subtask in told.run.plan.subtasks] == ["one"]


def test_a_plan_of_nothing_but_unreadable_entries_is_not_read_for_ever() -> None:
    endless = Scripted(by_role(orchestrator=lambda _, __: ['{"tasks": [', *['{"type": "a"},'] * 5000]))
    told = carry(endless)
    assert isinstance(told.error, PlanError)
    assert endless.cancelled == 2  # the plan and its repair


def test_an_answer_without_text_is_no_answer() -> None:
    told = carry(by_role(orchestrator=plan_of("one"), worker="text", synthesizer=lambda _, __: ["  ", Done("length")]))
    assert told.run.coverage.answer == "unmerged"
    assert "no text before its token limit" in told.run.coverage.degraded[0]
