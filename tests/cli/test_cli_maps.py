"""The same task for each item of a list, from a shell: what goes in, what comes out, what is said."""

import csv
import json
import os
import pty
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from stretto import Simulator
from stretto.cli.each import check, list_of_flags
from stretto.errors import TaskError
from stretto.store.sqlite import Store
from terminal import Terminal, paid_once, served

CITIES = 'city,Land\nOslo,Norway\n"Lima, old",Peru\nN\'Djamena,Chad\n'
TEMPLATE = "Name the river of {city} in {Land}."
WORKFLOW = """
[orchestrator]
model = "sim:o"
[workers.w]
model = "sim:w"
[synthesizer]
model = "sim:s"
[providers.sim]
ttft = {ttft}
tokens_per_second = 1e6
faults = {faults}
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path)
    made.write("cities.csv", CITIES)
    made.write("flow.toml", WORKFLOW.format(ttft=0, faults=[]))
    made.write("fails.toml", WORKFLOW.format(ttft=0, faults=["400 always match=Peru"]))
    return made


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_rows_go_to_stdout_as_json_lines(terminal: Terminal) -> None:
    done = terminal("run", "-w", "./flow.toml", "--each", "cities.csv", TEMPLATE)
    assert done.code == 0
    found = rows(done.out)
    assert [(row["id"], row["city"], row["state"]) for row in found] == [
        ("t1", "Oslo", "done"),
        ("t2", "Lima, old", "done"),
        ("t3", "N'Djamena", "done"),
    ]
    assert all(row["answer"] and row["output_tokens"] for row in found)
    assert "list       3 items" in done.err
    assert "planned" not in done.err.replace("of 3 planned", "")
    shown = terminal("show", "--last", "--prompts").out
    assert "### user\n\nName the river of Oslo in Norway.\n\n## Call" in shown


def test_a_table_goes_to_a_file_with_its_columns(terminal: Terminal) -> None:
    done = terminal("run", "-q", "-w", "./fails.toml", "--each", "cities.csv", "-o", "out.csv", TEMPLATE)
    assert (done.code, done.out) == (4, "")
    with (terminal.folder / "out.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == ["city", "Land", "answer", "state", "error"]
    assert [row["state"] for row in found] == ["done", "failed", "done"]
    assert "400" in found[1]["error"]


def test_all_rows_failed_is_a_failure_with_all_rows(terminal: Terminal) -> None:
    done = terminal("run", "-w", "./fails.toml", "--each", "cities.csv", "-o", "out.jsonl", "Peru, {city}")
    assert done.code == 1
    assert "none of 3 subtasks has a result" in done.err
    assert "resume" not in done.err  # nothing is complete
    assert [row["state"] for row in rows((terminal.folder / "out.jsonl").read_text())] == ["failed"] * 3


def test_lists_come_through_a_pipe(terminal: Terminal) -> None:
    for text, more, fields in (
        (b"a\n\nb\n", (), [{"item": "a"}, {"item": "b"}]),
        (b'{"id": "x", "item": "a"}\n', (), [{"id": "x", "item_in": "a"}]),
        (b"item\na\n", ("--each-format", "csv"), [{"item_in": "a"}]),
    ):
        done = terminal.fed(text, "run", "-q", "-w", "./flow.toml", "--each", "-", *more, "Say {item}")
        assert done.code == 0
        assert [{key: row[key] for key in given} for row, given in zip(rows(done.out), fields, strict=True)] == fields


def test_one_answer_goes_to_stdout_and_rows_to_the_file(terminal: Terminal) -> None:
    arguments = ("-q", "--each", "cities.csv", "--then", "Which is longest?", "-o", "out.jsonl", TEMPLATE)
    done = terminal("run", "-w", "./flow.toml", *arguments)
    assert done.code == 0
    assert done.out.startswith("# Which is longest")
    assert len(rows((terminal.folder / "out.jsonl").read_text())) == 3
    again = terminal("replay", "--last", "-q", "-o", "again.csv")
    assert (again.code, again.out) == (0, done.out)
    assert (terminal.folder / "again.csv").read_text().startswith("city,Land,answer")


def test_rows_have_the_shape_of_the_schema(terminal: Terminal) -> None:
    schema = {"type": "object", "properties": {"river": {"type": "string"}}, "required": ["river"]}
    terminal.write("river.json", json.dumps(schema))
    done = terminal("run", "-q", "-w", "./flow.toml", "--schema", "river.json", "--each", "cities.csv", TEMPLATE)
    assert [list(row["answer"]) for row in rows(done.out)] == [["river"]] * 3


def test_events_may_be_shown_while_rows_are_written(terminal: Terminal) -> None:
    done = terminal("run", "--json", "-w", "./flow.toml", "--each", "cities.csv", "-o", "o.jsonl", TEMPLATE)
    assert done.events[0]["basis"]["each"]["items"][0] == {"city": "Oslo", "Land": "Norway"}
    assert [event["alone"] for event in done.events if event["kind"] == "subtask_planned"] == [True] * 3
    assert len(rows((terminal.folder / "o.jsonl").read_text())) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--each", "cities.csv", "In {land}"), "no row has {land}, which may be {Land}"),
        (("--each", "none.csv", "In {land}"), "none.csv: cannot be read: No such file or directory"),
        (("--each", "-", "-"), "--each -: standard input is read already"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(terminal: Terminal, arguments: tuple[str, ...], said: str) -> None:
    done = terminal("run", "-w", "./flow.toml", *arguments)
    assert done.code == 2
    assert said in done.err
    assert not terminal.store.exists()


@pytest.mark.parametrize(
    ("flags", "more", "said"),
    [
        ({"source": "a"}, {"plan": Path("p.json")}, "--each and --plan exclude each other"),
        ({"source": "a"}, {"cite": True}, "--cite is for one answer, and --each gives rows"),
        ({"source": __file__}, {"output": Path(__file__)}, "that is the list itself, which would be lost"),
        ({"source": "a", "then": " "}, {}, "--then: it is empty"),
        ({"as_completed": True}, {}, "--as-completed says something of a list; name one with --each LIST"),
        ({"form": "csv"}, {}, "--each-format says something of a list"),
    ],
)
def test_flags_that_do_not_go_together_are_told(flags: dict[str, Any], more: dict[str, Any], said: str) -> None:
    none = {"source": None, "form": None, "worker": None, "then": None, "as_completed": False}
    with pytest.raises(TaskError, match=said):
        check(list_of_flags(none | flags), **{"plan": None, "output": None, "cite": False, "stdin": True, **more})


def test_a_list_that_was_killed_is_resumed_into_the_same_file(terminal: Terminal) -> None:
    terminal.write("numbers.txt", "\n".join(map(str, range(40))))
    with served(Simulator(ttft=0.1, tokens_per_second=1e6)) as (url, simulated):
        terminal.write("flow.toml", WORKFLOW.format(ttft=0, faults=[]).replace("sim:", "x:").partition("[prov")[0])
        with (terminal.folder / "flow.toml").open("a") as file:
            file.write(f'[providers.x]\nbase_url = "{url}"\nlocal = true\n')
        flags = ("-w", "./flow.toml", "--parallel", "4", "-o", "out.csv")
        with terminal.child("run", "--each", "numbers.txt", *flags, "Do {item}") as carrier:
            until = time.monotonic() + 20
            while simulated.asked.total() < 20 and time.monotonic() < until:
                time.sleep(0.01)
            carrier.kill()
        before = (terminal.folder / "out.csv").read_text()
        assert 0 < before.count(",done,") < 40
        recorded = Store(terminal.store).replies(terminal.run_id())
        done = terminal("resume", "--last", "-o", "out.csv")
        assert done.code == 0
        after = (terminal.folder / "out.csv").read_text()
        assert after.startswith(before)
        assert after.count(",done,") == 40
        assert len(simulated.asked) == 40
        paid_once(terminal, recorded, simulated.asked)


def test_ctrl_c_says_how_to_go_on_with_the_file(terminal: Terminal) -> None:
    terminal.write("slow.toml", WORKFLOW.format(ttft=2, faults=[]))
    flags = ("--each", "cities.csv", "-o", "out.jsonl", "--parallel", "1")
    carrier = terminal.child("run", "-w", "./slow.toml", *flags, TEMPLATE)
    with carrier:
        assert carrier.stderr is not None
        while b"done " not in (line := carrier.stderr.readline()):
            assert line
        carrier.send_signal(signal.SIGINT)
        assert carrier.stderr.read().rstrip().endswith(b" -o out.jsonl`")
    assert carrier.returncode == 130


def test_on_a_terminal_rows_stand_above_the_picture(terminal: Terminal) -> None:
    leader, follower = pty.openpty()
    streams: dict[str, Any] = {"stdin": follower, "stdout": follower, "stderr": follower}
    arguments = ("run", "-w", "./flow.toml", "--each", "cities.csv", TEMPLATE)
    child = terminal.child(*arguments, environ=terminal.environ | {"TERM": "xterm"}, **streams)
    os.close(follower)
    told = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        told += piece
        if not piece:
            break
    os.close(leader)
    assert child.wait() == 0
    assert told.count(b'"state":"done"') == 3
