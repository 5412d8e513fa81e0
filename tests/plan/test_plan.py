"""The plan as it is asked for and taken in."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.plan.book import PlanBook, rest_request, worker_for
from stretto.plan.item import Draft
from stretto.types import Role, Subtask

WORKERS = {"draw": Role("sim:d", about="pictures"), "Text/Long": Role("sim:t")}


def book(*planned: Subtask, most: int = 64) -> PlanBook:
    return PlanBook(WORKERS, most, planned)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("draw", "draw"),
        ("DRAW", "draw"),
        (" draw\n", "draw"),
        ("text/LONG", "Text/Long"),
        ("drawing", None),
        ("", None),
    ],
)
def test_a_type_finds_its_worker_in_any_letter_case(asked: str, name: str | None) -> None:
    assert worker_for(asked, WORKERS) == name


def test_the_exact_name_goes_before_one_in_other_letter_case() -> None:
    workers = {"Draw": Role("sim:a"), "draw": Role("sim:b")}
    assert [worker_for(name, workers) for name in workers] == ["Draw", "draw"]


def test_the_only_worker_does_every_type() -> None:
    assert worker_for("anything", {"general": Role("sim:x")}) == "general"


def test_ids_default_to_the_place_in_the_plan() -> None:
    plan = book()
    taken = [plan.take(Draft("draw", text, id_))[0].id for text, id_ in [("a", None), ("b", "x"), ("c", " ")]]
    assert taken == ["t1", "x", "t3"]


def test_a_need_refers_to_the_first_of_two_that_wrote_the_same_id() -> None:
    plan = book()
    plan.take(Draft("draw", "a", "x"))
    (copy,) = plan.take(Draft("draw", "b", "x"))
    (user,) = plan.take(Draft("draw", "c", "y", ("x ", "x")))
    assert (copy.id, user.needs) == ("x-2", ("x",))
    assert copy.remark
    assert not user.remark


@given(st.lists(st.tuples(st.sampled_from(["a", "a-2", "t1", "t2", "", None]), st.text(max_size=3)), max_size=20))
def test_every_subtask_has_an_id_of_its_own_whatever_the_orchestrator_writes(
    drafts: list[tuple[str | None, str]],
) -> None:
    plan = book()
    for place, (id_, text) in enumerate(drafts, 1):
        (subtask,) = plan.take(Draft("draw", text, id_))
        assert (subtask.remark == "") == (subtask.id == ((id_ or "") or f"t{place}"))
    assert len({subtask.id for subtask in plan.subtasks}) == len(drafts)
    assert [subtask.description for subtask in plan.subtasks] == [text for _, text in drafts]


@given(st.data())
def test_whatever_is_needed_every_subtask_is_planned_once_after_what_it_needs(data: st.DataObject) -> None:
    plan, ids, planned = book(), [f"s{n}" for n in range(6)], list[Subtask]()
    for id_ in ids:
        needs = tuple(data.draw(st.lists(st.sampled_from([*ids, "1", "task 3", "draw", "nobody"]), max_size=3)))
        planned += plan.take(Draft("draw", id_, id_, needs))
    planned += plan.settle()
    assert sorted(subtask.id for subtask in planned) == ids
    assert plan.subtasks == tuple(planned)
    for place, subtask in enumerate(planned):
        assert set(subtask.needs) <= {each.id for each in planned[:place]}


def test_what_is_listed_once_more_is_the_same_subtask_in_one_reply_and_in_the_next() -> None:
    plan, draft = book(), Draft("draw", "a  fish", "x")
    assert not plan.knows(draft)
    plan.take(draft)
    again = Draft(" Draw", "a fish\n", "y")
    assert plan.knows(again)
    plan.expect_again()
    assert plan.knows(again)
    (user,) = plan.take(Draft("draw", "b", "z", ("y",)))
    assert user.needs == ("x",)


def test_three_repeats_in_a_row_are_a_loop_and_a_new_subtask_or_reply_ends_it() -> None:
    plan = book()
    plan.take(Draft("draw", "a"))
    assert [plan.knows(Draft("draw", "a")) and plan.loops for _ in range(2)] == [False, False]
    plan.take(Draft("draw", "b"))
    assert [plan.knows(Draft("draw", text)) and plan.loops for text in "aba"] == [False, False, True]
    plan.expect_again()
    assert [plan.knows(Draft("draw", text)) and plan.loops for text in "abab"] == [False, False, False, False]


# What needs mean


def needs_of(*tasks: tuple[str | None, str, list[str]], workers: str = "draw") -> dict[str, tuple[list[str], str]]:
    """The needs and the remark of each subtask, by its description, in the order in which they are planned."""
    plan, planned = book(), list[Subtask]()
    for id_, text, needs in tasks:
        planned += plan.take(Draft(workers, text, id_, tuple(needs)))
    planned += plan.settle()
    return {subtask.description: (list(subtask.needs), subtask.remark) for subtask in planned}


@pytest.mark.parametrize(
    "need",
    [
        "Task 1: Introduction",
        "task 1: introduction",
        "TASK-1-INTRODUCTION",
        "1",
        "t1",
        "task1",
        "Task 1",
        "#1",
        "step 1",
        "subtask_01",
        "Task 1: Intro",
    ],
)
def test_a_need_is_matched_loosely(need: str) -> None:
    found = needs_of(("Task 1: Introduction", "a", []), ("Task 2: End", "b", [need]))
    assert found["b"][0] == ["Task_1__Introduction"]


def test_a_need_may_be_the_title_of_a_subtask_or_the_one_before() -> None:
    plan = book()
    plan.take(Draft("draw", "a", title="Draw the tea"))
    plan.take(Draft("draw", "b"))
    (titled,) = plan.take(Draft("text/long", "c", None, ("Draw the tea",)))
    (before,) = plan.take(Draft("text/long", "d", None, ("the previous step",)))
    assert (titled.needs, before.needs) == (("t1",), ("t3",))


def test_a_type_that_exactly_one_other_subtask_has_names_that_subtask() -> None:
    plan = book()
    plan.take(Draft("draw", "a"))
    plan.take(Draft("text/long", "b", None, ("draw",)))
    (user,) = plan.settle()
    assert (user.description, user.needs) == ("b", ("t1",))
    assert user.remark == "its need 'draw' is taken to mean 't1'"


def test_a_type_that_several_have_names_nothing_and_is_left_out_with_a_remark() -> None:
    found = needs_of((None, "a", ["draw"]), (None, "b", ["draw"]), (None, "c", ["draw"]))
    assert found == {text: ([], "its need 'draw' names no subtask and is left out") for text in ("a", "b", "c")}


def test_a_need_that_names_a_later_subtask_waits_for_it() -> None:
    found = needs_of(("a", "a", ["c"]), ("b", "b", []), ("c", "c", []))
    assert list(found) == ["b", "c", "a"]
    assert found["a"] == (["c"], "it needs 'c', which is listed later, and waits for it")


def test_of_a_circle_the_need_that_closes_it_is_left_out() -> None:
    found = needs_of(("a", "a", ["b"]), ("b", "b", ["c"]), ("c", "c", ["a"]))
    assert list(found) == ["c", "b", "a"]
    assert found["c"] == ([], "its need 'a' waits for it and is left out")
    assert [found[name][0] for name in "ab"] == [["b"], ["c"]]


@pytest.mark.parametrize(
    ("need", "means"),
    [
        *[(need, ["t1", "t2"]) for need in ("t1 and t2", "t1-t2", "t1 to t2", "1..2", "t1/t2", "outputs of t1 & t2")],
        *[(need, ["t1", "t2"]) for need in ("all", "all previous tasks", "Everything above", "*")],
        *[(need, ["t1"]) for need in ("result of t1", "{{t1.output}}", "task_1_result", "t1.output", "Task 1: go on")],
        *[(need, ["t1"]) for need in ("t1 (draw)", "Say what comes first")],
        ("1984-2024", []),
        ("the tea of 2024", []),
    ],
)
def test_a_need_may_speak_of_what_it_needs(need: str, means: list[str]) -> None:
    found = needs_of(("t1", "Say what comes first.", []), ("t2", "b", []), ("t3", "c", [need]))["c"]
    assert found[0] == means
    assert repr(need) in found[1]


def test_a_name_of_what_is_listed_later_is_not_taken_apart() -> None:
    tasks = [("a", "a", []), ("b", "b", []), ("c", "c", []), ("d", "d", ["s3-report"]), ("s3-report", "e", [])]
    assert needs_of(*tasks)["d"][0] == ["s3-report"]


def test_a_subtask_that_needs_itself_does_not() -> None:
    assert needs_of(("a", "a", ["a", "A", "1"]))["a"][0] == []


def test_needs_that_name_every_subtask_of_the_plan_say_nothing() -> None:
    every = ["t1", "t2", "t3"]
    found = needs_of((None, "a", every), (None, "b", every), (None, "c", every))
    assert [needs for needs, _ in found.values()] == [[], [], ["t1", "t2"]]
    assert found["a"][1] == "its needs name itself and subtasks listed later, and are left out"


def test_an_exact_id_goes_before_what_a_number_or_a_beginning_may_mean() -> None:
    found = needs_of(("2", "a", []), ("1", "b", []), ("x", "c", ["1"]), ("xx", "d", ["x"]))
    assert (found["c"][0], found["d"][0]) == (["1"], ["x"])


def test_a_full_plan_still_knows_what_it_has() -> None:
    plan = book(Subtask("t1", "draw", "a"), most=1)
    assert plan.full
    assert plan.knows(Draft("draw", "a"))


def test_the_request_for_the_rest_lists_what_is_under_way_as_json() -> None:
    text = rest_request([Subtask("t1", "draw", 'a "fish"\nin {water}')])
    listed = msgspec.json.decode(next(line for line in text.splitlines() if line.startswith("[")))
    assert listed == [{"id": "t1", "type": "draw", "description": 'a "fish"\nin {water}'}]
