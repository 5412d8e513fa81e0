"""Listing, searching and finding runs: by what the list says, and never against what the log says."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stores import fill, rows
from stretto import events as e
from stretto.errors import RunNotFound
from stretto.store.journal import Journal
from stretto.store.listing import LOOKED_INTO, Wanted
from stretto.store.sqlite import Store
from stretto.store.summary import summary_of
from terminal import Terminal


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(sql, values).rowcount == 1


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Twelve runs, one a day; every fourth ended in the same way."""
    chance = random.Random(7)
    ends = ("finished", "failed", "interrupted", "")
    runs = [rows(f"01K{n:04d}", chance, end=ends[n % 4], at=f"2026-01-{n + 1:02d}T12:00:00.000Z") for n in range(12)]
    fill(tmp_path / "s.db", runs)
    return Store(tmp_path / "s.db")


def ids(store: Store, **wanted: object) -> list[int]:
    return [int(run.run[3:]) for run in store.listing(Wanted(**wanted))]  # type: ignore[arg-type]


def test_the_newest_runs_come_first_and_say_what_the_log_says(store: Store) -> None:
    listed = store.listing()
    assert [run.run for run in listed] == [f"01K{n:04d}" for n in range(11, -1, -1)]
    for run in listed:
        told = summary_of(store.events(run.run))
        assert run == told or (run.status, told.status) == ("killed", "running")
    assert ids(store, limit=2) == [11, 10]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"status": "finished"}, [8, 4, 0]),
        ({"status": "failed", "limit": 2}, [9, 5]),
        ({"status": "interrupted"}, [10, 6, 2]),
        ({"status": "killed"}, [11, 7, 3]),
        ({"status": "running"}, []),
        ({"status": "unreadable"}, []),
        ({"since": "2026-01-11T00:00:00.000Z"}, [11, 10]),
        ({"since": "2026-01-05T00:00:00.000Z", "status": "failed"}, [9, 5]),
        ({"task": "DESCRIBE TEA", "limit": 1}, [11]),
        ({"task": "É"}, list(range(11, -1, -1))),
        ({"task": "coffee"}, []),
        ({"task": "100%_'"}, []),
    ],
)
def test_runs_are_searched_by_task_status_and_time(store: Store, wanted: dict[str, object], found: list[int]) -> None:
    assert ids(store, **wanted) == found


def test_a_run_that_is_carried_is_running_and_a_dead_one_was_killed(store: Store) -> None:
    with store.carrying("01K0007"):
        assert ids(store, status="running") == [7]
        assert ids(store, status="killed") == [11, 3]
    assert ids(store, status="killed") == [11, 7, 3]


def test_a_damaged_log_is_unreadable_in_a_list_and_hides_no_other(store: Store, tmp_path: Path) -> None:
    change(tmp_path / "s.db", "UPDATE events SET body = replace(body, 'tea', 'pea') WHERE run = '01K0004' AND seq = 3")
    change(tmp_path / "s.db", "DELETE FROM events WHERE run = '01K0011' AND seq = 3")

    assert ids(store) == list(range(11, -1, -1))
    assert ids(store, status="unreadable") == [11, 4]
    assert ids(store, status="unreadable", limit=LOOKED_INTO + 1) == [11, 4]
    assert ids(store, status="finished") == [8, 0]
    (spoilt,) = [run for run in store.listing() if run.run == "01K0004"]
    assert spoilt.task.startswith("Describe tea")
    assert "damaged (event 3 is not what was written)" in (spoilt.error or "")


def test_a_damaged_line_of_the_list_is_told_from_the_log(store: Store, tmp_path: Path) -> None:
    before = store.listing()
    change(tmp_path / "s.db", "UPDATE runs SET task = 'something else' WHERE run = '01K0004'")
    change(tmp_path / "s.db", "UPDATE runs SET done = 99 WHERE run = '01K0005'")
    assert store.listing() == before


def test_a_long_list_is_read_in_pieces(tmp_path: Path) -> None:
    chance = random.Random(3)
    fill(tmp_path / "s.db", [rows(f"01K{n:04d}", chance, calls=0) for n in range(1201)])
    store = Store(tmp_path / "s.db")
    assert ids(store, limit=5000) == list(range(1200, -1, -1))
    assert ids(store, limit=600) == list(range(1200, 600, -1))
    assert ids(store, status="finished", task="tea", limit=5000) == list(range(1200, -1, -1))


def test_the_list_follows_a_run_through_its_life(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main() -> None:
        said = []

        def look() -> None:
            (run,) = Store(path).listing()
            said.append((run.status, run.subtasks, run.error_type))

        async with Journal("R", store=path, show=lambda _: None) as journal:
            for event in (
                e.RunStarted(task="tea", workflow={}),
                e.SubtaskPlanned(subtask="t1", type="a", description="x"),
                e.RunFailed(error="no", error_type="WorkError"),
                e.RunResumed(workflow={}),
                e.RunInterrupted(),
            ):
                journal.append(event)
                await journal.settled()
                look()
        assert said == [
            ("killed", 0, None),
            ("killed", 1, None),
            ("failed", 1, "WorkError"),
            ("killed", 1, None),
            ("interrupted", 1, None),
        ]

    asyncio.run(main())


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


def test_a_beginning_that_fits_beats_an_end_that_fits(tmp_path: Path) -> None:
    chance = random.Random(1)
    fill(tmp_path / "s.db", [rows(name, chance) for name in ("01KA", "01KB", "02C1", "03D01K")])
    store = Store(tmp_path / "s.db")
    assert store.find("02") == store.find("c1") == "02C1"
    assert store.find("d01k") == "03D01K"
    with pytest.raises(RunNotFound, match=r"'01K' fits 2 runs \(01KB, 01KA\)"):
        store.find("01K")
    with pytest.raises(RunNotFound, match="no run '%' in this store"):
        store.find("%")


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
