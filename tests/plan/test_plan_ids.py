"""Ids that can be cited, printed and typed, and plans that are wrong in every way."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import Scripted, by_role, carry, plan_of
from stretto import Definition, Limits, Role
from stretto.errors import TaskError
from stretto.plan.book import PlanBook
from stretto.plan.given import given_plan, read_plan, write_plan
from stretto.plan.item import Draft

WORKERS = {"part": Role("sim:w")}
DEFINITION = Definition(Role("sim:o"), WORKERS, Role("sim:s"), Limits(max_subtasks=500))


@pytest.mark.parametrize(
    ("written", "id_"),
    [
        ("halls", "halls"),
        ("part one", "part_one"),
        ("a/b,c]", "a_b_c_"),
        ("潮汐", "潮汐"),
        ("größe.2-x", "größe.2-x"),
        ("cafe\u0301", "café"),
        ("x" * 50, "x" * 40),
        ("=== LEDGER ===", "____LEDGER____"),
        ("a\x1b[31m\n", "a__31m"),
        ("???", "t1"),
        ("i1", "i1-2"),
        ("I12", "I12-2"),
        ("i1b", "i1b"),
        ("Orchestrator", "Orchestrator-2"),
        ("synthesizer", "synthesizer-2"),
    ],
)
def test_an_id_becomes_one_that_can_be_cited(written: str, id_: str) -> None:
    book = PlanBook(WORKERS, 64)
    (subtask,) = book.take(Draft("part", "a", written))
    (user,) = book.take(Draft("part", "b", "user", (written, f" {written} ")))
    assert subtask.id == id_
    assert (subtask.remark == "") == (written == id_)
    assert (user.needs, user.remark) == ((id_,), "")


def test_ids_that_become_the_same_are_told_apart_and_needs_mean_what_was_written() -> None:
    book = PlanBook(WORKERS, 64)
    written = ("a b", "a_b", "a/b", "a_b")
    ids = [book.take(Draft("part", str(number), name))[0].id for number, name in enumerate(written)]
    assert ids == ["a_b", "a_b-2", "a_b-3", "a_b-4"]
    assert book.take(Draft("part", "x", None, ("a b", "a_b", "a/b")))[0].needs == ("a_b", "a_b-2", "a_b-3")


def test_needs_mean_what_was_written_when_the_plan_is_read_once_more() -> None:
    drafts = [Draft("part", "a", "orchestrator"), Draft("part", "b", "a b"), Draft("part", "c", "a/b")]
    before = PlanBook(WORKERS, 64)
    for draft in drafts:
        before.take(draft)
    book = PlanBook(WORKERS, 64, before.subtasks)
    assert all(book.knows(draft) for draft in drafts)
    assert book.take(Draft("part", "d", None, ("orchestrator", "a/b")))[0].needs == ("orchestrator-2", "a_b-2")


@given(st.lists(st.tuples(st.none() | st.text(max_size=60), st.lists(st.text(max_size=5), max_size=2)), max_size=8))
def test_every_id_is_safe_and_its_own(drafts: list[tuple[str | None, list[str]]]) -> None:
    book = PlanBook(WORKERS, 64)
    for number, (id_, needs) in enumerate(drafts):
        book.take(Draft("part", f"x{number}", id_, tuple(needs)))
    book.settle()
    for subtask in book.subtasks:
        assert re.fullmatch(r"[\w.-]{1,40}", subtask.id)
        assert not re.fullmatch(r"i\d+|orchestrator|synthesizer", subtask.id, re.IGNORECASE)
    assert len({subtask.id for subtask in book.subtasks}) == len(drafts)


def test_a_long_id_leaves_room_for_its_number() -> None:
    book = PlanBook(WORKERS, 64)
    ids = [book.take(Draft("part", str(n), "x" * 45))[0].id for n in range(12)]
    assert ids[1] == "x" * 38 + "-2"
    assert {len(id_) for id_ in ids} == {40}


# A plan that an orchestrator wrote


def one(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "part", "description": description, **more}


@pytest.mark.parametrize(
    ("tasks", "needs"),
    [
        ([one("a", id="a", needs=["a"]), one("b")], {"a": (), "t2": ()}),
        ([one("a", id="a", needs=["b"]), one("b", id="b", needs=["a"]), one("c")], {"b": (), "a": ("b",), "t3": ()}),
        ([one("a", id="a", needs=["nobody"]), one("b", id="b")], {"b": (), "a": ()}),
        ([one("a", id="a", needs=["b"]), one("b", id="b")], {"b": (), "a": ("b",)}),
        (
            [one("a", id="a", needs=["a-2"]), one("b", id="a"), one("c", id="a", needs=["a-2"])],
            {"a-2": (), "a": ("a-2",), "a-3": ("a-2",)},
        ),
    ],
    ids=["itself", "each other", "unknown", "later", "copies"],
)
def test_needs_that_cannot_be_had_cost_nothing_but_themselves(
    tasks: list[dict[str, Any]], needs: dict[str, tuple[str, ...]]
) -> None:
    model = Scripted(by_role(orchestrator=plan_of(*tasks), worker="Done.", synthesizer="All."))
    told = carry(model)
    assert {subtask.id: subtask.needs for subtask in told.run.plan.subtasks} == needs
    assert told.run.coverage.complete
    assert {s.id for s in told.run.plan.subtasks if s.remark} == {
        event.subtask for event in told.only("subtask_planned") if event.remark
    }


@pytest.mark.slow
def test_five_hundred_subtasks_in_one_chain_are_five_hundred_results() -> None:
    tasks = [one(f"Piece {n}.", id=f"p {n}", needs=[f"p {n - 1}"] if n else []) for n in range(500)]
    model = Scripted(by_role(orchestrator=plan_of(*tasks), worker="Done.", synthesizer="All."))
    told = carry(model, DEFINITION)
    assert told.run.coverage.counts["done"] == 500
    assert told.run.coverage.complete
    assert told.run.plan.subtasks[-1].needs == ("p_498",)


# A plan that somebody gives


def test_the_brief_of_a_plan_is_given_to_every_worker_when_it_is_written_to_a_file_and_carried_out() -> None:
    text = msgspec.json.encode({"brief": "Say Lund first.", "tasks": [one("a"), one("b")]})
    plan = given_plan(read_plan(text, "plan.json"), DEFINITION)
    assert [subtask.brief for subtask in plan.subtasks] == ["Say Lund first."] * 2
    assert given_plan(read_plan(write_plan("x", plan), "plan.json"), DEFINITION) == plan
    assert given_plan(plan, DEFINITION) == plan


def given_of(*tasks: dict[str, Any]) -> None:
    given_plan({"tasks": list(tasks)}, DEFINITION)


@pytest.mark.parametrize("id_", ["part one", "x" * 41, "a\n", "???", "i1", "synthesizer", "a/b"])
def test_a_given_plan_has_ids_as_they_must_be(id_: str) -> None:
    if id_.strip() != id_:
        given_of(one("a", id=id_))  # blanks around it are nobody's intention
        return
    with pytest.raises(TaskError, match=r"^plan: tasks\[1\]\.id: "):
        given_of(one("a"), one("b", id=id_))


def test_a_given_id_is_the_same_however_its_accents_are_written() -> None:
    plan = given_plan({"tasks": [one("a", id="cafe\u0301"), one("b", needs=["café"])]}, DEFINITION)
    assert plan.subtasks[1].needs == ("café",)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"tasks": [], "tasks": [{"type": "part", "description": "a"}]}', "tasks"),
        ('{"tasks": [{"type": "part", "description": "a", "description": "b"}]}', "description"),
        ('{"task": "x", "t\\u0061sk": "y", "tasks": []}', "task"),
    ],
)
def test_a_key_that_stands_twice_in_a_plan_file_is_an_error_that_names_it(text: str, key: str) -> None:
    with pytest.raises(TaskError, match=rf"^plan.json: no plan: the key '{key}' stands 2 times"):
        read_plan(text.encode(), "plan.json")


def test_the_same_key_in_two_objects_is_none() -> None:
    text = msgspec.json.encode({"task": "x", "size": "small", "tasks": [one("a"), one("b")]})
    assert len(read_plan(b"\xef\xbb\xbf" + text, "plan.json").tasks) == 2


@pytest.mark.parametrize(("most", "right"), [(500, True), (499, False)])
def test_a_given_plan_of_five_hundred_needs_a_limit_that_permits_it(most: int, right: bool) -> None:
    definition = msgspec.structs.replace(DEFINITION, limits=Limits(max_subtasks=most))
    tasks = {"tasks": [one(f"Piece {n}.") for n in range(500)]}
    if right:
        assert len(given_plan(tasks, definition).subtasks) == 500
    else:
        with pytest.raises(TaskError, match="500 subtasks, but max_subtasks is 499"):
            given_plan(tasks, definition)
