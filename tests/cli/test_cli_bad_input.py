"""Bad input at the terminal: one clear message, the right exit code, and nothing lost."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stretto.errors import StoreError
from stretto.models.simulator import Fault, Simulator
from stretto.store.sqlite import Store
from terminal import Terminal, served

TASK = "Name uses of a brick in 3 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.mark.parametrize(
    ("args", "stdin", "said"),
    [
        ([""], b"", "TASK: the task is empty"),
        ([], b"", "standard input: the task is empty"),
        (["-"], b"\xef\xbb\xbf \n", "standard input: the task is empty"),
        (["-"], b"a\x00b", "standard input: binary data"),
        (["-"], b"abc\xff", "standard input: not UTF-8 text (byte 3)"),
        ([b"abc\xff"], b"", "TASK: not UTF-8 text"),
        (["-f", "nowhere.md"], b"", "nowhere.md: cannot be read: No such file"),
        (["-f", "binary"], b"", "binary: not UTF-8 text (byte 0)"),
        (["-f", "binary", "a task"], b"", "exclude each other"),
    ],
)
def test_a_task_that_cannot_be_used(terminal: Terminal, args: list[str | bytes], stdin: bytes, said: str) -> None:
    (terminal.folder / "binary").write_bytes(b"\x89PNG\x00")
    done = terminal.fed(stdin, "run", "-m", "sim:instant", *args)
    assert done.code == 2
    assert said in done.err
    assert not terminal.store.exists()


@pytest.mark.parametrize(
    ("toml", "args", "said"),
    [
        ("[orchestrator]\npromt = 'x'", [], 'stretto.toml: orchestrator.promt: unknown key; did you mean "prompt"?'),
        (
            "[orchestrator]\nprompt = '{tusk}'\n[workers.a]",
            [],
            "stretto.toml: orchestrator.prompt: unknown placeholder",
        ),
        ("", ["-w", "no.toml"], "no.toml: cannot be read"),
        ("", ["-m", "gpt-5"], "-m gpt-5: orchestrator.model: 'gpt-5' is no model"),
        ("", ["-m", "openai:x"], "OPENAI_API_KEY"),
        ("[providers.x]\nbase_url = 'localhost:80'", ["-m", "x:y"], "providers.x.base_url"),
    ],
)
def test_a_configuration_that_cannot_work(terminal: Terminal, toml: str, args: list[str], said: str) -> None:
    terminal.write("stretto.toml", toml)
    done = terminal("run", *([] if "-m" in args else ["-m", "sim:instant"]), *args, TASK)
    assert done.code == 3
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not terminal.store.exists()


def test_literal_braces_in_a_prompt_are_just_braces(terminal: Terminal) -> None:
    prompt = 'Plan {task} as {"tasks": [{"type": "general", "description": "…"}]} or {} or {{task}}'
    terminal.write("flow.toml", f"[orchestrator]\nprompt = '''{prompt}'''\n[workers.general]\n[synthesizer]\n")
    assert terminal("run", "-q", "-w", "flow.toml", "-m", "sim:instant", TASK).code == 0
    assert f'Plan {TASK} as {{"tasks": [{{"type"' in terminal("show", "--last").out
    assert "or {task}" in terminal("show", "--last").out


@pytest.mark.parametrize(
    ("url", "said"),
    [("http://127.0.0.1:9/v1", "127.0.0.1"), ("http://no-such-host.invalid/v1", "no-such-host.invalid")],
)
def test_a_base_url_where_nobody_is(terminal: Terminal, url: str, said: str) -> None:
    done = terminal("run", "-m", "together:x", "--attempts", "1", TASK, TOGETHER_BASE_URL=url, TOGETHER_API_KEY="hush")
    assert done.code == 1
    assert said in done.err
    assert "hush" not in done.err


def test_an_endpoint_that_answers_html(terminal: Terminal) -> None:
    with served(Simulator(faults=(Fault("html"),), ttft=0.0)) as (url, _):
        done = terminal("run", "-m", "together:x", TASK, TOGETHER_BASE_URL=url, TOGETHER_API_KEY="x")
    assert done.code == 1
    assert "text/html" in done.err
    assert "base URL" in done.err


def test_a_path_at_the_endpoint_that_does_not_exist(terminal: Terminal) -> None:
    with served() as (url, _):
        done = terminal("run", "-m", "together:x", TASK, TOGETHER_BASE_URL=url + "/no", TOGETHER_API_KEY="x")
    assert done.code == 1
    assert "404" in done.err


# -- stores


def not_sqlite(path: Path) -> None:
    path.write_text("This is a letter to my grandmother, and no database. " * 40)


def foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (a)")
    db.close()


def newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize(
    ("spoil", "args"),
    [
        (not_sqlite, ("run", "-m", "sim:instant", TASK)),
        (not_sqlite, ("runs",)),
        (foreign, ("run", "-m", "sim:instant", TASK)),
        (newer, ("run", "-m", "sim:instant", TASK)),
        (newer, ("resume", "--last")),
    ],
)
def test_a_store_that_is_none_is_left_alone(
    terminal: Terminal, spoil: Callable[[Path], None], args: tuple[str, ...]
) -> None:
    spoil(terminal.store)
    before = terminal.store.read_bytes()
    done = terminal(*args)
    assert done.code == 1
    assert str(terminal.store) in done.err
    assert done.out == ""
    assert terminal.store.read_bytes() == before


def test_a_store_where_nothing_can_be_made(terminal: Terminal) -> None:
    done = terminal("run", "-m", "sim:instant", "--store", "/proc/none/runs.db", TASK)
    assert done.code == 1
    assert "--store" in done.err


def test_a_run_that_another_process_carries_is_not_taken_away_from_it(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[providers.sim]\nttft = 30\n")
    carrier = terminal.child("run", "-m", "sim:slow", TASK)
    wait_for_run(terminal)
    shown = terminal("show", "--last")
    assert "running" in shown.out
    assert "running" in terminal("runs").out
    done = terminal("resume", "--last")
    assert done.code == 1
    assert "being carried" in done.err
    carrier.kill()
    carrier.communicate()
    terminal.write("stretto.toml", "[providers.sim]\nttft = 0\ntokens_per_second = 1e6\n")
    assert terminal("resume", "--last", "-m", "sim:instant").code == 0


def test_a_run_that_was_killed_is_listed_as_such_until_it_is_resumed(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[providers.sim]\nttft = 30\n")
    carrier = terminal.child("run", "-m", "sim:slow", TASK)
    wait_for_run(terminal)
    assert "running" in terminal("runs").out
    carrier.kill()
    carrier.communicate()
    assert "killed" in terminal("runs").out
    assert "killed" in terminal("show", "--last").out
    terminal.write("stretto.toml", "[providers.sim]\nttft = 0\ntokens_per_second = 1e6\n")
    assert terminal("resume", "--last").code == 0
    assert "finished" in terminal("runs").out


def wait_for_run(terminal: Terminal) -> None:
    until = time.monotonic() + 10
    while not _has_run(terminal.store):
        assert time.monotonic() < until
        time.sleep(0.05)


def _has_run(store: Path) -> bool:
    try:
        return store.exists() and bool(Store(store).recent(1))
    except StoreError:  # its file is there, and nothing in it yet
        return False


# -- big things


def test_a_plan_of_ten_thousand_subtasks_is_bounded(terminal: Terminal) -> None:
    prompt = 'Task: {task}. Write {"analysis": "", "tasks": [{"type": "general", "description": ""}]}'
    terminal.write("flow.toml", f"[orchestrator]\nprompt = '{prompt}'\n[workers.general]\n[synthesizer]\n")
    done = terminal("run", "-w", "flow.toml", "-m", "sim:instant", "Say hello in 10000 subtasks")
    assert done.code == 4
    assert "64 of 64 subtasks" in done.err
    assert "max_subtasks = 64" in done.err


def test_a_task_of_a_megabyte_is_a_task(terminal: Terminal) -> None:
    terminal.write("task.md", "Name uses of a brick in 2 subtasks. " + "brick " * 170_000)
    done = terminal("run", "-m", "sim:instant", "-f", "task.md")
    assert done.code == 0
    assert max(map(len, done.err.splitlines())) < 400


def test_a_terminal_is_not_driven_by_what_a_model_says(terminal: Terminal) -> None:
    done = terminal("run", "-m", "sim:instant", "Say \x1b[31mred\x07 in 2 subtasks")
    assert done.code == 0
    assert "\x1b" not in done.err + terminal("runs").out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["version"], "no command 'version'; did you mean `stretto --version`?"),
        (["ls"], "no command 'ls'; did you mean `stretto runs`?"),
        (["rnu"], "no command 'rnu'; did you mean 'run'?"),
        (["run", "--modle", "sim:fast", "x"], "no option '--modle'; did you mean '--model'?"),
        (
            ["run", "compare", "postgres"],
            'the task is one argument, and there are more (postgres); put it into quotes: "…"',
        ),
        (["run", "compare", "two", "teas"], "the task is one argument, and there are more (two teas); put it into"),
        (["run", "--parallel", "many", "x"], "'--parallel': 'many' is no whole number"),
    ],
)
def test_a_slip_on_the_command_line_is_understood(terminal: Terminal, args: list[str], said: str) -> None:
    done = terminal(*args)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("togethr:x", "unknown provider 'togethr'; did you mean 'together'?"),
        ("gpt-4o", "for example openai:gpt-4o"),
        ("claude-opus", "for example anthropic:claude-opus"),
    ],
)
def test_a_slip_in_a_model_is_understood(terminal: Terminal, model: str, said: str) -> None:
    done = terminal("run", "-m", model, "x")
    assert done.code == 3
    assert said in done.err
