"""Effort by numbers: a size of plan is a range, and the range holds."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Scripted, by_role, carry
from stretto import Definition, Limits, Role
from stretto.engine.requests import plan_request
from stretto.plan.form import size_lines, sizes
from stretto.plan.reader import PlanReader

WORKERS = {"part": Role("sim:w")}


def plan(size: str | None, count: int) -> str:
    tasks = [{"type": "part", "description": f"Piece {n}."} for n in range(count)]
    said: dict[str, Any] = {"analysis": "So.", **({"size": size} if size is not None else {}), "tasks": tasks}
    return msgspec.json.encode(said).decode()


@pytest.mark.parametrize("most", range(1, 65))
def test_the_sizes_cover_every_number_of_subtasks_up_to_the_limit_once(most: int) -> None:
    ranges = [range(size.least, size.most + 1) for size in sizes(most)]
    assert [number for each in ranges for number in each] == list(range(most + 1))
    told = size_lines(most)
    assert max(map(int, re.findall(r"(\d+) subtasks", told)), default=1) == max(most, 1)
    assert told.count("\n") == len(ranges) - 1


@pytest.mark.parametrize(("size", "remarked"), [("one", True), ("small", True), ("medium", False), ("large", False)])
def test_more_subtasks_than_the_size_permits_are_carried_out_all_the_same(size: str, remarked: bool) -> None:
    told = carry(by_role(orchestrator=plan(size, 12), worker="Done.", synthesizer="All."))
    assert (len(told.run.plan.subtasks), told.run.plan.state) == (12, "complete")
    assert told.run.coverage.complete
    said = (f"the plan says that its size is {size!r} and lists 12; all of them are carried out",)
    assert told.run.plan.remarks == (said if remarked else ())


@pytest.mark.parametrize("size", ["one", "large"])
def test_no_size_goes_over_the_number_of_subtasks_that_is_permitted(size: str) -> None:
    definition = Definition(Role("sim:o"), WORKERS, Role("sim:s"), Limits(max_subtasks=12))
    model = Scripted(by_role(orchestrator=plan(size, 40), worker="Done.", synthesizer="All."))
    told = carry(model, definition)
    assert (len(told.run.plan.subtasks), told.run.plan.state) == (12, "bounded")
    assert "max_subtasks = 12" in told.run.plan.remarks[0]
    assert '{"plan":"bounded"' in model.prompts("synthesizer")[0]


@pytest.mark.parametrize(("size", "count"), [("small", 3), ("medium", 2), ("vast", 40), ("", 40), (None, 40)])
def test_a_plan_within_its_size_or_of_no_size_that_exists_is_taken_whole(size: str | None, count: int) -> None:
    told = carry(by_role(orchestrator=plan(size, count), worker="Done.", synthesizer="All."))
    assert (len(told.run.plan.subtasks), told.run.plan.state) == (count, "complete")


def test_size_one_without_subtasks_answers_directly() -> None:
    model = Scripted(by_role(orchestrator=plan("one", 0), synthesizer="Right away."))
    assert carry(model).run.answer == "Right away."


def test_a_prompt_that_has_no_place_for_sizes_is_neither_told_them_nor_held_to_them() -> None:
    definition = Definition(Role("sim:o", "Split {task}"), WORKERS, Role("sim:s"))
    schema = plan_request(definition, "It.").schema
    assert schema is not None
    assert list(schema["properties"]) == ["analysis", "tasks"]
    told = carry(by_role(orchestrator=plan("one", 5), worker="Done.", synthesizer="All."), definition)
    assert (len(told.run.plan.subtasks), told.run.plan.state) == (5, "complete")


def test_the_size_is_asked_for_after_the_brief_and_before_the_subtasks() -> None:
    schema = plan_request(Definition(Role("sim:o"), WORKERS, limits=Limits(max_subtasks=5)), "It.").schema
    assert schema is not None
    assert list(schema["properties"]) == schema["required"] == ["brief", "size", "tasks"]
    assert schema["properties"]["size"]["enum"] == ["one", "small", "medium"]


@given(
    st.sampled_from(
        ['{"analysis": "So \\"size\\": \\"one\\" it is.", ', "Sure, {", '{"size": "one", "tasks": [], ', "{"]
    ),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_the_size_is_read_wherever_the_reply_is_cut(lead: str, cuts: list[int]) -> None:
    text = lead + '"size"\n : "small", "tasks": [{"type": "a", "description": "x", "size": "large"}], "size": "medium"}'
    reader, at = PlanReader(), 0
    for cut in [*sorted(cuts), len(text)]:
        reader.feed(text[at:cut])
        at = max(at, cut)
    assert reader.size == "small"
