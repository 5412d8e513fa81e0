"""Copying a store and looking it over, while others write."""

import os
import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from forked import python, python_begun
from places import SUPPORT
from stores import as_nobody, change, fill, rows, twelve
from stretto.errors import StoreError, TaskError
from stretto.store.checkup import facts, findings
from stretto.store.copying import copy
from stretto.store.pruning import size_of
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.tables import VERSION
from terminal import Terminal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return twelve(tmp_path)


# -- backup


def test_a_copy_is_a_whole_private_store_of_its_own(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    before = os.umask(0)
    try:
        assert copy(path, target) == target.stat().st_size
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "s.db"]
    assert Store(target).listing() == Store(path).listing()
    assert Store(target).events("01K0003") == Store(path).events("01K0003")
    assert Store(target).records("01K0003") == Store(path).records("01K0003")
    assert list(findings(target)) == []


def test_a_copy_replaces_nothing_unless_it_is_told_to(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(TaskError, match=r"copy\.db: exists already.*--force"):
        copy(path, target)
    assert target.read_text() == "precious"
    copy(path, target, replace=True)
    assert len(Store(target).listing()) == 12
    with pytest.raises(TaskError, match="the store itself"):
        copy(path, path, replace=True)
    with pytest.raises(TaskError, match="a folder"):
        copy(path, tmp_path, replace=True)


def test_a_copy_that_cannot_be_made_leaves_nothing_behind(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none/copy\.db: cannot be written: No such file"):
        copy(path, tmp_path / "none" / "copy.db")
    with pytest.raises(StoreError, match="no run store here yet"):
        copy(tmp_path / "none.db", tmp_path / "copy.db")
    code = (
        "import resource, sys; from pathlib import Path; from stretto.store.copying import copy\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: copy(Path(sys.argv[1]), Path(sys.argv[2]))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    target = str(tmp_path / "copy.db")
    done = python("-c", code, path, target)
    assert re.match(rf"StoreError {target}: {path} could not be copied to it: .*nothing is left", done.stdout)
    assert [file.name for file in tmp_path.iterdir()] == ["s.db"]


def test_a_store_that_is_not_intact_is_not_copied_over_a_good_copy(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    copy(path, target)
    before = target.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreError, match="doctor"):
        copy(path, target, replace=True)
    assert target.read_bytes() == before


def test_a_copy_is_made_while_others_write(path: Path, tmp_path: Path) -> None:
    code = """
import random, sys
sys.path[:0] = [sys.argv[2]]
from pathlib import Path
from stores import change, fill, rows, twelve
chance = random.Random(1)
print(flush=True)
for n in range(10**6):
    fill(Path(sys.argv[1]), [rows(f"01N{n:06d}", chance)])
"""
    here = str(SUPPORT)
    with python_begun("-c", code, path, here) as child:
        assert child.stdout is not None
        child.stdout.readline()
        counts = []
        for n in range(8):
            copy(path, tmp_path / f"{n}.db")
            assert list(findings(tmp_path / f"{n}.db")) == []
            counts.append(facts(tmp_path / f"{n}.db").runs)
        child.kill()
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_command_copies_and_says_so(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", "Name uses of a brick in 3 subtasks")
    done = terminal("backup", "copy.db")
    assert (done.code, done.out) == (0, "")
    assert re.fullmatch(r"copy\.db: 0\.\d MB, whole\n", done.err)
    assert terminal("runs", "--store", "copy.db").out == terminal("runs").out
    assert terminal("backup", "copy.db").code == 2
    assert terminal("backup", "--force", "copy.db").code == 0


# -- doctor


def test_a_whole_store_has_no_findings(path: Path) -> None:
    assert list(findings(path)) == list(findings(path, quick=True)) == []
    told = facts(path)
    assert (told.form, told.runs, told.size) == (VERSION, 12, size_of(path))


DAMAGE = [
    (
        "UPDATE events SET body = replace(body, 'tea', 'pea') WHERE run = '01K0002' AND seq = 3",
        "event 3 is not what",
        1,
    ),
    ("DELETE FROM events WHERE run = '01K0002' AND seq = 3", "13 events where 14 were written.*3 of its replies", 1),
    ("UPDATE events SET reply = substr(reply, 2) WHERE run = '01K0002' AND seq = 4", "recorded with event 4", 0),
    ("UPDATE events SET fingerprint = 'x' WHERE run = '01K0002' AND seq = 3", "recorded with event 3", 0),
    ("UPDATE runs SET task = 'other' WHERE run = '01K0002'", "the list of runs is damaged", 1),
    ("DELETE FROM runs WHERE run = '01K0002'", "missing in the list", 1),
]


@pytest.mark.parametrize(("damage", "said", "quick"), DAMAGE)
def test_every_damage_is_found_and_what_is_lost_is_said(path: Path, damage: str, said: str, quick: int) -> None:
    change(path, damage)
    (found,) = findings(path)
    assert found.run == "01K0002"
    assert re.search(said, found.lost)
    assert len(list(findings(path, quick=True))) == quick


def test_a_run_whose_line_in_the_list_is_lost_is_found_by_its_whole_id(path: Path) -> None:
    change(path, "DELETE FROM runs WHERE run = '01K0002'")
    assert Store(path).find("01k0002") == "01K0002"


def test_a_request_under_a_fingerprint_not_its_own_is_found(tmp_path: Path) -> None:
    run = rows("01KA", random.Random(1), calls=1)
    at = next(n for n, row in enumerate(run) if row[5])
    run[at] = (*run[at][:4], "0" * 32, *run[at][5:])
    fill(tmp_path / "s.db", [run])
    (found,) = findings(tmp_path / "s.db")
    assert "fingerprint not its own" in found.lost


def test_looking_it_over_changes_nothing_and_holds_up_nobody(path: Path) -> None:
    with closing(connect(path)) as writer:
        looking = findings(path)
        change(path, "UPDATE runs SET task = 'other' WHERE run = '01K0000'")
        assert "list of runs is damaged" in next(looking).lost
        writer.execute("UPDATE runs SET task = 'other' WHERE run = '01K0005'")
        assert len(list(looking)) == 1


def test_the_command_says_healthy_or_what_is_lost(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    sane = ("doctor", "--offline", "-m", "sim:instant")
    done = terminal(*sane, "--store-check")
    assert (done.code, "not there yet" in done.out) == (0, True)
    terminal("run", "-q", "-m", "sim:instant", "Name uses of a brick in 3 subtasks")
    done = terminal(*sane, "--store-check")
    assert done.code == 0
    assert re.search(rf"\n  {terminal.store}  format {VERSION}, .* free, 1 run; nothing amiss\n", done.out)
    with closing(sqlite3.connect(terminal.store, isolation_level=None)) as db:
        db.execute("UPDATE events SET reply = replace(reply, 'e', 'o') WHERE reply NOTNULL")
    done = terminal(*sane, "--store-check")
    assert done.code == 1
    assert "recorded with event" in done.out
    assert terminal(*sane).code == 0  # a glance does not look at records
    with closing(sqlite3.connect(terminal.store, isolation_level=None)) as db:
        db.execute("UPDATE events SET body = replace(body, 'e', 'o') WHERE seq = 2")
    done = terminal(*sane)
    assert done.code == 1
    assert "cannot be shown or resumed" in done.out


def test_a_store_that_may_not_be_written_can_be_looked_over() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders are closed to the other user
        path = Path(name) / "s.db"
        fill(path, [rows("01KA", random.Random(1))])
        copy(path, path.with_name("copy.db"))
        path.with_name("copy.db").chmod(0o444)
        path.parent.chmod(0o555)
        code = "from pathlib import Path; from stretto.store.checkup import *\nprint(list(findings(Path(sys.argv[1]))))"
        done = as_nobody(code, str(path.with_name("copy.db")))
        assert (done.stdout, done.stderr) == ("[]\n", "")
        path.parent.chmod(0o755)
