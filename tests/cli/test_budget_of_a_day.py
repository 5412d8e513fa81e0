"""What all runs of a store may cost on a day, at the command line."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from stretto.store.connecting import connect
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


def test_a_batch_stops_where_the_day_is_used_up_and_goes_on_another_day(terminal: Terminal) -> None:
    (terminal.folder / "stretto.toml").write_text(f'[limits]\nbudget = "2c"\nbudget_per_day = "2.5c"\n{PRICES}')
    lines = [f'{{"id": "{n}", "task": "Describe tea {n} in 3 subtasks"}}\n' for n in range(12)]
    (terminal.folder / "in.jsonl").write_text("".join(lines))
    command = ("batch", "in.jsonl", "-o", "out.jsonl", "-m", "sim:instant")
    first = terminal(*command)
    assert first.code == 4
    assert re.search(r"the budget leaves \d+ lines undone; the same command goes on when there is more", first.err)
    assert 0 < len((terminal.folder / "out.jsonl").read_text().splitlines()) < 12
    assert '"error":{' not in (terminal.folder / "out.jsonl").read_text()
    assert first.err.count("the budget of the day") == 1
    with closing(connect(terminal.store)) as db:
        db.execute("UPDATE runs SET last_at = '2026-01-01T00:00:00.000Z'")
    assert terminal(*command, "--budget-per-day", "50c").code == 0
    assert len((terminal.folder / "out.jsonl").read_text().splitlines()) == 12
