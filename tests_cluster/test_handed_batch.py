"""A file of lines that workers carry: what comes out is what one process would have written, whoever dies meanwhile."""

import json
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batches import PRICES, WORKFLOW, came_out
from postgres import Postgres
from stretto.store.listing import Wanted
from stretto.store.locations import Server
from stretto.store.sqlite import Store
from terminal import Terminal, served
from workers import quick, statuses, wait, workers

COMMAND = ("batch", "in.jsonl", "-o", "out.jsonl", "--submit")


@pytest.fixture
def server(postgres: Postgres) -> Server:
    return Server(postgres.database())


@pytest.fixture
def terminal(tmp_path: Path, server: Server) -> Terminal:
    made = Terminal(tmp_path)
    made.environ["STRETTO_STORE"] = server.url
    made.write("elsewhere/.here", "")  # where workers are, without the files of whoever hands lines over
    made.write("flow.toml", WORKFLOW.format(faults=[]))
    made.write("fails.toml", WORKFLOW.format(faults=["422 always match=Peru"]))
    made.write("better/fails.toml", WORKFLOW.format(faults=[]))
    made.write("priced.toml", WORKFLOW.format(faults=[]) + PRICES)
    return made


def wrote(terminal: Terminal, *lines: dict[str, Any]) -> None:
    terminal.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def tasks(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "task": f"Describe tea {number} in 2 subtasks"} for number in range(count)]


def without_chance(line: dict[str, Any]) -> dict[str, Any]:
    """A line without what differs from one time to the next: ids of runs, times."""
    text = json.dumps({**line, "seconds": 0}, sort_keys=True)
    response = line.get("response", {})
    for run in (line.get("run"), response.get("request_id")):
        text = text.replace(run or "\0", "RUN")
    told: dict[str, Any] = json.loads(text)
    for name in ("created", "created_at"):
        told.get("response", {}).get("body", {}).pop(name, None)
    return told


def test_what_workers_carry_comes_out_as_if_it_had_been_carried_here(terminal: Terminal, server: Server) -> None:
    schema = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
    fits = {"type": "json_schema", "json_schema": {"name": "river", "schema": schema}}
    said = [{"role": "user", "content": "What is a brick?"}]
    (terminal.folder / "note.txt").write_text("The secret is the water.")
    wrote(
        terminal,
        {"id": 1, "task": "Describe tea in 2 subtasks", "inputs": ["note.txt"]},
        {"id": "Peru", "task": "Describe Peru in 2 subtasks"},
        {"custom_id": "one", "body": {"model": "sim:x", "messages": said, "max_tokens": 50}},
        {"custom_id": "fits", "body": {"model": "sim:x", "messages": said, "response_format": fits}},
        {"custom_id": "no", "body": {"model": "sim:x", "messages": [{"role": "user", "content": "And Peru?"}]}},
        {"custom_id": "all", "body": {"model": "fails", "messages": said}},
        {"custom_id": "r", "url": "/v1/responses", "body": {"model": "fails", "input": "Compare tea and coffee"}},
    )
    here = terminal("batch", "in.jsonl", "-o", "here.jsonl", "-w", "./fails.toml", STRETTO_STORE=str(terminal.store))
    with workers(server, terminal.folder / "elsewhere"):
        there = terminal(*COMMAND, "-w", "./fails.toml")
    assert (there.code, here.code) == (4, 4), there.err
    assert "4 of 7 lines answered, 1 partial, 2 failed" in there.err
    assert {key: without_chance(line) for key, line in came_out(terminal).items()} == {
        key: without_chance(line) for key, line in came_out(terminal, "here.jsonl").items()
    }
    assert statuses(server) == {"finished": 5, "failed": 2}
    assert came_out(terminal)["no"]["response"]["status_code"] == 422
    with workers(server, terminal.folder / "elsewhere"):
        again = terminal(*COMMAND, "-w", "./better/fails.toml", "--retry-failed", "-q")
    assert (again.code, again.err) == (4, "")  # for the one that is partial stays so
    assert Counter(str(line.get("state")) for line in came_out(terminal).values()) == {"done": 2, "None": 5}
    assert statuses(server) == {"finished": 7}  # by the workflow as it is now
    assert Counter(run.executions for run in Store(server).recent(9)) == {1: 5, 2: 2}


