"""Types of subtasks: whatever a model writes there, one of the workers does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto import Role
from stretto.plan.fitting import fitted
from stretto.plan.item import Draft

SOLVE = {
    "plan": Role("sim:a", about="a plan of how to carry the task out"),
    "code/solve": Role("sim:b", about="the solution itself: complete, correct"),
    "test": Role("sim:c", about="how to check a solution: cases with results"),
}
MIXED = {"investigate": Role("sim:a", about="answers one question"), "general": Role("sim:b")}


def type_of(written: str, description: str = "Do it well.", workers: dict[str, Role] = SOLVE) -> str:
    return fitted(Draft(written, description), workers).type


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("plan", "plan"),
        (" Plan ", "plan"),
        ("plans", "plan"),
        ("code-solve", "code/solve"),
        ("CodeSolve", "code/solve"),
        ("planning", "plan"),
        ("testing", "test"),
        ("solve", "code/solve"),
        ("code", "code/solve"),
        ("the coder", "code/solve"),
        ("plan_worker", "plan"),
        ("cases", "test"),
        ("tester", "test"),
        ("correctness", "code/solve"),
    ],
)
def test_a_type_in_other_words_is_the_worker_that_is_meant(written: str, name: str) -> None:
    assert type_of(written) == name


@pytest.mark.parametrize("written", ["plan", "Plans", "code_solve"])
def test_another_spelling_needs_no_remark(written: str) -> None:
    assert fitted(Draft(written, "Do it."), SOLVE).remark == ""


def test_what_does_it_and_what_is_done_are_one_word() -> None:
    workers = {"code": Role("sim:a", about="x"), "writer": Role("sim:b", about="y"), "general": Role("sim:c")}
    assert [type_of(each, workers=workers) for each in ("coding", "coder", "writing")] == ["code", "code", "writer"]


def test_what_was_guessed_is_said() -> None:
    assert fitted(Draft("planning", "Do it."), SOLVE).remark == "type 'planning' is taken to mean 'plan'"
    assert fitted(Draft("poetry", "Do it."), SOLVE).remark == "no worker is of type 'poetry', and 'plan' does it"
    assert fitted(Draft("", "Write a poem."), SOLVE).remark == "it names no type, and 'plan' does it"


def test_what_fits_none_is_for_the_most_general_worker_or_the_first() -> None:
    assert type_of("poetry", workers=MIXED) == "general"
    anything = {"draw": Role("sim:a", about="pictures"), "help": Role("sim:b", about="whatever is asked for")}
    assert type_of("poetry", workers=anything) == "help"
    assert type_of("poetry") == "plan"


def test_what_could_mean_two_workers_means_neither() -> None:
    two = {"draft": Role("sim:a"), "drawing": Role("sim:b"), "general": Role("sim:c")}
    assert type_of("dra", workers=two) == "general"


def test_names_in_two_letter_cases_stay_two_workers() -> None:
    both = {"Draw": Role("sim:a"), "draw": Role("sim:b")}
    assert [type_of(name, workers=both) for name in both] == ["Draw", "draw"]


@pytest.mark.parametrize(
    ("description", "name", "rest"),
    [
        ("[test] Try three cases.", "test", "Try three cases."),
        ("**Plan**: Say how.", "plan", "Say how."),
        ("code/solve - Write it.", "code/solve", "Write it."),
        ("Test the thing that was made.", "test", "Test the thing that was made."),
        ("Note: say how.", "plan", "Note: say how."),
    ],
)
def test_a_text_without_a_type_may_name_its_worker(description: str, name: str, rest: str) -> None:
    draft = fitted(Draft("", description), SOLVE)
    assert (draft.type, draft.description) == (name, rest)


def test_the_only_worker_takes_every_type_as_it_is_written() -> None:
    only = {"write": Role("sim:a")}
    assert fitted(Draft("formal", "Do it."), only) == Draft("formal", "Do it.")
    assert fitted(Draft("", "Do it."), only) == Draft("write", "Do it.")


@given(st.text(), st.text(), st.sampled_from([SOLVE, MIXED]))
def test_whatever_is_written_somebody_does_it(written: str, description: str, workers: dict[str, Role]) -> None:
    assert fitted(Draft(written, description), workers).type in workers
