"""Old runs are removed while others write, and their room is given back."""

import random
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forked import python, python_begun
from stores import DAYS, change, fill, rows, twelve
from stretto.errors import StoreError
from stretto.store import presence
from stretto.store.checkup import findings
from stretto.store.pruning import Pruned, compact, condemned, prune, size_of
from stretto.store.sqlite import Store
from terminal import Terminal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return twelve(tmp_path)


def numbers(runs: list[str]) -> list[int]:
    return [int(run[3:]) for run in runs]


def left(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        listed, logged = (
            [int(run[3:]) for (run,) in db.execute(query)]
            for query in ("SELECT run FROM runs ORDER BY run", "SELECT DISTINCT run FROM events ORDER BY run")
        )
    assert listed == logged
    return listed


# -- prune


@pytest.mark.parametrize(
    ("before", "keep", "old"),
    [
        (DAYS[4], None, [3, 2, 1, 0]),
        (None, 10, [1, 0]),
        (DAYS[4], 10, [1, 0]),
        (DAYS[1], 5, [0]),
        (None, 0, list(range(11, -1, -1))),
        (None, 12, []),
        (DAYS[0], None, []),
    ],
)
def test_a_run_goes_if_it_is_old_and_not_among_the_newest(
    path: Path, before: str | None, keep: int | None, old: list[int]
) -> None:
    runs = condemned(path, before=before, keep=keep)
    assert numbers(runs) == old
    assert prune(path, runs, before=before) == Pruned(len(old), 0)
    assert left(path) == sorted(set(range(12)) - set(old))
    assert list(findings(path)) == []


def test_a_run_that_is_carried_or_went_on_meanwhile_stays(path: Path) -> None:
    runs = condemned(path, before=DAYS[6])
    change(path, "UPDATE runs SET last_at = ? WHERE run = '01K0001'", DAYS[9])
    with Store(path).carrying("01K0002"):
        assert prune(path, runs, before=DAYS[6]) == Pruned(4, 2)
    assert left(path) == [1, 2, *range(6, 12)]
    assert presence.any_held(path) is False


def test_room_is_given_back(path: Path) -> None:
    chance = random.Random(6)
    fill(path, [rows(f"01L{n:04d}", chance, calls=20) for n in range(40)])
    before = size_of(path)
    prune(path, condemned(path, keep=10))
    assert size_of(path) >= before * 0.9
    compact(path)
    assert size_of(path) < before / 3
    assert list(findings(path)) == []


def test_while_a_run_is_pruned_nobody_can_begin_to_carry_it_and_others_write(path: Path) -> None:
    chance = random.Random(6)
    fill(path, [rows(f"01L{n:04d}", chance, calls=5) for n in range(400)])
    code = (
        "import sys; from pathlib import Path; from stretto.store.pruning import *\n"
        "path = Path(sys.argv[1]); print(prune(path, condemned(path, keep=0)).removed)"
    )
    with python_begun("-c", code, path) as child:
        slowest, n = 0.0, 0
        while child.poll() is None:
            began = time.monotonic()
            fill(path, [rows(f"01M{n:04d}", chance)])
            slowest, n = max(slowest, time.monotonic() - began), n + 1
            time.sleep(0.002)
        assert child.stdout is not None
        assert int(child.stdout.read()) >= 412
    assert n > 3
    assert slowest < 5
    assert list(findings(path)) == []
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM events WHERE run LIKE '01L%'").fetchone() == (0,)


def test_whoever_is_killed_while_pruning_leaves_whole_runs(path: Path) -> None:
    chance = random.Random(6)
    fill(path, [rows(f"01L{n:04d}", chance, calls=5) for n in range(300)])
    code = (
        "import sys; from pathlib import Path; from stretto.store.pruning import *\n"
        "path = Path(sys.argv[1]); runs = condemned(path, keep=0); print(flush=True); prune(path, runs)"
    )
    with python_begun("-c", code, path) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.03)
        child.kill()
    assert left(path)
    assert list(findings(path)) == []
    prune(path, condemned(path, keep=0))
    assert left(path) == []


def test_a_store_that_is_held_cannot_be_made_smaller_and_says_so(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"could not be made smaller: database is locked.*used by new runs"):
            compact(path, patience=0.05)
        with pytest.raises(StoreError, match="locked"):
            prune(path, ["01K0000"], patience=0.05)
        other.execute("ROLLBACK")
    assert left(path) == list(range(12))


def test_a_full_disk_while_it_is_made_smaller_loses_nothing(path: Path) -> None:
    chance = random.Random(6)
    fill(path, [rows(f"01L{n:04d}", chance, calls=20) for n in range(20)])
    prune(path, condemned(path, keep=18))
    code = (
        "import resource, sys; from pathlib import Path; from stretto.store.pruning import compact\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try: compact(Path(sys.argv[1]))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = python("-c", code, path)
    assert re.match(f"StoreError {path}: the file could not be made smaller: .*takes room for a copy", done.stdout)
    assert list(findings(path)) == []
    assert len(Store(path).listing()) == 18


def test_the_command_prunes_by_age_and_number_and_says_what_it_did(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    chance = random.Random(5)
    for n in reversed(range(10)):  # the newest came last
        at = (datetime.now(UTC) - timedelta(days=n)).isoformat(timespec="milliseconds")
        fill(terminal.store, [rows(f"01K{9 - n:04d}", chance, at=at.removesuffix("+00:00") + "Z")])

    nothing = terminal("prune")
    assert nothing.code == 2
    assert "--older 30d, --keep 1000" in nothing.err
    dry = terminal("prune", "--older", "2d", "--keep", "5", "--dry-run")
    assert numbers(dry.out.split()) == [4, 3, 2, 1, 0]
    assert re.search(r"5 runs would be removed, about 0\.\d MB", dry.err)
    assert left(terminal.store) == list(range(10))
    with Store(terminal.store).carrying("01K0001"):
        done = terminal("prune", "--older", "2d", "--keep", "5")
    assert re.fullmatch(
        r"removed 4 runs; 1 run stayed, because .*\nthe file is not smaller \(a run is being carried; .*\n", done.out
    )
    (told,) = terminal("prune", "--older", "1w", "--json").events
    assert (told["removed"], told["kept"], told["vacuumed"]) == (1, 0, True)
    assert told["bytes_after"] < told["bytes_before"]
    (dry_told,) = terminal("prune", "--keep", "3", "--dry-run", "--json").events
    assert dry_told["runs"] == ["01K0006", "01K0005"]
    assert "not smaller (--no-vacuum)" in terminal("prune", "--keep", "3", "--no-vacuum").out
    assert re.search(r"^removed 0 runs\n0\.\d MB given back", terminal("prune", "--keep", "3").out)
    assert left(terminal.store) == [7, 8, 9]
