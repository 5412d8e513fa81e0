"""What a model can take in: known, learned from its refusals, and measured in tokens that were counted."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asked import SUBTASK, by_part, defined, driven
from models import TRIO, Beat, Scripted, by_role, carry, plan_of
from stretto import Definition, Limits, Message, Result, Role, Run, Simulator, Subtask, Usage, Workflow
from stretto.calls import Call, Done
from stretto.engine.asking import Said
from stretto.engine.windows import narrowed, reader_of
from stretto.engine.work import work
from stretto.errors import ContextError
from stretto.policies.estimate import tokens_asked, tokens_in
from stretto.types import Known, Request
from virtual import virtually


def refused_for(context: int) -> ContextError:
    """What a model says that takes so many tokens."""
    return ContextError(f"400 too long (its context is {context:,} tokens; shorten the task)", context=context)


def condensings(run: Run) -> int:
    return sum(call.part == "condense" for call in run.calls)


def simulated(context: int, subtasks: int, tokens: int) -> Run:
    """A run of so many subtasks, each with a result of so many tokens."""
    simulator = Simulator(subtasks=subtasks, length=tokens, length_spread=0, ttft_spread=0, grain="line")
    limits = Limits(max_subtasks=subtasks, parallel=500)
    flow = Workflow(
        "sim:x", {"part": "sim:x"}, Role("sim:x", context=context), limits=limits, providers={"sim": simulator}
    )
    return virtually(flow.run("Describe all the teas of the world."))


@pytest.mark.slow
def test_300_results_of_300_tokens_are_read_whole_by_a_model_of_128k() -> None:
    run = simulated(128_000, 300, 300)
    counted = [result.tokens or 0 for result in run.results.values()]
    assert len(counted) == 300
    assert 80_000 < sum(counted) < 90_000
    assert (condensings(run), run.coverage.condensed) == (0, ())


def test_what_fits_a_model_of_4k_is_read_whole_by_it() -> None:
    run = simulated(4096, 6, 300)
    assert len(run.results) == 6
    assert (condensings(run), run.coverage.condensed) == (0, ())


def test_what_does_not_fit_is_condensed_still() -> None:
    run = simulated(4096, 12, 300)
    assert condensings(run) > 0
    assert run.coverage.condensed


@given(st.text(max_size=300), st.none() | st.integers(0, 2000))
def test_a_count_of_tokens_is_taken_with_a_margin_and_never_for_less_than_a_text_can_be(
    text: str, tokens: int | None
) -> None:
    reader = reader_of(TRIO, Role("sim:s"))
    length = reader.length(Result("t1", "done", text, tokens=tokens), text)
    assert length >= len(text.encode()) // 8
    assert length >= (tokens or 0)
    assert tokens is not None or length == tokens_in(text)
    assert reader.length(Result("t1", "done", text + "?", tokens=tokens), text) == tokens_in(text)


def test_what_is_written_of_a_window_goes_before_what_is_known_of_the_model() -> None:
    definition = Definition(None, {"part": Role("sim:w")}, known={"sim:w": Known(4096, 4.5)})
    assert reader_of(definition, Role("sim:w")).context == 4096
    assert reader_of(definition, Role("sim:w", context=2000)).context == 2000
    assert reader_of(definition, Role("sim:other")).context is None
    assert reader_of(definition, Role("sim:w")).bytes == 4.5


def test_a_refusal_teaches_the_window_and_one_that_was_kept_to_is_made_smaller() -> None:
    request = Request("sim:s", (Message("user", "x" * 9000),))
    role = Role("sim:s", context=8000)
    definition = Definition(None, {"part": Role("sim:w")}, role)
    told = narrowed(definition, role, request, refused_for(4096))
    assert told
    assert told.synthesizer
    assert (told.synthesizer.context, told.known["sim:s"].context) == (4096, 4096)
    kept = narrowed(definition, role, request, refused_for(8000))
    assert kept
    assert kept.known["sim:s"].context == 8000 * 2 // 3
    bare = Role("sim:s")
    untold = narrowed(Definition(None, {}, bare), bare, request, ContextError("it is longer than the model takes"))
    assert untold
    assert untold.known["sim:s"].context == tokens_asked(request) * 2 // 3


def taking(context: int, words: int = 2500) -> Scripted:
    """A model that takes so many tokens of five bytes, and refuses what is longer."""

    def script(call: Call, _: int) -> Iterable[Beat]:
        asked = sum(len(message.content) for message in call.request.messages) // 5
        if asked > context:
            return [refused_for(context)]
        if call.role == "orchestrator":
            return [plan_of("One.", "Two.", "Three.")]
        if call.part == "condense":
            return ["In short. " * 20]
        return [f"{call.subtask} " + "word " * words] if call.role == "worker" else ["The answer."]

    return Scripted(script)


def test_results_that_the_synthesizer_refuses_for_their_length_are_condensed_and_it_is_asked_again_once() -> None:
    model = taking(4000)
    told = carry(model)
    asked = [call for call in model.calls if call.role == "synthesizer"]
    assert (told.run.answer, len(asked)) == ("The answer.", 2)
    assert told.run.coverage.condensed
    (failed,) = [event for event in told.only("call_finished") if event.error]
    assert failed.error_type == "ContextError"


def test_a_plan_that_the_model_cannot_even_be_asked_for_is_done_without_and_told() -> None:
    told = carry(taking(100, words=90))
    assert told.run.answer == "The answer."
    assert "its context is 100 tokens" in told.run.coverage.direct


def test_what_a_worker_needs_is_condensed_when_it_refuses_it_for_its_length() -> None:
    need = Subtask("t0", "part", "Before.")
    definition = defined(Role("sim:w"))
    refused = Said(error=refused_for(2000))
    needed = [(need, Result("t0", "done", "word " * 3000))]
    subtask = Subtask("t1", "part", SUBTASK.description, ("t0",))
    answers = by_part(work=[refused, "Done."], condense=Said("stop", "In short."))
    result, rounds = driven(work(definition, "Task.", subtask, needed), answers)
    assert (result.outcome, result.text) == ("done", "Done.")
    assert [asks[0].part for asks in rounds] == ["", "condense", ""]
    first, last = (asks[0].request for asks in (rounds[0], rounds[-1]))
    assert tokens_asked(last) < 2000 < tokens_asked(first)


def test_a_worker_that_refuses_even_that_has_failed_and_says_what_helps() -> None:
    need = Subtask("t0", "part", "Before.")
    refused = Said(error=refused_for(2000))
    needed = [(need, Result("t0", "done", "word " * 3000))]
    answers = by_part(work=[refused, refused], condense=Said("stop", "In short."))
    subtask = Subtask("t1", "part", SUBTASK.description, ("t0",))
    result, _ = driven(work(defined(Role("sim:w")), "Task.", subtask, needed), answers)
    assert result.outcome == "failed"
    assert "its context is 2,000 tokens" in (result.error or "")


def test_without_anything_to_condense_a_worker_is_asked_once() -> None:
    refused = Said(error=refused_for(2000))
    result, rounds = driven(work(defined(Role("sim:w")), "Task.", SUBTASK, []), by_part(work=refused))
    assert (result.outcome, len(rounds)) == ("failed", 1)


def test_a_result_knows_the_tokens_of_its_reply_without_its_thoughts() -> None:
    def worker(*_: object) -> Iterable[Beat]:
        return ["Text.", Done("stop", Usage(50, 90, reasoning_tokens=60))]

    told = carry(Scripted(by_role(orchestrator=plan_of("One."), worker=worker, synthesizer="!")))
    assert told.run.results["t1"].tokens == 30
    assert told.only("subtask_finished")[0].tokens == 30
