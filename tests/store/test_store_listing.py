"""Listing, searching and finding runs: by what the list says, and never against what the log says."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stores import fill, rows
from stretto import events as e
from stretto.store.sqlite import Store
from stretto.store.summary import summary_of
from terminal import Terminal

ends = st.sampled_from(["", "finished", "failed", "interrupted"])


@examples(25)
@given(st.lists(st.tuples(st.integers(0, 5), ends), min_size=1, max_size=6), st.integers())
def test_whatever_was_stored_the_list_is_the_fold(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, str]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("s") / "s.db"
    chance = random.Random(seed)
    runs = [rows(f"01K{n:04d}", chance, calls=calls, end=end) for n, (calls, end) in enumerate(shapes)]
    fill(path, runs)
    truth = [summary_of([e.decode(body) for _, _, _, body, *_ in run]) for run in reversed(runs)]
    assert [(t.run, t.task, t.usage, t.cost, t.subtasks, t.done) for t in Store(path).listing()] == [
        (t.run, t.task, t.usage, t.cost, t.subtasks, t.done) for t in truth
    ]


# -- the command


def test_the_command_filters_and_says_the_same_as_json(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", "Compare Teapots, in 2 subtasks")
    terminal("run", "-q", "-m", "nobody:x", "never begun")
    terminal("run", "-q", "-m", "sim:instant", "Compare kettles, in 2 subtasks")

    assert len(terminal("runs").out.splitlines()) == 2
    (run,) = terminal("runs", "--task", "teapots", "--since", "1h", "--status", "finished", "--json").events
    assert run["task"] == "Compare Teapots, in 2 subtasks"
    assert (run["subtasks"], run["done"], run["missing"], run["simulated"]) == (2, 2, 0, True)
    assert terminal("runs", "--status", "killed").out == ""
    assert terminal("runs", "--since", "2100-01-01").out == ""
    assert len(terminal("runs", "--since", "1w").out.splitlines()) == 2


@pytest.mark.parametrize("when", ["yesterday", "30", "2026-13-01", "", "99999999999d"])
def test_a_moment_that_is_none_is_refused(tmp_path: Path, when: str) -> None:
    done = Terminal(tmp_path)("runs", "--since", when)
    assert done.code == 2
    assert "30m, 2d, 1w" in done.err
