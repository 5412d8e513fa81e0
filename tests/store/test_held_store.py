"""A store that another program holds: budgets and deadlines hold, nothing is paid twice, and stopping is no wait."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from forked import python_begun
from held import Seller, selling, story
from stretto import DeadlineError, Limits, Price, Provider, Role, StoreLocked, Workflow
from stretto.store.sqlite import Store


@contextmanager
def held(store: Path, seconds: float = 60.0) -> Iterator[None]:
    """Another program holds the store, for so long at most."""
    with closing(sqlite3.connect(store, isolation_level=None, timeout=5, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(seconds, other.rollback)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def hold_in_a_while(store: Path, wait: float, seconds: float) -> None:
    time.sleep(wait)
    with held(store):
        time.sleep(seconds)


def bought(seller: Seller, store: Path, limits: Limits) -> Workflow:
    price = Price(Decimal(1), Decimal(10))
    return Workflow(
        "box:plan",
        {"work": Role("box:work", about="any", options={"max_tokens": 100})},
        Role("box:write", options={"max_tokens": 100}),
        providers={"box": Provider(seller.url, local=True)},
        prices={f"box:{name}": price for name in ("plan", "work", "write")},
        limits=limits,
        store=store,
    )


def test_a_run_that_is_killed_while_its_store_is_held_pays_nothing_twice_and_keeps_its_budget(tmp_path: Path) -> None:
    tally = story(tmp_path / "one", "2-0", 2)

    assert tally.complaints == []
    assert tally.kills > 0
    assert tally.answered > 10


def test_no_request_leaves_before_the_log_on_the_disk_says_what_it_may_take(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    missing: list[str] = []

    class Auditor(Seller):
        async def answer(self, request: web.Request) -> web.Response:
            with closing(sqlite3.connect(store)) as db:
                bodies = db.execute("SELECT body FROM events WHERE kind = 'call_started'").fetchall()
            told = sum(b"reserved_cost" in body for (body,) in bodies)
            self.asked += 1
            if told < self.asked:
                missing.append(f"{told} of {self.asked}")
            return await super().answer(request)

        asked = 0

    with selling(random.Random(1), Auditor) as seller:
        run = bought(seller, store, Limits(budget=Decimal(1), parallel=8)).run_sync("Compare teas")

    assert run.coverage.complete
    assert missing == []


def test_a_deadline_holds_while_the_store_is_held(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    with selling(random.Random(2)) as seller:
        flow = bought(seller, store, Limits(deadline=4.0))
        flow.run_sync("first")
        at = time.monotonic()
        with held(store, 20), pytest.raises(DeadlineError, match=r"could be opened .*another program may hold it"):
            flow.run_sync("it is held before it begins")
        assert time.monotonic() - at < 6
        threading.Thread(target=hold_in_a_while, args=(store, 0.5, 12.0)).start()
        at = time.monotonic()
        run = flow.run_sync("it is held in the midst")
        assert time.monotonic() - at < 6
        with pytest.raises(StoreLocked):
            Store(store, 0.1).run(run.id)


def test_who_asks_for_a_run_of_which_something_waits_beside_the_store_is_told_that_it_is_held(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    with selling(random.Random(3)) as seller:
        flow = bought(seller, store, Limits())
        run = flow.run_sync("Compare teas")
        late = store.with_name("s.db.late")
        late.mkdir()
        (late / run.id).write_bytes(b"")
        with held(store):
            assert Store(store, 0.1).listing()[0].run == run.id
            with pytest.raises(StoreLocked):
                Store(store, 0.1).run(run.id)
        assert Store(store).run(run.id).status == "finished"
        assert list(late.iterdir()) == []


SLEEPER = """
import sys, time
import stretto
def sleeps(subtask: stretto.Subtask) -> str:
    print("begun", flush=True)
    time.sleep(60)
    return "late"
stretto.Workflow(None, {"sleeps": sleeps}, None, store=sys.argv[1]).run_sync("sleep")
"""


def test_ctrl_c_ends_a_program_whose_function_is_still_at_work_even_while_its_store_is_held(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    with python_begun("-c", SLEEPER, store, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        with held(store):
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=20)
            assert time.monotonic() - sent < 5
    (run,) = Store(store).recent()
    assert run.status == "interrupted"


def test_uvloop_carries_runs_with_a_store(tmp_path: Path) -> None:
    code = (
        "import sys, stretto, uvloop\n"
        "flow = stretto.Workflow('sim:instant', {'a': 'sim:instant'}, 'sim:instant', store=sys.argv[1])\n"
        "print(uvloop.run(flow.run('Compare teas')).status)\n"
    )
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code, str(tmp_path / "s.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert (done.stdout, done.stderr) == ("finished\n", "")
    assert [run.status for run in Store(tmp_path / "s.db").recent()] == ["finished"]


def test_ctrl_c_while_the_command_is_loaded_is_no_traceback() -> None:
    code = """
import os, signal, sys
class Stop:
    @staticmethod
    def find_spec(name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop)
from stretto.__main__ import main
sys.argv = ["stretto", "runs"]
main()
"""
    for module in ("stretto.cli", "click", "stretto.cli.runs"):
        command = [sys.executable, "-c", code.replace("sys.argv[1]", repr(module))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", ""), module
