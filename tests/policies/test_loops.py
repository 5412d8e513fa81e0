"""A reply that only repeats itself is stopped, and kept up to where it began to."""

import asyncio
from collections.abc import Iterator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from drawn import examples
from endpoint import STREAM, Endpoint, Exchange, Heard, asking, call, chunk, delta, plain, sse
from loops import on_loop
from models import Scripted, by_role, carry, plan_of
from models import call as called
from places import ROOT
from stretto import Definition, Role, Subtask, Workflow
from stretto.calls import Chunk, Done, Model, Reasoning, Text
from stretto.policies.loops import Loops, Watch

WORDS = "The moon draws the water, and where it is near the sea stands higher than where it is far. "


def kept(text: str, size: int = 4) -> str | None:
    """What is left of a text that comes in pieces of this size, if it loops."""
    watch = Watch()
    for at in range(0, len(text), size):
        if watch.take(text[at : at + size]):
            return watch.kept
    return None


def heard(model: Model, *, plans: bool = False) -> list[Chunk]:
    async def main() -> list[Chunk]:
        return [chunk async for chunk in Loops(model).stream(replace(called(), plans=plans))]

    return asyncio.run(main())


@pytest.mark.parametrize(
    "unit", ["\n", "ha", "and so on, ", WORDS, WORDS * 3 + "Then. ", "".join(map(str, range(800))) + " "]
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_text_is_kept_up_to_where_it_repeats_itself_with_that_once(unit: str, size: int) -> None:
    whole = f"Tides come twice a day.{unit * (9000 // len(unit) + 4)}"
    assert kept(whole, size) == f"Tides come twice a day.{unit}"


@examples(60)
@given(
    st.text("abcde \n", max_size=900),
    st.text("vwxyz", min_size=1, max_size=400),
    st.lists(st.integers(1, 900), min_size=1, max_size=9),
)
def test_whatever_the_pieces_it_is_found_and_what_is_kept_is_a_beginning_of_it(
    before: str, unit: str, cuts: list[int]
) -> None:
    whole = before + unit * (2000 // len(unit) + 4)
    found = kept(whole, 10**9)
    assert found is not None
    assert whole.startswith(found)
    assert len(found) <= len(before) + len(unit)
    watch, at = Watch(), 0
    for cut in (*cuts * 40, 10**9):
        if watch.take(whole[at : at + cut]):
            break
        at += cut
    assert watch.kept == found


def test_nothing_of_what_people_write_is_taken_for_a_loop() -> None:
    texts = [path.read_text() for folder in ("docs", "src", "tests") for path in (ROOT / folder).rglob("*.*y")]
    texts += [path.read_text() for path in (ROOT / "docs").rglob("*.md")]
    assert len(texts) > 300
    assert [text[:40] for text in texts if kept(text, 10**9) is not None] == []


def test_a_line_said_five_times_and_a_ruler_are_no_loop() -> None:
    assert kept(f"{WORDS * 5}\n{'-' * 300}\nThat is all.") is None


def test_a_model_that_loops_is_closed_and_its_text_taken_back() -> None:
    model = Scripted(lambda *_: repeat("again and "))
    chunks = heard(model)
    assert model.cancelled == 1
    assert Heard(chunks).text == "again and "
    assert chunks[-1] == Done("looped")
    assert sum(len(each.text) for each in chunks if isinstance(each, Text)) < 1000


def test_of_a_plan_that_loops_nothing_is_taken_back() -> None:
    chunks = heard(Scripted(lambda *_: repeat("again and ")), plans=True)
    assert Heard(chunks).text == "again and " * 60
    assert chunks[-1] == Done("looped")


def test_thoughts_that_loop_end_the_reply_without_a_text() -> None:
    chunks = heard(Scripted(lambda *_: repeat(Reasoning("wait, but then "))))
    assert Heard(chunks).text == ""
    assert chunks[-1] == Done("looped")


@on_loop
async def test_the_connection_of_a_reply_that_loops_is_closed() -> None:
    async def loops(exchange: Exchange) -> None:
        await exchange.send(STREAM)
        while True:
            await exchange.send(chunk(sse(delta(content="\n"), done=False)), pause=0.0001)

    async with Endpoint(loops) as server, asking(server) as model:
        heard = Heard([each async for each in Loops(model).stream(call())])
        assert (heard.text, heard.done.finish) == ("\n", "looped")
        async with asyncio.timeout(0.3):
            await server.left.wait()


@on_loop
async def test_a_reply_that_came_in_one_piece_is_cut_where_it_loops() -> None:
    async with Endpoint(plain("Twice.\n" + "a b " * 400, "length")) as server, asking(server) as model:
        heard = Heard([each async for each in Loops(model).stream(call(stream=False))])
    assert (heard.text, heard.done.finish) == ("Twice.\na b ", "looped")


def test_a_result_that_loops_is_truncated_and_the_answer_says_so() -> None:
    def worker(*_: object) -> Iterator[str]:
        yield "Spring tides are high:"
        yield from repeat(" very high.")

    told = carry(Loops(Scripted(by_role(orchestrator=plan_of("One."), worker=worker, synthesizer="Answer."))))
    result = told.run.results["t1"]
    assert (result.outcome, result.text) == ("truncated", "Spring tides are high: very high.")
    assert result.error == "the reply repeated itself and was stopped; it is kept up to there"
    assert [missing.subtask for missing in told.run.coverage.missing] == ["t1"]
    assert told.run.answer == "Answer."


def test_an_answer_that_loops_is_shown_up_to_there_and_told_to_be_truncated() -> None:
    told = carry(
        Loops(Scripted(by_role(orchestrator=plan_of("One."), worker="x", synthesizer=lambda *_: repeat("so "))))
    )
    assert (told.run.answer, told.run.coverage.answer) == ("so ", "truncated")
    shown = ""
    for event in told.only("answer_delta"):
        shown = event.text if event.restart else shown + event.text
    assert shown == "so "


def test_a_plan_that_loops_is_carried_out_as_far_as_it_was_written() -> None:
    def plan(*_: object) -> Iterator[str]:
        yield plan_of("High water.", "Low water.")[:-2]
        yield from repeat(", ")

    told = carry(Loops(Scripted(by_role(orchestrator=plan, worker="Done.", synthesizer="Answer."))))
    assert [result.outcome for result in told.run.results.values()] == ["done", "done"]
    assert told.run.coverage.plan == "incomplete"
    assert told.run.answer == "Answer."


def test_what_a_python_function_returns_is_as_long_as_it_is() -> None:
    def lines(_: Subtask) -> str:
        return "the same line\n" * 200

    flow = Workflow(None, {"lines": lines})
    assert flow.run_sync("Write it.").answer == ("the same line\n" * 200).strip()


def test_json_behind_which_blanks_never_end_is_whole() -> None:
    def worker(*_: object) -> Iterator[str]:
        yield '{"a": "Assam"}'
        yield from repeat("\n")

    shape = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    definition = Definition(Role("sim:o"), {"part": Role("sim:w", schema=shape)}, Role("sim:s"))
    told = carry(Loops(Scripted(by_role(orchestrator=plan_of("One."), worker=worker, synthesizer="Ok."))), definition)
    assert (told.run.results["t1"].outcome, told.run.results["t1"].text.strip()) == ("done", '{"a": "Assam"}')


@on_loop
async def test_a_short_reply_is_passed_on_as_it_is() -> None:
    async with Endpoint(plain()) as server, asking(server) as model:
        heard = Heard([each async for each in Loops(model).stream(call(stream=False))])
    assert (heard.text, heard.done.finish, heard.done.model) == ("Assam", "stop", "m-1")
