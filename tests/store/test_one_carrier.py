"""One carrier of a run, whatever the store is called, whoever cleared up beside it, and however a process ends."""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from forked import Child, python, python_begun
from stores import twelve
from stretto.errors import RunBusy, StoreError
from stretto.store.copying import copy
from stretto.store.schema import connect
from stretto.store.sqlite import Store

RUN = "01K0003"
CARRIER = """
import sys
from pathlib import Path
from stretto.errors import RunBusy
from stretto.store.sqlite import Store
try:
    with Store(Path(sys.argv[1])).carrying(sys.argv[2]):
        print("carrying", flush=True)
        sys.stdin.readline()
    print("left", flush=True)
except RunBusy:
    print("busy", flush=True)
"""


@contextmanager
def another(store: Path) -> Iterator[Child]:
    """Another process that carries the run, if it may, until it reads a line."""
    with python_begun("-c", CARRIER, store, RUN, stdin=PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: Child) -> str:
    assert child.stdout is not None
    return child.stdout.readline().decode().strip()


def carries(store: Path) -> bool:
    """Whether this process may carry the run."""
    try:
        with Store(store).carrying(RUN):
            return True
    except RunBusy:
        return False


def test_a_run_has_one_carrier_by_every_name_of_its_store_and_without_its_locks(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    store = twelve(tmp_path / "real")
    (tmp_path / "link.db").symlink_to(store)
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    names = (store, tmp_path / "link.db", tmp_path / "folder" / "s.db")
    with another(tmp_path / "link.db") as child:
        assert said(child) == "carrying"
        assert [carries(name) for name in names] == [False] * 3
        shutil.rmtree(tmp_path / "real" / "s.db.locks")
        assert [carries(name) for name in names] == [False] * 3
        assert Store(store).is_carried(RUN)
        assert [run.run for run in Store(store).listing() if run.status == "running"] == [RUN]
        copy(store, tmp_path / "copy.db")
        assert not carries(tmp_path / "copy.db")
        child.communicate(b"\n")
    assert [carries(name) for name in (*names, tmp_path / "copy.db")] == [True] * 4


def test_within_a_process_too_and_what_it_does_not_carry_any_more_is_free(tmp_path: Path) -> None:
    store = twelve(tmp_path)
    with Store(store).carrying(RUN):
        shutil.rmtree(tmp_path / "s.db.locks")
        assert not carries(store)
    assert carries(store)
    with Store(store).carrying(RUN), another(store) as child:
        assert said(child) == "busy"


def test_a_killed_carrier_is_in_nobodys_way_even_before_its_parent_has_asked(tmp_path: Path) -> None:
    store = twelve(tmp_path)
    command = [sys.executable, "-c", CARRIER, str(store), RUN]  # a child of this process, and not of what forks
    with Popen(command, stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"carrying\n"
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert carries(store)


def test_a_stopped_carrier_keeps_its_run(tmp_path: Path) -> None:
    store = twelve(tmp_path)
    with another(store) as child:
        assert said(child) == "carrying"
        child.send_signal(signal.SIGSTOP)
        assert not carries(store)
        child.send_signal(signal.SIGCONT)
        assert child.communicate(b"\n")[0] == b"left\n"
    assert carries(store)


def test_who_leaves_while_another_program_holds_the_store_has_left(tmp_path: Path) -> None:
    store = twelve(tmp_path)
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        with Store(store, 0.1).carrying(RUN):
            other.execute("BEGIN IMMEDIATE")
        other.rollback()
    with another(store) as child:  # this process lives on, and says nothing more
        assert said(child) == "carrying"


def test_a_store_with_a_hard_link_is_read_and_not_written(tmp_path: Path) -> None:
    store = twelve(tmp_path)
    before = len(Store(store).listing())
    (tmp_path / "other.db").hardlink_to(store)
    for name in (store, tmp_path / "other.db"):
        with pytest.raises(StoreError, match="hard link"):
            connect(name)
        assert len(Store(name).listing()) == before
    (tmp_path / "other.db").unlink()
    assert carries(store)


def test_the_newest_run_is_the_one_that_came_last_whatever_the_clock_said(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, time, stretto\n"
        "real = time.time_ns\n"
        "time.time_ns = lambda: real() + int(sys.argv[2]) * 10**9\n"
        "flow = stretto.Workflow('sim:instant', {'a': 'sim:instant'}, 'sim:instant', store=sys.argv[1])\n"
        "flow.run_sync(sys.argv[3])\n"
    )
    store = tmp_path / "s.db"
    tasks = {"first": 0, "the clock is a day ahead": 86_400, "it is put right": 0, "it is an hour behind": -3600}
    for task, shift in tasks.items():
        python("-c", code, store, str(shift), task).check_returncode()
    assert [run.task for run in Store(store).listing()] == list(tasks)[::-1]
    assert [run.task for run in Store(store).recent(1)] == ["it is an hour behind"]
