"""The answer of a run and what its passages rest on: read while it is written, checked, and kept with the run."""

from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, Scripted, Told, by_role, carry, plan_of
from stretto import Definition, Input, Role, Usage
from stretto.calls import Call, Done
from stretto.errors import CutError
from stretto.events import RunStarted
from stretto.types import Basis

PLAN = plan_of("One.", "Two.")
BOOK = Input("book.md", "The sea is deep.\nThe tide is pulled by the moon.\n")


def test_references_are_read_out_of_the_answer_as_it_is_shown() -> None:
    pieces = ["Tides rise [^t", "1][^", "t2]. They fall", " too.[^t2]"]
    told = carry(by_role(orchestrator=PLAN, worker="Done.", synthesizer=lambda *_: pieces))
    assert told.run.answer == "Tides rise. They fall too."
    assert "".join(event.text for event in told.only("answer_delta")) == told.run.answer
    assert [(told.run.answer[c.start : c.end], c.source) for c in told.run.citations] == [
        ("Tides rise.", "t1"),
        ("Tides rise.", "t2"),
        ("They fall too.", "t2"),
    ]
    assert told.run.remarks == ()


def test_unknown_references_and_those_to_what_has_no_text_are_removed_and_reported() -> None:
    def say(call: Call, _: int) -> list[Any]:
        if call.role == "worker":
            return [CutError("no")] if call.subtask == "t2" else ["Done."]
        return [PLAN if call.role == "orchestrator" else "Tides rise [^t2]. They fall [^t9]."]

    told = carry(say)
    assert told.run.answer == "Tides rise. They fall."
    assert told.run.citations == ()
    assert len(told.run.remarks) == 3
    assert "t9" in "".join(told.run.remarks)


def test_a_quote_from_an_input_is_found_in_it() -> None:
    history = [RunStarted(run="r1", seq=1, task="Tides?", workflow={}, basis=Basis(inputs=(BOOK,)))]
    answer = 'The moon does it [^i1 "pulled by the moon"]. The sun does it [^i1 "pulled by the sun"].'
    told = carry(by_role(orchestrator=PLAN, worker="Done.", synthesizer=answer), history=history)
    first, second = told.run.citations
    assert (first.source, first.name, first.lines, first.verified) == ("i1", "book.md", (2, 2), True)
    assert (second.verified, second.lines) == (False, None)
    assert told.run.answer == "The moon does it. The sun does it."
    assert told.run.remarks


def test_an_answer_that_begins_anew_cites_only_what_it_says_at_last() -> None:
    def synthesizer(_: Call, nth: int) -> list[Any]:
        return ["Old [^t1]. And", CutError("cut")] if nth == 0 else ["New [^t2]."]

    told = carry(by_role(orchestrator=PLAN, worker="Done.", synthesizer=synthesizer))
    assert told.run.answer == "New."
    assert [citation.source for citation in told.run.citations] == ["t2"]


def test_an_answer_that_is_cut_short_ends_without_half_a_reference() -> None:
    told = carry(
        by_role(orchestrator=PLAN, worker="Done.", synthesizer=lambda *_: ["Tides [^t1]. Ebb [^t", Done("length")])
    )
    assert told.run.coverage.answer == "truncated"
    assert [citation.source for citation in told.run.citations] == ["t1"]


def test_who_writes_a_prompt_of_his_own_gets_the_answer_as_it_is_written() -> None:
    own = replace(TRIO, synthesizer=Role("sim:s", "{task} {worker_responses}"))
    told = carry(by_role(orchestrator=PLAN, worker="Done.", synthesizer="As [^t1] is."), own)
    assert told.run.answer == "As [^t1] is."
    assert told.run.citations == ()


def test_what_a_workflow_within_cites_is_no_reference_of_the_run() -> None:
    inner = Definition(None, {"part": Role("sim:w")}, Role("sim:s"))
    outer = replace(TRIO, workers={"deep": Role(workflow=inner)})
    plan = plan_of({"type": "deep", "description": "x"})
    told = carry(by_role(orchestrator=plan, worker=lambda call, _: ["Deep [^t1]."] if call.part else ["Done."]), outer)
    assert told.run.results["t1"].text == "Deep."


FENCED = "```markdown\n# Tides\n\nThe moon [^t1].\n\n```python\nrise()\n```\n\nThe end.\n```"


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def answered(text: str, size: int) -> tuple[Told, str]:
    """A run with this answer, and what was shown of it at last."""
    told = carry(by_role(orchestrator=plan_of("One."), worker="Found.", synthesizer=lambda *_: pieces_of(text, size)))
    shown = ""
    for event in told.only("answer_delta"):
        shown = event.text if event.restart else shown + event.text
    return told, shown


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (FENCED, "# Tides\n\nThe moon.\n\n```python\nrise()\n```\n\nThe end.\n"),
        (f"\n{FENCED}\n\n", "# Tides\n\nThe moon.\n\n```python\nrise()\n```\n\nThe end.\n"),
        ("~~~~ MD\r\nThe moon.\r\n~~~~\r\n", "The moon.\r\n"),
        ("```markdown\nThe moon, cut sh", "The moon, cut sh"),
        ("```markdown\nThe `moon` ```\nx\n```", "The `moon` ```\nx\n"),
    ],
)
def test_an_answer_in_one_fence_of_markdown_is_taken_out_of_it(text: str, answer: str, size: int) -> None:
    told, shown = answered(text, size)
    assert told.run.answer == answer
    assert shown == answer


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "```python\nrise()\n```",
        "```\nrise\n```\n",
        "```markdown\n# One\n```\nand\n```python\nrise()\n```\n",
        "The moon.\n\n```markdown\nIt is.\n```",
        "```markdownish\nIt is.\n```",
        "`markdown` is it.",
        "``",
    ],
)
def test_other_fences_stay_as_they_are(text: str, size: int) -> None:
    told, shown = answered(text, size)
    assert told.run.answer == text
    assert shown == text


def test_a_result_that_nothing_rests_on_is_told_unless_the_answer_is_cut_short() -> None:
    def say(call: Call, _: int) -> list[Any]:
        if call.role == "worker":
            return [CutError("no")] if call.subtask == "t3" else ["Done."]
        return [plan_of("a", "b", "c", "d") if call.role == "orchestrator" else "Tides rise [^t2]."]

    told = carry(say)
    assert told.run.remarks == ("no passage of the answer rests on t1, t4",)
    assert not told.run.coverage.complete  # because of t3
    short = carry(
        lambda call, nth: [*say(call, nth), *([Done("length", Usage(1, 1))] if call.role == "synthesizer" else [])]
    )
    assert short.run.remarks == ()


def test_a_direct_answer_to_inputs_is_asked_for_quotes_and_they_are_looked_for() -> None:
    history = [RunStarted(run="r1", seq=1, task="Tides?", workflow={}, basis=Basis(inputs=(BOOK,)))]
    model = Scripted(by_role(orchestrator=plan_of(), synthesizer='The moon does it [^book.md "pulled by the moon"].'))
    told = carry(model, history=history)
    assert told.run.answer == "The moon does it."
    (citation,) = told.run.citations
    assert (citation.source, citation.lines, citation.verified) == ("i1", (2, 2), True)
    assert "[^i2" in next(call for call in model.calls if call.role == "synthesizer").request.messages[0].content
