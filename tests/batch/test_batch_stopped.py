"""A batch that is stopped, by Ctrl-C or by kill -9, goes on where it was."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stretto.events import CallFinished, RunInterrupted
from stretto.models.simulator import SimulatedProvider, Simulator, parse_fault
from stretto.store.sqlite import Store
from terminal import Begun, Terminal, served

ENDLESS = Simulator(
    ttft=0.0, tokens_per_second=1e6, faults=(parse_fault("trickle always every=1s role=worker match=house"),)
)
COMMAND = ("batch", "in.jsonl", "-o", "out.jsonl", "-m", "together:x", "--runs", "2")
WORKERS = 8  # four of each of two runs


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path)
    alone = {"model": "together:x", "messages": [{"role": "user", "content": "What is a brick?"}]}
    lines: list[dict[str, Any]] = [{"custom_id": "a", "body": alone}]  # that of no house, so it comes to its end
    lines += [{"id": number, "task": f"Describe house {number} in exactly 4 subtasks"} for number in range(4)]
    made.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return made


def until(there: Callable[[], bool], child: Begun) -> None:
    """Wait for it, as long as the child lives."""
    end = time.monotonic() + 120
    while not there():
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def at_work(terminal: Terminal, provider: SimulatedProvider) -> bool:
    """Whether a line is written, both plans are on the disk, and all of their workers are asked and will not answer."""
    out = terminal.folder / "out.jsonl"
    return out.exists() and out.read_bytes().count(b"\n") == 1 and provider.in_flight == WORKERS and planned(terminal)


def planned(terminal: Terminal) -> bool:
    store = Store(terminal.store)
    calls = [event for run in store.recent(3) for event in store.events(run.id) if isinstance(event, CallFinished)]
    return len(calls) == 3  # that of the line which is written, and two plans


def start(terminal: Terminal, url: str) -> Begun:
    terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
    return terminal.child(*COMMAND)


def goes_on(terminal: Terminal, stopped: SimulatedProvider) -> None:
    """The same command, at an endpoint that answers: it asks what is missing, and nothing that is complete."""
    first = (terminal.folder / "out.jsonl").read_bytes()
    with served() as (url, provider):
        terminal.environ |= {"TOGETHER_BASE_URL": url}
        done = terminal(*COMMAND)
        assert not set(provider.asked) & set(stopped.completed)
        assert set(provider.asked.values()) == {1}
    assert done.code == 0, done.err
    assert "5 of 5 lines answered (1 of them before)" in done.err
    whole = (terminal.folder / "out.jsonl").read_bytes()
    assert whole.startswith(first)
    lines = [json.loads(line) for line in whole.splitlines()]
    assert sorted(str(line.get("custom_id", line["id"])) for line in lines) == ["0", "1", "2", "3", "a"]
    runs = Store(terminal.store).recent(10)
    assert len(runs) == 5
    assert sorted(run.executions for run in runs) == [1, 1, 1, 2, 2]


def test_after_kill_9_runs_are_gone_on_with_and_no_completed_call_is_asked_again(terminal: Terminal) -> None:
    with served(ENDLESS) as (url, stopped):
        child = start(terminal, url)
        until(lambda: at_work(terminal, stopped), child)
        child.kill()
        child.communicate()
    assert len(stopped.completed) == 3
    goes_on(terminal, stopped)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_run_and_the_same_command_goes_on(terminal: Terminal, number: signal.Signals) -> None:
    with served(ENDLESS) as (url, stopped):
        child = start(terminal, url)
        until(lambda: at_work(terminal, stopped), child)
        child.send_signal(number)
        _, err = child.communicate()
    assert child.returncode == 130
    assert "the same command goes on" in err.decode()
    assert "Traceback" not in err.decode()
    store = Store(terminal.store)
    ends = [store.events(run.id)[-1] for run in store.recent(10)]
    assert sum(isinstance(event, RunInterrupted) for event in ends) == 2
    goes_on(terminal, stopped)


def test_two_at_the_same_file_are_not_both_paid(terminal: Terminal) -> None:
    with served(ENDLESS) as (url, provider):
        child = start(terminal, url)
        until(lambda: at_work(terminal, provider), child)
        second = terminal(*COMMAND)
        assert second.code == 1
        assert "another `stretto batch` is writing it" in second.err
        child.send_signal(signal.SIGINT)
        child.communicate()
    assert child.returncode == 130