def test_whoever_is_killed_or_stopped_leaves_lines_to_workers_and_goes_on(terminal: Terminal, server: Server) -> None:
    wrote(terminal, *tasks(8))
    with served(quick(ttft=0.4)) as (url, provider):
        terminal.environ |= {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        command = (*COMMAND, "-m", "together:x", "--runs", "4")
        env = {**terminal.environ, "STRETTO_STORE": ""}
        with workers(server, terminal.folder / "elsewhere", 2, env=env) as (first, second):
            for number, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
                before = provider.asked.total()
                child = terminal.child(*command)
                wait(lambda: provider.asked.total() > before + 4, first.said)  # noqa: B023 - asked within this turn
                child.send_signal(number)
                _, err = child.communicate()
                assert child.returncode == code
            assert "go on at the workers" in err.decode()
            assert "the same command goes on" in err.decode()
            first.signal(signal.SIGKILL)
            done = terminal(*command)
            assert done.code == 0, done.err + second.said()
        paid = Counter(provider.completed)
    assert len(came_out(terminal)) == 8
    assert statuses(server) == {"finished": 8}
    assert set(paid.values()) == {1}


def test_a_total_budget_holds_wherever_lines_are_carried(terminal: Terminal, server: Server) -> None:
    wrote(terminal, *tasks(20))
    command = (*COMMAND, "-w", "./priced.toml", "--budget", "0.2", "--total-budget")
    with workers(server, terminal.folder / "elsewhere", 2):
        short = terminal(*command, "0.5")
        assert short.code == 4, short.err
        cost = sum((run.cost or Decimal(0) for run in Store(server).listing(Wanted(limit=100))), Decimal(0))
        assert Decimal("0.3") < cost <= Decimal("0.5")
        assert 0 < len(came_out(terminal)) < 20
        rest = terminal(*command, "20")
        assert rest.code == 0, rest.err
    assert len(came_out(terminal)) == 20


def test_what_concerns_every_line_ends_it_and_what_was_stopped_is_told(terminal: Terminal, server: Server) -> None:
    wrote(terminal, *tasks(3))
    nowhere = terminal(*COMMAND, "-w", "./flow.toml", STRETTO_STORE=str(terminal.store))
    assert nowhere.code == 3
    assert "--store postgresql://" in nowhere.err
    alone = terminal("batch", "in.jsonl", "-o", "out.jsonl", "-w", "./flow.toml", "--priority", "5")
    assert alone.code == 3
    assert "--submit" in alone.err
    assert terminal("submit", "Describe coffee", "-w", "./flow.toml").code == 0  # and so the store is there
    child = terminal.child(*COMMAND, "-w", "./flow.toml")
    wait(lambda: statuses(server).total() == 4)
    for run in Store(server).listing(Wanted(limit=9)):
        assert terminal("cancel", run.run).code == 0
    _, err = child.communicate()
    assert child.returncode == 1
    assert "no worker is at work for" in err.decode()
    assert "was stopped" in came_out(terminal)["0"]["error"]
    with workers(server, terminal.folder / "elsewhere"):
        assert terminal(*COMMAND, "-m", "together:x", "--retry-failed", TOGETHER_API_KEY="x").code == 3
        assert (terminal.folder / "out.jsonl").read_bytes() == b""  # a worker has no key: that is no fault of a line
        done = terminal(*COMMAND, "-w", "./flow.toml")
    assert done.code == 0, done.err
    assert len(came_out(terminal)) == 3


def test_a_file_that_is_only_handed_over_may_have_requests_too(terminal: Terminal, server: Server) -> None:
    said = [{"role": "user", "content": "What is a brick?"}]
    wrote(terminal, *tasks(1), {"custom_id": "one", "body": {"model": "sim:x", "messages": said}})
    with workers(server, terminal.folder / "elsewhere"):
        done = terminal("submit", "-w", "./flow.toml", "-f", "in.jsonl", "--wait")
    assert done.code == 0, done.err
    assert {run.id for run in Store(server).recent(9)} == set(done.out.split())
    assert sorted(len(run.calls) for run in Store(server).recent(9)) == [1, 4]
