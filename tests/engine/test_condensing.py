"""Results too long for their reader: shared fairly, condensed by calls, cut by a rule, always within the window."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stretto import Definition, Input, Message, Result, Role, Run, Simulator, Subtask, Workflow
from stretto.config.values import role_of
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.condensing import Condensed, condensed, condensed_for
from stretto.engine.lengths import cap, pieces, shortened, targets, words
from stretto.engine.requests import answer_request
from stretto.errors import CallError, ConfigError
from stretto.head import head_of
from stretto.policies.estimate import most_output, tokens_asked, tokens_in
from stretto.store.sqlite import Store
from stretto.types import Head, Request

TASK = "Which teas are there?"
Answer = Callable[[Ask], Said]
TEXTS = st.text(st.sampled_from("ab é中😀\n\u0301،"), max_size=400)


def flow(context: int | None = 8000, worker: Role | None = None, **synthesizer: object) -> Definition:
    reader = Role("sim:s", context=context, **synthesizer)  # type: ignore[arg-type]
    return Definition(Role("sim:o"), {"draft": worker or Role("sim:w")}, reader)


def long(*texts: str) -> tuple[list[Subtask], dict[str, Result]]:
    subtasks = [Subtask(f"t{n}", "draft", f"Tea {n}.") for n in range(1, len(texts) + 1)]
    return subtasks, {s.id: Result(s.id, "done", text) for s, text in zip(subtasks, texts, strict=True)}


def said(asking: Asking[Condensed], answer: Answer) -> tuple[Condensed, list[list[Ask]]]:
    """What comes of it when every request is answered so, and what was asked, by rounds."""
    rounds: list[list[Ask]] = []
    try:
        asks = next(asking)
        while True:
            rounds.append(asks)
            asks = asking.send([answer(ask) for ask in asks])
    except StopIteration as end:
        found: Condensed = end.value
        return found, rounds


def obedient(ask: Ask) -> Said:
    """A model that writes as many words as it may."""
    most = int(prompt(ask).partition("At most ")[2].partition(" ")[0])
    return Said("stop", " ".join(["short"] * most))


def failing(_: Ask) -> Said:
    return Said(error=CallError("down"))


def verbose(ask: Ask) -> Said:
    """A model that gives back what it was given."""
    return Said("stop", prompt(ask).rpartition("The text")[2])


def prompt(ask: Ask) -> str:
    return ask.request.messages[-1].content


def condense(
    definition: Definition,
    texts: Sequence[str],
    answer: Answer = obedient,
    head: Head | None = None,
) -> tuple[Condensed, list[list[Ask]]]:
    subtasks, results = long(*texts)
    return said(condensed(definition, TASK, subtasks, results, head, "complete"), answer)


def read(definition: Definition, texts: Sequence[str], found: Condensed, head: Head | None = None) -> Request:
    """What the synthesizer is asked then."""
    subtasks, _ = long(*texts)
    shown = [subtask for subtask in subtasks if subtask.id not in found.left_out]
    changed = {*found.condensed, *found.cut}
    request = answer_request(definition, TASK, shown, found.results, "complete", head=head, condensed=changed)
    assert request
    return request


def fits(definition: Definition, texts: Sequence[str], found: Condensed, head: Head | None = None) -> bool:
    role = definition.synthesizer
    assert role
    assert role.context
    request = read(definition, texts, found, head)
    return tokens_asked(request) + (most_output(role.options) or min(4096, role.context // 4)) <= role.context


# -- lengths


@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(-5, 5000))
def test_a_cap_fills_the_room_and_no_more(sizes: list[int], room: int) -> None:
    most = cap(sizes, room)
    taken = sum(min(size, most) for size in sizes)
    assert taken <= max(room, 0)
    if any(size > most for size in sizes):
        assert taken + sum(size > most for size in sizes) > room


@given(TEXTS, st.integers(-1, 200))
def test_a_shortened_text_takes_what_it_may_and_says_what_is_left_out(text: str, tokens: int) -> None:
    found = shortened(text, tokens)
    assert tokens_in(found) <= max(tokens, 2)
    if tokens_in(text) <= tokens:
        assert found == text
    elif " characters left out]" in found:
        beginning, _, rest = found.partition("[")
        left, _, end = rest.partition(" characters left out]")
        if beginning:
            assert text.startswith(beginning[:-1])
            assert text.endswith(end[1:])
            assert len(beginning) - 1 + int(left.replace(",", "")) + len(end) - 1 == len(text)


@given(TEXTS, st.integers(1, 9))
def test_pieces_are_the_whole_text_and_none_is_longer_than_its_share(text: str, count: int) -> None:
    found = pieces(text, count)
    assert "".join(found) == text
    longest = max(len(piece.encode()) for piece in found)
    assert longest <= max(-(-len(text.encode()) // count), 4)
    assert len(found) <= 2 * count + len(text) // 4


def test_a_piece_ends_where_a_paragraph_does() -> None:
    text = "\n\n".join(["word " * 30 + "end."] * 20)
    assert all(piece.endswith(".\n\n") for piece in pieces(text, 3)[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "English words, as they come, of usual length. " * 9,
        "Это обычные русские слова, как они есть. " * 9,
        "茶是一種飲料。" * 99,
    ],
)
def test_words_of_a_script_take_no_more_than_their_tokens(text: str) -> None:
    count = words(text, 300)
    assert 60 <= count < 200
    assert tokens_in(" ".join(text.split()[:count])) <= 300 or len(text.split()) == 1


# -- what is made shorter


def test_results_that_fit_are_left_alone_and_nothing_is_asked() -> None:
    found, rounds = condense(flow(), ["Green tea.", "Black tea."])
    assert found == Condensed(long("Green tea.", "Black tea.")[1])
    assert not rounds


def test_short_results_stay_whole_and_long_ones_share_the_rest() -> None:
    definition, texts = flow(), ["short", "fact " * 8000, "also short", "other " * 8000]
    found, rounds = condense(definition, texts)
    assert found.condensed == ("t2", "t4")
    assert found.cut == ()
    assert [found.results[id_].text for id_ in ("t1", "t3")] == ["short", "also short"]
    assert fits(definition, texts, found)
    sizes = [tokens_in(found.results[id_].text) for id_ in ("t2", "t4")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)
    assert sum(sizes) > 0.5 * 5000  # the room is used
    (asks,) = rounds
    assert [ask.subtask for ask in asks] == ["t2", "t4"]
    assert {ask.part for ask in asks} == {"condense"}


def test_who_condenses_is_the_workers_model_without_what_shapes_its_results() -> None:
    worker = Role(
        ("sim:w", "sim:x"),
        "Do {task_description}",
        "Be exact.",
        {"temperature": 0.5, "max_tokens": 9, "stop": ["#"]},
        schema={"a": 1},
        check="b",
    )
    _, ((ask, *_),) = condense(flow(worker=worker), ["fact " * 20_000])
    assert ask.role.candidates == ("sim:w", "sim:x")
    assert (ask.role.schema, ask.role.check, ask.role.prompt) == (None, None, None)
    assert [message.role for message in ask.request.messages] == ["user"]
    assert ask.request.options == {"temperature": 0.5, "max_tokens": ask.request.options["max_tokens"]}
    assert ask.request.options["max_tokens"] > 1024
    assert ask.request.options == ask.role.options
    assert "Tea 1." in prompt(ask)
    assert TASK in prompt(ask)


@pytest.mark.parametrize("worker", [Role("python:m.f@1"), Role(), Role(models=("python:m.f@1",))])
def test_where_the_worker_is_no_model_the_reader_condenses(worker: Role) -> None:
    _, ((ask, *_),) = condense(flow(worker=worker), ["fact " * 20_000])
    assert ask.request.model == "sim:s"


def test_an_ensemble_is_condensed_by_the_first_of_its_models() -> None:
    _, ((ask, *_),) = condense(flow(worker=Role(models=("sim:a", "sim:b"), samples=3)), ["fact " * 20_000])
    assert ask.role.candidates == ("sim:a",)
    assert (ask.role.models, ask.role.samples) == ((), 1)


def test_a_text_longer_than_the_condensers_window_goes_in_pieces_side_by_side() -> None:
    definition = flow(worker=Role("sim:w", context=6000))
    text = "\n\n".join(f"Fact {n}: tea number {n} is fine." for n in range(800))
    found, rounds = condense(definition, [text])
    assert len(rounds[0]) > 2
    assert all(f"(part {n} of {len(rounds[0])})" in prompt(ask) for n, ask in enumerate(rounds[0], 1))
    for ask in rounds[0]:
        assert tokens_asked(ask.request) + (most_output(ask.request.options) or 0) <= 6000
    assert all(any(f"Fact {n}:" in prompt(ask) for ask in rounds[0]) for n in range(800))
    assert found.condensed == ("t1",)
    assert found.cut == ()


def test_what_could_not_be_condensed_is_cut_by_the_rule() -> None:
    definition, text = flow(), "begin " + "x" * 90_000 + " the end"
    found, rounds = condense(definition, [text], failing)
    assert (found.condensed, found.cut) == ((), ("t1",))
    cut = found.results["t1"].text
    assert cut.startswith("begin ")
    assert cut.endswith(" the end")
    assert "characters left out]" in cut
    assert fits(definition, [text], found)
    assert len(rounds) == 1


@pytest.mark.parametrize(
    "reply", [Said("length", "half"), Said("content_filter", ""), Said("stop", " \n"), Said("shortened", "x")]
)
def test_a_condensation_that_is_not_whole_is_none(reply: Said) -> None:
    found, _ = condense(flow(), ["fact " * 20_000], lambda _: reply)
    assert (found.condensed, found.cut) == ((), ("t1",))


def test_one_that_comes_back_too_long_is_condensed_once_more_and_then_cut() -> None:
    definition, text = flow(), "fact " * 20_000
    found, rounds = condense(definition, [text], lambda _: Said("stop", "other " * 4000))
    assert len(rounds) == 2
    assert (found.condensed, found.cut) == (("t1",), ("t1",))
    assert found.results["t1"].text.startswith("other")
    assert fits(definition, [text], found)


def test_a_model_that_repeats_its_text_is_not_asked_for_ever() -> None:
    found, rounds = condense(flow(), ["fact " * 20_000], verbose)
    assert len(rounds) <= 2
    assert found.cut == ("t1",)


def test_outcome_error_and_verdict_stay() -> None:
    subtasks, _ = long("", "")
    results = {
        "t1": Result("t1", "truncated", "fact " * 20_000, "token limit", "fails", "wrong"),
        "t2": Result("t2", "failed", error="down"),
    }
    found, _ = said(condensed(flow(), TASK, subtasks, results, None, "complete"), obedient)
    first = found.results["t1"]
    assert (first.outcome, first.error, first.verdict, first.remark) == ("truncated", "token limit", "fails", "wrong")
    assert found.results["t2"] == results["t2"]


def test_without_a_synthesizer_nothing_is_condensed() -> None:
    definition = Definition(Role("sim:o"), {"draft": Role("sim:w")})
    found, rounds = condense(definition, ["fact " * 200_000])
    assert found.results["t1"].text == "fact " * 200_000
    assert not rounds


def test_inputs_take_their_part_of_the_window() -> None:
    definition, texts = flow(20_000), ["fact " * 4000]
    head = head_of([Input("a", "tea " * 8000)])
    assert not condense(definition, texts)[1]
    found, rounds = condense(definition, texts, head=head)
    assert rounds
    assert fits(definition, texts, found, head)
    assert not any(ask.request.head for ask in rounds[0])


def test_inputs_that_fill_the_window_alone_are_left_to_the_provider() -> None:
    head = head_of([Input("a", "tea " * 80_000)])
    found, rounds = condense(flow(), ["fact " * 4000], head=head)
    assert found.results["t1"].text == "fact " * 4000
    assert not rounds


def test_where_no_window_is_told_inputs_of_a_megabyte_leave_room_for_results() -> None:
    head = head_of([Input("a", "tea " * 250_000)])
    assert not condense(flow(None), ["fact " * 10_000], head=head)[1]


@pytest.mark.parametrize(
    "text", ["茶有綠茶和紅茶。\n" * 9000, "شاي أخضر وأسود.\n" * 9000, "\U0001f375" * 50_000, "\u0301" * 90_000]
)
@pytest.mark.parametrize("answer", [obedient, failing, verbose])
def test_every_script_fits(text: str, answer: Answer) -> None:
    definition = flow(worker=Role("sim:w", context=8000))
    found, _ = condense(definition, [text, text], answer)
    assert fits(definition, [text, text], found)


@pytest.mark.slow
@pytest.mark.parametrize("answer", [obedient, failing, verbose])
@pytest.mark.parametrize("letter", ["x", "茶"])
def test_five_hundred_results_of_200_kb_fit_8k_and_cost_no_call(answer: Answer, letter: str) -> None:
    definition, texts = flow(), [letter * (200_000 // len(letter.encode()))] * 500
    found, rounds = condense(definition, texts, answer)
    assert not rounds
    assert fits(definition, texts, found)
    assert len(found.cut) == 500


@pytest.mark.slow
def test_five_hundred_results_are_condensed_where_there_is_room_and_the_calls_are_counted() -> None:
    definition = flow(400_000, Role("sim:w", context=16_000))
    texts = ["fact " * 40_000] * 500
    found, rounds = condense(definition, texts)
    assert fits(definition, texts, found)
    assert 500 <= sum(map(len, rounds)) <= 4000
    assert len(found.condensed) == 500


def test_results_without_room_for_a_heading_are_left_out_those_of_least_value_first() -> None:
    definition = flow(2000)
    subtasks = [Subtask(f"t{n}", "draft", f"Tea {n}.", value=5.0 if n % 2 else None) for n in range(1, 501)]
    results = {subtask.id: Result(subtask.id, "done", "text " * 9) for subtask in subtasks}
    found, _ = said(condensed(definition, TASK, subtasks, results, None, "complete"), obedient)
    assert "t1" not in found.left_out
    assert {"t2", "t500", "t499"} <= set(found.left_out)
    assert list(found.left_out) == sorted(found.left_out, key=lambda id_: int(id_[1:]))
    assert found.results.keys() == results.keys()
    shown = [subtask for subtask in subtasks if subtask.id not in found.left_out]
    request = answer_request(definition, TASK, shown, found.results, "complete")
    assert request
    assert tokens_asked(request) <= 1500


def test_a_prompt_that_shows_results_twice_gets_half_of_each() -> None:
    definition = flow(prompt="{worker_responses}\nOnce more:\n{worker_responses}\n{task}")
    texts = ["fact " * 20_000, "other " * 20_000]
    found, _ = condense(definition, texts)
    assert fits(definition, texts, found)


def test_whoever_reads_can_be_given_what_it_can_read() -> None:
    subtasks, results = long("fact " * 20_000, "short")
    reader = Role("sim:o", context=4000, options={"max_tokens": 500})

    def reading(found: Mapping[str, Result]) -> Request:
        text = "\n".join(result.text for result in found.values())
        return Request("sim:o", (Message("user", text),))

    found, rounds = said(condensed_for(flow(), reader, reading, TASK, subtasks, results), obedient)
    assert rounds
    assert tokens_asked(reading(found.results)) + 500 <= 4000


def test_as_few_of_the_longest_as_it_takes_are_halved() -> None:
    sizes = {f"t{n}": 400 for n in range(100)} | {"long": 1000}
    assert targets(sizes, 41_000, 100) == {}
    assert targets(sizes, 40_600, 100) == {"long": 500}
    assert targets(sizes, 40_200, 100) == {"long": 500, "t0": 200, "t1": 200}
    assert targets(sizes, 10_000, 100) == {}  # not even that is enough, and the cap is too small for a call
    assert targets({"a": 300, "b": 5000}, 2000, 100) == {"b": 1700}
    assert targets({"a": 150, "b": 150}, 290, 100) == {"a": 145, "b": 145}


@examples(60)
@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 200)), min_size=1, max_size=12),
    st.integers(1000, 6000),
    st.sampled_from([obedient, failing, verbose]),
)
def test_it_always_ends_within_two_rounds_and_fits(parts: list[tuple[str, int]], context: int, answer: Answer) -> None:
    definition, texts = flow(context), [text * times for text, times in parts]
    found, rounds = condense(definition, texts, answer)
    assert len(rounds) <= 2
    assert sum(map(len, rounds)) <= 2 * context // 100
    bare = read(definition, [], Condensed({}))
    if tokens_asked(bare) <= context - context // 4:
        assert fits(definition, texts, found)
    assert condense(definition, texts, answer)[0] == found


# -- in a run


async def finished(stream: Any) -> Run:
    async with stream as events:
        run: Run = await events.finished()
    return run


def test_a_run_whose_results_are_too_long_says_which_were_made_shorter(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    simulator = Simulator(ttft=0, tokens_per_second=1e6, length=1500, length_spread=0)
    worker, writer = Role("sim:w", context=8000), Role("sim:s", context=4000)
    flow = Workflow("sim:o", {"draft": worker}, writer, providers={"sim": simulator}, store=store)
    run = asyncio.run(finished(flow.stream("Compare teas in exactly 4 subtasks")))
    assert run.answer
    assert set(run.coverage.condensed) == {"t1", "t2", "t3", "t4"}
    assert all(len(result.text) > 4000 for result in run.results.values())
    condensing = [call for call in run.calls if call.started and call.started.part == "condense"]
    assert {call.subtask for call in condensing} == {"t1", "t2", "t3", "t4"}
    requests = [record.request for record in Store(store).records(run.id).values() if record.request]
    (answer,) = [request for request in requests if request.model == "sim:s"]
    assert tokens_asked(answer) <= 3000
    assert answer.messages[-1].content.count('"condensed":true') == 4
    again = asyncio.run(finished(flow.rerun(run.id)))
    assert all(call.finished and call.finished.reused for call in again.calls)
    assert again.answer == run.answer
    assert asyncio.run(finished(flow.replay(run.id))).answer == run.answer
    assert {each.fate for each in asyncio.run(flow.explain(run.id))} == {"reused"}


def test_what_a_worker_needs_is_made_to_fit_its_window_by_calls_of_its_own(tmp_path: Path) -> None:
    store, simulator = tmp_path / "s.db", Simulator(ttft=0, tokens_per_second=1e6, length=3000, length_spread=0)
    workers = {"write": Role("sim:w"), "read": Role("sim:r", context=4000)}
    flow = Workflow("sim:o", workers, "sim:s", providers={"sim": simulator}, store=store)
    plan = {
        "tasks": [
            {"id": "a", "type": "write", "description": "Write."},
            {"id": "b", "type": "read", "description": "Read.", "needs": ["a"]},
        ]
    }
    run = asyncio.run(finished(flow.stream(TASK, plan=plan)))
    assert tokens_in(run.results["a"].text) > 4000
    assert not run.coverage.missing
    (condensing,) = [call for call in run.calls if call.started and call.started.part == "condense"]
    assert (condensing.subtask, condensing.model) == ("b", "sim:w")
    requests = [record.request for record in Store(store).records(run.id).values() if record.request]
    assert all(tokens_asked(request) <= 3000 for request in requests if request.model == "sim:r")
    assert run.coverage.condensed == ()
    assert asyncio.run(finished(flow.replay(run.id))).answer == run.answer
    assert {each.fate for each in asyncio.run(flow.explain(run.id))} <= {"reused", "kept"}


# -- how it is configured


def test_a_window_and_a_share_are_written_as_amounts() -> None:
    role = role_of({"model": "sim:w", "context": "32k", "share": 2000}, "workers.draft", None)
    assert (role.context, role.share) == (32_000, 2000)
    with pytest.raises(ConfigError, match=r"workers\.draft\.context: 'much' is no number"):
        role_of({"context": "much"}, "workers.draft", None)


@pytest.mark.parametrize(
    ("worker", "writer", "message"),
    [
        (Role("sim:w", context=8), Role("sim:s"), r'workers\."draft"\.context: .* 256 or more, not 8'),
        (Role("sim:w", share=0), Role("sim:s"), r'workers\."draft"\.share: .* 100 or more, not 0'),
        (Role("sim:w", context=1e6), Role("sim:s"), "whole number"),  # type: ignore[arg-type]
        (Role("sim:w"), Role("sim:s", share=500), r"synthesizer\.share: only a worker has share"),
    ],
)
def test_lengths_that_make_no_sense_are_errors_at_the_door(worker: Role, writer: Role, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Workflow("sim:o", {"draft": worker}, writer)


def test_the_synthesizer_is_told_how_many_results_it_cannot_read() -> None:
    subtasks = [Subtask(f"t{n}", "draft", "Something.") for n in range(1, 4)]
    results = {subtask.id: Result(subtask.id, "done", "Text.") for subtask in subtasks}
    definition = Definition(Role("sim:o"), {"draft": Role("sim:w")}, Role("sim:s"))
    request = answer_request(definition, TASK, subtasks[:1], results, "complete")
    assert request is not None
    assert '{"unread":2,' in request.messages[-1].content
