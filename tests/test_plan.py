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
    copy, remark = plan.take(Draft("draw", "b", "x"))
    user, _ = plan.take(Draft("draw", "c", "y", ("x ", "x")))
    assert (copy.id, user.needs) == ("x-2", ("x",))
    assert remark
    assert plan.refusal(user) is None


@given(st.lists(st.tuples(st.sampled_from(["a", "a-2", "t1", "t2", "", None]), st.text(max_size=3)), max_size=20))
def test_every_subtask_has_an_id_of_its_own_whatever_the_orchestrator_writes(
    drafts: list[tuple[str | None, str]],
) -> None:
    plan = book()
    for id_, text in drafts:
        subtask, remark = plan.take(Draft("draw", text, id_))
        assert (remark is None) == (subtask.id == ((id_ or "") or f"t{len(plan.subtasks)}"))
    assert len({subtask.id for subtask in plan.subtasks}) == len(drafts)
    assert [subtask.description for subtask in plan.subtasks] == [text for _, text in drafts]


@given(st.data())
def test_what_is_accepted_has_no_cycle(data: st.DataObject) -> None:
    plan, ids = book(), [f"s{n}" for n in range(6)]
    for id_ in ids:
        plan.take(Draft("draw", id_, id_, tuple(data.draw(st.lists(st.sampled_from(ids), max_size=2)))))
    for subtask in plan.subtasks:
        earlier = ids[: ids.index(subtask.id)]
        assert (plan.refusal(subtask) is None) == all(need in earlier for need in subtask.needs)


def test_two_alike_in_one_reply_are_two_but_in_the_next_reply_they_are_the_same_two() -> None:
    plan, draft = book(), Draft("draw", "a  fish")
    assert [plan.knows(draft), plan.knows(draft)] == [False, False]
    plan.take(draft)
    plan.take(draft)
    plan.expect_again()
    again = Draft(" Draw", "a fish\n")
    assert [plan.knows(again), plan.knows(again), plan.knows(again)] == [True, True, False]


def test_a_full_plan_still_knows_what_it_has() -> None:
    plan = book(Subtask("t1", "draw", "a"), most=1)
    assert plan.full
    assert plan.knows(Draft("draw", "a"))


def test_the_request_for_the_rest_lists_what_is_under_way_as_json() -> None:
    text = rest_request([Subtask("t1", "draw", 'a "fish"\nin {water}')])
    listed = msgspec.json.decode(next(line for line in text.splitlines() if line.startswith("[")))
    assert listed == [{"id": "t1", "type": "draw", "description": 'a "fish"\nin {water}'}]
