"""Stopping: Ctrl-C once and twice, SIGTERM, a terminal that is gone, kill -9, and a reader who leaves."""

import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from stretto import Simulator
from stretto.models.simulator import SimulatedProvider
from stretto.store.sqlite import Store
from terminal import STRETTO, Begun, Terminal, kinds, paid_once, served

TASK = "Describe a house in 8 subtasks"
SLOW = Simulator(ttft=0.0, ttft_spread=0.0, tokens_per_second=1500.0, length=20000.0, length_spread=0.0)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def in_flight(provider: SimulatedProvider, calls: int) -> None:
    """Wait until the plan is over, whose call ends by itself at any moment, and so many workers are at it."""
    until = time.monotonic() + 60
    while not provider.completed or provider.in_flight < calls:
        assert time.monotonic() < until
        time.sleep(0.01)


def start(terminal: Terminal, url: str, *args: str, installed: bool = False) -> Begun:
    terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
    return terminal.child("run", "-m", "together:x", *args, TASK, installed=installed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_every_call_records_the_stop_and_says_how_to_go_on(
    terminal: Terminal, number: signal.Signals
) -> None:
    with served(SLOW) as (url, provider):
        child = start(terminal, url, "--json")
        in_flight(provider, 8)
        child.send_signal(number)
        sent = time.monotonic()
        out, err = child.communicate(timeout=30)
        took = time.monotonic() - sent
        until = time.monotonic() + 30
        while provider.in_flight and time.monotonic() < until:
            time.sleep(0.01)
        assert provider.in_flight == 0
        assert provider.cancelled >= 8
    run = terminal.run_id()
    assert child.returncode == 130
    assert took < 10  # each call would take 13 s
    assert f"stretto resume {run}" in err.decode()
    assert "Traceback" not in err.decode()
    assert out.decode().splitlines()[-1].startswith('{"kind":"run_interrupted"')
    assert kinds(terminal("show", run, "--json").events)[-1] == "run_interrupted"
    assert "interrupted" in terminal("show", run, "--brief").out


def test_what_is_to_outlive_its_terminal_does(terminal: Terminal) -> None:
    with served(Simulator(ttft=0.5)) as (url, provider):
        terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        command = ["nohup", STRETTO, "run", "-q", "-m", "together:x", TASK]
        child = subprocess.Popen(
            command,
            cwd=terminal.folder,
            env=terminal.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not provider.in_flight:
            time.sleep(0.01)
        child.send_signal(signal.SIGHUP)
        out, _ = child.communicate(timeout=60)
    assert (child.returncode, out.decode().startswith("# ")) == (0, True)


def test_twice_means_now_and_the_store_is_intact(terminal: Terminal) -> None:
    with served(SLOW) as (url, provider):
        child = start(terminal, url, installed=True)  # in whose end the second may come
        in_flight(provider, 8)
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGINT)
        sent = time.monotonic()
        _, err = child.communicate(timeout=30)
        assert time.monotonic() - sent < 5
    assert child.returncode == 130
    assert "Traceback" not in err.decode()
    with sqlite3.connect(terminal.store) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_after_kill_9_a_run_goes_on_and_asks_no_completed_call_again(terminal: Terminal) -> None:
    simulator = Simulator(ttft=0.0, ttft_spread=0.0, tokens_per_second=1500.0, length=150.0, length_spread=1.0)
    with served(simulator) as (url, provider):
        child = start(terminal, url, "--json", "--parallel", "2")
        assert child.stdout
        finished = 0
        for line in child.stdout:
            finished += b'"kind":"call_finished"' in line
            if finished == 4:
                break
        child.kill()
        child.communicate()
        recorded = Store(terminal.store).replies(terminal.run_id())
        done = terminal("resume", "--last")
    assert done.code == 0, done.err
    assert len(recorded) >= 4  # what was shown is on the disk
    paid_once(terminal, recorded, provider.asked)
    assert "reused" in done.err


def test_who_stops_reading_stops_the_run_without_a_traceback(terminal: Terminal) -> None:
    with served(SLOW) as (url, provider):
        child = start(terminal, url, "--json", installed=True)  # at whose end Python writes what it has left
        assert child.stdout
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr
        err = child.stderr.read().decode()
        assert child.wait(timeout=30) == 141
        assert provider.in_flight <= 1
        child.stderr.close()
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "nobody reads the output any more" in err


def test_head_gets_its_line_and_nobody_complains(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", TASK)
    for command in ("runs --json", "show --last", "run -q -m sim:instant hello"):
        line = f"{STRETTO} {command} | head -c 1"
        done = subprocess.run(
            ["sh", "-c", line], cwd=terminal.folder, env=terminal.environ, capture_output=True, check=True
        )
        assert (len(done.stdout), done.stderr) == (1, b""), command


def test_the_answer_comes_even_if_nobody_reads_the_progress(terminal: Terminal) -> None:
    read, write = os.pipe()
    os.close(read)
    child = terminal.start("run", "-m", "sim:instant", TASK, stderr=write)
    os.close(write)
    out, _ = child.communicate(timeout=30)
    assert child.returncode == 0
    assert out.startswith(b"# ")
