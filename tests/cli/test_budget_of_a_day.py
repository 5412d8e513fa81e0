"""What all runs of a store may cost on a day, at the command line."""

from pathlib import Path

import pytest

from terminal import Terminal

PRICES = '[prices."sim:instant"]\ninput = 1\noutput = 1\n'
TASK = "Compare tea and coffee in 3 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_a_run_that_the_day_does_not_allow_does_not_begin_and_says_what_there_is(terminal: Terminal) -> None:
    (terminal.folder / "stretto.toml").write_text(f'[limits]\nbudget = "2c"\nbudget_per_day = "2c"\n{PRICES}')
    assert terminal("run", "-q", "-m", "sim:instant", TASK).code == 0
    second = terminal("run", "-q", "-m", "sim:instant", TASK)
    assert second.code == 5
    assert "the budget of the day ($0.02, limits.budget_per_day) does not allow this run $0.02" in second.err
    assert "resume" not in second.err, "there is nothing to go on with"
    assert len(terminal("runs", "--json").out.splitlines()) == 1
    assert terminal("run", "-q", "-m", "sim:instant", "--budget", "1c", TASK).code == 0
    assert terminal("run", "-q", "-m", "sim:instant", "--budget-per-day", "50c", TASK).code == 0


def test_a_budget_of_a_day_needs_one_of_the_run(terminal: Terminal) -> None:
    done = terminal("run", "-m", "sim:instant", "--budget-per-day", "5", TASK)
    assert (done.code, done.out) == (3, "")
    assert "limits.budget_per_day: say what one run may take of it, too (limits.budget)" in done.err


def test_what_is_kept_nowhere_has_no_budget_of_a_day(terminal: Terminal) -> None:
    done = terminal("rehearse", "--runs", "2", "-m", "sim:fast", "--budget", "5c", "--budget-per-day", "6c", TASK)
    assert done.code == 0, "a rehearsal is kept nowhere, and costs nothing"
