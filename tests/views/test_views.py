"""What a run looks like: one line, a page of HTML in which nothing acts, and rows."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stretto
from safety import HOSTILE, Reading
from stretto import Coverage, Run, Usage
from stretto import events as e
from stretto.fold import fold
from stretto.types import Citation, Missing
from stretto.views.formats import dollars, seconds
from stretto.views.lines import MOST, WIDTH
from stretto.views.page import run_page
from stretto.views.rows import call_rows, one_by_one, subtask_rows
from stretto.views.style import COLOURS


def at(second: float) -> str:
    return f"2026-01-01T00:{int(second) // 60:02}:{second % 60:06.3f}Z"


def began(task: str = "tea", **facts: object) -> e.RunStarted:
    return e.RunStarted(run="R", at=at(0), task=task, workflow={}, **facts)  # type: ignore[arg-type]


def call(
    name: str, role: str, subtask: str | None, start: float, end: float | None, **facts: object
) -> list[e.AnyEvent]:
    whose = {"call": name, "role": role, "subtask": subtask, "fingerprint": "f", "model": "sim:x"}
    told: list[e.AnyEvent] = [e.CallStarted(at=at(start), **whose)]  # type: ignore[arg-type]
    if end is not None:
        facts = {"finish": "stop", "usage": Usage(10, 5), "cost": Decimal("0.25"), **facts}
        told.append(e.CallFinished(at=at(end), **whose, **facts))  # type: ignore[arg-type]
    return told


def planned(subtask: str, text: str = "boil", type_: str = "kitchen", *needs: str) -> e.SubtaskPlanned:
    return e.SubtaskPlanned(subtask=subtask, type=type_, description=text, needs=needs)


def done(subtask: str, text: str = "boiled") -> e.SubtaskFinished:
    return e.SubtaskFinished(subtask=subtask, outcome="done", text=text)


def finished(answer: str = "Tea.", second: float = 10, **facts: object) -> e.RunFinished:
    facts = {"coverage": Coverage(), **facts}
    return e.RunFinished(at=at(second), answer=answer, usage=Usage(), **facts)  # type: ignore[arg-type]


def tea(*more: e.AnyEvent) -> Run:
    """An orchestrator of 2 s, two workers that overlap from 1 to 5 and from 2 to 6, a synthesizer from 6 to 10."""
    retried = e.CallRetried(at=at(3), call="c2", subtask="t1", model="sim:x", reason="503", wait=0.5, attempt=1)
    return fold(
        [
            began(),
            *call("c1", "orchestrator", None, 0, 2),
            planned("t1"),
            planned("t2", "pour", "table", "t1"),
            e.PlanFinished(state="complete", subtasks=2, analysis="two parts"),
            *call("c2", "worker", "t1", 1, None),
            retried,
            *call("c2", "worker", "t1", 1, 5, attempts=2)[1:],
            *call("c3", "worker", "t2", 2, 6),
            done("t1"),
            done("t2"),
            *call("c4", "synthesizer", None, 6, 10),
            *(more or [finished()]),
        ]
    )


def test_a_run_is_one_line_in_python() -> None:
    line = "<Run R finished, 2 of 2 subtasks done, 4 calls, 40 tokens in, 20 out, $1.00, answer of 4 characters>"
    assert repr(tea()) == line


def test_a_page_shows_the_plan_the_outcomes_the_costs_and_the_answer() -> None:
    page = Reading(tea()._repr_html_())
    assert page.wrong == []
    for said in ("finished", "tea", "two parts", "boil", "kitchen", "t2 ← t1", "sim:x", "$0.250", "$1.00", "Tea.", "R"):
        assert said in page.text
    assert "10.0 s (one call after another: 14.0 s)" in page.text
    assert "asked again 1 time" in page.text


def test_bars_stand_on_one_axis_and_what_was_asked_again_is_marked() -> None:
    page = Reading(tea()._repr_html_())
    bars = [(element["x"], element["width"]) for name, element in page.elements if name == "rect"]
    assert bars == [("0", "200"), ("100", "400"), ("200", "400"), ("600", "400")]
    assert [element["d"] for name, element in page.elements if name == "path"] == ["M300 0v12"]
    assert "503" in page.text


def test_a_call_under_way_reaches_to_now() -> None:
    run = fold([began(), *call("c1", "orchestrator", None, 0, None)])
    page = Reading(run_page(run, writing="", now=at(4)))
    assert [element["width"] for name, element in page.elements if name == "rect"] == [str(WIDTH)]
    assert "4.00 s" in page.text


def test_the_answer_is_shown_while_it_is_written() -> None:
    run = fold([began(), *call("c1", "synthesizer", None, 0, None)])
    assert "half an ans" in Reading(run_page(run, writing="half an ans", now=at(1))).text


def test_the_night_between_two_executions_is_left_out() -> None:
    early, late = call("c1", "orchestrator", None, 0, 10), call("c2", "worker", "t1", 3000, 3010)
    stopped, resumed = e.RunInterrupted(at=at(10)), e.RunResumed(at=at(3000), workflow={})
    page = Reading(fold([began(), *early, stopped, resumed, planned("t1"), *late])._repr_html_())
    bars = [(element["x"], element["width"]) for name, element in page.elements if name == "rect"]
    assert bars == [("0", "500"), ("500", "500")]
    assert "20.0 s" in page.text


def test_calls_from_the_records_took_no_time_of_their_own() -> None:
    run = fold([began(), *call("c1", "orchestrator", None, 0, 2), *call("c2", "worker", "t1", 2, 5, reused=True)])
    assert one_by_one(run.calls) == 2


def test_a_subtask_from_the_records_says_so_and_has_neither_figures_nor_a_bar() -> None:
    reused = e.CallFinished(
        at=at(1), call="c", role="worker", subtask="t1", fingerprint="f", model="sim:x", reused=True, usage=Usage(7, 7)
    )
    page = Reading(fold([began(), planned("t1"), reused, done("t1")])._repr_html_())
    assert "from the records" in page.text
    assert "rect" not in {name for name, _ in page.elements}
    assert "7" not in page.text.partition("sim:x")[2]


def test_a_subtask_that_asked_the_same_as_another_is_called_its_duplicate() -> None:
    twin = e.CallFinished(
        at=at(4),
        call="c2",
        role="worker",
        subtask="t2",
        fingerprint="f",
        model="sim:x",
        reused=True,
        usage=Usage(10, 5),
    )
    asked = [began(), planned("t1"), planned("t2"), *call("c1", "worker", "t1", 1, 4), twin, done("t1"), done("t2")]
    page = Reading(fold([*asked, finished()])._repr_html_())
    assert "a duplicate of t1: asked once" in page.text
    assert "1 duplicate" in page.text
    assert "from the records" not in page.text


def test_a_page_says_what_is_missing_and_why() -> None:
    missing = Missing("t2", "table", "failed", "503 for ever")
    page = Reading(
        tea(finished(coverage=Coverage({}, (missing,), "incomplete", "cut", ("budget: less",))))._repr_html_()
    )
    for said in ("t2 (table), failed: 503 for ever", "the end of the plan", "the deadline came", "budget: less"):
        assert said in page.text


def test_a_page_shows_what_the_answer_rests_on() -> None:
    run = tea(finished("Tea is hot.", citations=(Citation(0, 11, "t1"),), remarks=("[^t9] was removed",)))
    page = Reading(run._repr_html_())
    assert "[1] t1: kitchen: boil" in page.text
    assert "[^t9] was removed" in page.text


def test_a_failed_run_says_why() -> None:
    page = Reading(tea(e.RunFailed(at=at(6), error="no key <b>", error_type="AuthError"))._repr_html_())
    assert "failed: no key <b>" in page.text


def test_a_simulated_run_says_so() -> None:
    run = fold([began(simulated=True), finished()])
    assert "no language model was asked" in run._repr_html_()
    assert "simulated" in repr(run)


def hostile(text: str) -> Run:
    """A run in which every text that somebody else wrote is this one."""
    return fold(
        [
            began(text),
            planned("t1", text, text),
            e.PlanFinished(state="complete", subtasks=1, analysis=text, remarks=(text,)),
            *call("c1", "orchestrator", None, 0, 2, error=text, answered_by=text),
            e.CallRetried(at=at(1), call="c1", role="orchestrator", reason=text, wait=1, attempt=1, model=text),
            e.SubtaskFinished(subtask="t1", outcome="failed", text=text, error=text, verdict="fails", remark=text),
            finished(
                text,
                citations=(Citation(0, 3, "i1", text, (1, 2), text, False), Citation(0, 1, "t1")),
                remarks=(text,),
                coverage=Coverage({}, (Missing(text, text, "failed", text),), degraded=(text,)),
            ),
        ]
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_a_model_wrote_acts_in_a_page(text: str) -> None:
    page = hostile(text)._repr_html_()
    assert Reading(page).wrong == []
    page.encode()


@given(st.text(st.sampled_from("<>\"'&/=-! \n`[](){}:;aonjs#|\\\x00\u202e"), max_size=60))
def test_a_page_is_whole_whatever_the_texts_are(text: str) -> None:
    page = Reading(hostile(text)._repr_html_())
    assert page.wrong == []


def many(number: int) -> Run:
    events: list[e.AnyEvent] = [began()]
    for each in range(number):
        events += [planned(f"t{each}", "x " * 400), *call(f"c{each}", "worker", f"t{each}", each % 50, each % 50 + 9)]
        events.append(done(f"t{each}", "<long> " * 900))
    return fold([*events, finished()])


def test_a_hundred_subtasks_are_less_than_200_kb() -> None:
    assert len(many(100)._repr_html_().encode()) < 200_000


def test_of_hundreds_of_subtasks_those_with_trouble_are_shown_and_the_rest_is_counted() -> None:
    run = many(500)
    run.results["t499"] = stretto.Result("t499", "failed", error="the very last")
    page = Reading(run._repr_html_())
    assert "the very last" in page.text
    assert f"and more: {500 - MOST:,} done" in page.text
    assert len(run._repr_html_().encode()) < 250_000


def test_subtasks_within_subtasks_have_lines_of_their_own() -> None:
    run = fold([began(), planned("t1"), planned("t1/t1", "within"), *call("c", "worker", "t1/t1", 0, 1), done("t1/t1")])
    assert [(row.subtask, row.calls) for row in subtask_rows(run)] == [("t1", 0), ("t1/t1", 1)]


def test_a_row_tells_times_tokens_and_money_of_a_subtask() -> None:
    row, other = subtask_rows(tea())
    assert (row.subtask, row.type, row.outcome, row.model) == ("t1", "kitchen", "done", "sim:x")
    assert (row.seconds, row.calls, row.retries, row.input_tokens, row.output_tokens) == (4.0, 1, 1, 10, 5)
    assert (row.cost, row.characters, other.needs) == (Decimal("0.25"), 6, "t1")
    assert [line.role for line in call_rows(tea())] == ["orchestrator", "worker", "worker", "synthesizer"]


def test_money_that_nobody_knows_is_not_nothing() -> None:
    run = fold([began(), planned("t1"), *call("c", "worker", "t1", 0, 1, cost=None), done("t1")])
    assert subtask_rows(run)[0].cost is None
    assert "$?" in Reading(run._repr_html_()).text


def test_a_run_with_moments_that_are_none_is_drawn_all_the_same() -> None:
    run = fold([began(), *call("c", "orchestrator", None, 0, None), finished()])
    assert Reading(run_page(run, now="yesterday")).wrong == []
    assert Reading(fold([e.RunStarted(run="R", at="?", task="tea", workflow={})])._repr_html_()).wrong == []


def test_a_table_needs_to_be_one_of_two() -> None:
    with pytest.raises(stretto.StrettoError, match='write "subtasks" or "calls"'):
        tea().to_frame("tokens")  # type: ignore[arg-type]


def test_a_workflow_shows_its_roles_and_limits() -> None:
    flow = stretto.Workflow(
        "sim:default",
        {"<b>": stretto.Role("sim:fast", "Do </pre><script> {task_description}", options={"max_tokens": 9})},
        limits=stretto.Limits(rpm=60),
    )
    page = Reading(flow._repr_html_())
    assert page.wrong == []
    for said in ("orchestrator", "sim:default", "<b>", "sim:fast", "</pre><script>", "max_tokens = 9", "rpm 60"):
        assert said in page.text


def light(colour: str) -> float:
    """The relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS.values())
def test_every_colour_can_be_seen_on_light_and_on_dark(colour: str) -> None:
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    assert 1.05 / (light(colour) + 0.05) >= 3
    assert (light(colour) + 0.05) / (light("#1a1a1a") + 0.05) >= 3


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0.00 s"),
        (9.994, "9.99 s"),
        (12.34, "12.3 s"),
        (125, "2 min 5 s"),
        (59.99, "60.0 s"),
        (12_000, "3 h 20 min"),
    ],
)
def test_times_are_told_as_people_tell_them(value: float, told: str) -> None:
    assert seconds(value) == told


@pytest.mark.parametrize(
    ("value", "told"), [(None, "$?"), ("0", "$0"), ("0.00012", "$0.00012"), ("0.05", "$0.050"), ("1234.5", "$1,234.50")]
)
def test_money_is_told_as_people_tell_it(value: str | None, told: str) -> None:
    assert dollars(None if value is None else Decimal(value)) == told
