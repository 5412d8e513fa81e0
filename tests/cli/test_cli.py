"""The command line as a user meets it: the installed program in a child process, real files, real sockets."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from stretto.cli import cli
from stretto.config import presets
from stretto.models.simulator import Fault, Simulator
from stretto.types import Limits
from terminal import STRETTO, Done, Terminal, kinds, served

COMMANDS = cli.list_commands(click.Context(cli, **cli.context_settings))
TASK = "Name uses of a brick in 3 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


# -- where things go


def test_the_answer_alone_goes_to_stdout_and_everything_else_to_stderr(terminal: Terminal) -> None:
    done = terminal("run", "-m", "sim:instant", TASK)
    assert done.code == 0
    assert done.out.startswith("# ")
    assert done.out.endswith("\n")
    for told in ("simulated", "planned", " done  ", "finished", terminal.run_id()):
        assert told in done.err
        assert told not in done.out


def test_quiet_says_nothing_but_errors(terminal: Terminal) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", TASK).err == ""
    assert "unknown provider 'nobody'" in terminal("run", "-q", "-m", "nobody:x", TASK).err


def test_an_answer_for_a_file_is_in_the_file_and_not_on_stdout(terminal: Terminal) -> None:
    done = terminal("run", "-m", "sim:instant", "-o", "answer.md", TASK)
    assert done.out == ""
    assert "answer.md" in done.err
    assert (terminal.folder / "answer.md").read_text() == terminal("run", "-q", "-m", "sim:instant", TASK).out


def test_a_dash_is_stdout(terminal: Terminal) -> None:
    plain = terminal("run", "-q", "-m", "sim:instant", TASK).out
    assert terminal("run", "-q", "-m", "sim:instant", "-o", "-", TASK).out == plain
    assert "tasks" in terminal("plan", "-q", "-m", "sim:instant", "-o", "-", TASK).out
    terminal.write("list.txt", "tea\nmilk\n")
    assert (
        len(terminal("run", "-q", "-m", "sim:instant", "--each", "list.txt", "-o", "-", "{item}").out.splitlines()) == 2
    )
    assert "has to be a file" in terminal("batch", "-m", "sim:instant", "list.txt", "-o", "-").err
    assert not (terminal.folder / "-").exists()


@pytest.mark.parametrize("output", ["missing/answer.md", ".", "file.txt/answer.md", "/proc/answer.md"])
def test_an_output_that_cannot_be_written_is_said_before_anything_is_asked(terminal: Terminal, output: str) -> None:
    terminal.write("file.txt", "text")
    done = terminal("run", "-m", "sim:instant", "-o", output, TASK)
    assert done.code == 2
    assert "-o" in done.err
    assert not terminal.store.exists()


def test_a_check_of_the_output_leaves_what_is_there(terminal: Terminal) -> None:
    old = terminal.write("old.md", "what was there")
    terminal("run", "-m", "nobody:x", "-o", "old.md", TASK)
    terminal("run", "-m", "nobody:x", "-o", "new.md", TASK)
    assert old.read_text() == "what was there"
    assert not (terminal.folder / "new.md").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_an_answer_that_cannot_be_written_at_last_is_not_lost(terminal: Terminal) -> None:
    with Path("/dev/full").open("wb") as full:
        child = terminal.start("run", "-q", "-m", "sim:instant", TASK, stdout=full)
    err = child.communicate(timeout=10)[1].decode()
    assert child.returncode == 1
    assert f"stretto show {terminal.run_id()}" in err
    assert "Traceback" not in err
    assert "## Answer" in terminal("show", "--last").out


def test_json_is_one_event_a_line_with_its_kind_run_and_time(terminal: Terminal) -> None:
    done = terminal("run", "--json", "-m", "sim:instant", TASK)
    events = done.events
    assert kinds(events)[0] == "run_started"
    assert kinds(events)[-1] == "run_finished"
    assert len({event["run"] for event in events}) == 1
    assert all(event["at"].endswith("Z") for event in events)
    stored = [event["seq"] for event in events if event["kind"] != "answer_delta"]
    assert stored == list(range(1, len(stored) + 1))
    assert not any(event.get("seq") for event in events if event["kind"] == "answer_delta")
    assert "".join(e["text"] for e in events if e["kind"] == "answer_delta") == events[-1]["answer"]


def test_json_ends_with_run_failed_when_a_run_fails(terminal: Terminal) -> None:
    terminal.write("stretto.toml", '[providers.sim]\nfaults = ["400 always"]')
    done = terminal("run", "--json", "-m", "sim:instant", TASK)
    assert done.code == 1
    assert kinds(done.events)[-1] == "run_failed"
    assert done.events[-1]["error"] in done.err


def test_on_a_terminal_the_answer_is_streamed_and_in_a_pipe_it_comes_once_and_whole(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[providers.sim]\nttft = 0\ntokens_per_second = 2000\n")
    pieces, code = on_a_terminal(terminal, "run", "-q", "-m", "sim:x", "Say hello in 1 subtask")
    assert code == 0
    assert len(pieces) > 5
    child = terminal.child("run", "-q", "-m", "sim:x", "Say hello in 1 subtask")
    assert child.stdout
    whole = os.read(child.stdout.fileno(), 1_000_000).decode()
    assert child.communicate() == (b"", b"")
    assert b"".join(pieces).decode().split() == whole.split()  # there its lines break between words


def on_a_terminal(terminal: Terminal, *args: str) -> tuple[list[bytes], int]:
    """What came out, piece by piece, when stdout is a terminal."""
    ours, theirs = pty.openpty()
    child = terminal.child(*args, stdout=theirs)
    os.close(theirs)
    pieces = []
    while True:
        try:
            piece = os.read(ours, 100_000)
        except OSError:  # Linux: the other side was closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(ours)
    child.communicate()
    return pieces, child.wait()


# -- where the task comes from


@pytest.mark.parametrize("args", [[TASK], ["-f", "task.md"], [], ["-"], ["-f", "-"]])
def test_a_task_comes_as_an_argument_a_file_or_standard_input(terminal: Terminal, args: list[str]) -> None:
    terminal.write("task.md", TASK)
    done = terminal.fed(TASK.encode(), "run", "--json", "-m", "sim:instant", *args)
    assert done.events[0]["task"] == TASK


def test_with_a_task_standard_input_is_not_touched(terminal: Terminal) -> None:
    read, write = os.pipe()
    os.write(write, b"for somebody else")
    child = terminal.start("run", "-q", "-m", "sim:instant", TASK, stdin=read)
    out, _ = child.communicate(timeout=10)
    assert out
    assert os.read(read, 100) == b"for somebody else"
    os.close(read)
    os.close(write)


def test_every_stream_may_be_closed(terminal: Terminal) -> None:
    command = f"{STRETTO} run -m sim:instant -o answer.md '{TASK}' <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=terminal.folder, env=terminal.environ, check=False, timeout=10)
    assert done.returncode == 0
    assert (terminal.folder / "answer.md").read_text().startswith("# ")


# -- exit codes


def subject(terminal: Terminal, which: int, *args: str, **environ: str) -> str:
    """What the simulator has its subtask number `which` be about."""
    planned = [e for e in terminal("run", "--json", *args, **environ).events if e["kind"] == "subtask_planned"]
    return str(planned[which - 1]["description"]).partition(" for this task")[0]


def with_fault(terminal: Terminal, fault: str, *args: str) -> Done:
    if "SECOND" in fault:
        fault = fault.replace("SECOND", subject(terminal, 2, "-m", "sim:instant", TASK))
    terminal.write("stretto.toml", f"[providers.sim]\nfaults = ['{fault}']")
    return terminal("run", "-m", "sim:instant", "--attempts", "1", *args, TASK)


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ('500 always role=worker match="SECOND"', 4, "missing"),
        ('truncated always role=worker match="SECOND"', 4, "truncated"),
        ("500 always role=worker", 1, "none of 3 subtasks has a result"),
        ("401 always", 3, "401"),
        ("401 always role=worker", 3, "401"),
        ("400 always role=orchestrator", 4, "answered by one call"),
        ("prose always", 4, "no list of tasks"),
        ("400 always", 1, "400"),
        ("500 always role=synthesizer", 4, "the results themselves are the answer"),
        ("quota always", 1, "quota"),
        ("429 once retry_after=0.05", 0, "held back"),
    ],
)
def test_an_exit_code_says_how_it_ended(terminal: Terminal, fault: str, code: int, said: str) -> None:
    done = with_fault(terminal, fault)
    assert done.code == code, done.err
    assert said in done.err
    assert bool(done.out) == (code in {0, 4})


def test_a_plan_longer_than_permitted_is_cut_and_said(terminal: Terminal) -> None:
    # A prompt that does not say how many subtasks there may be.
    prompt = 'Task: {task}. Write {"analysis": "", "tasks": [{"type": "general", "description": ""}]}'
    terminal.write("flow.toml", f"[orchestrator]\nprompt = '{prompt}'\n[workers.general]\n[synthesizer]\n")
    done = terminal("run", "-w", "flow.toml", "-m", "sim:instant", "--max-subtasks", "2", "Say hello in 9 subtasks")
    assert done.code == 4
    assert "max_subtasks = 2" in done.err


def fast(*faults: Fault) -> Simulator:
    return Simulator(ttft=0.0, tokens_per_second=1e6, faults=faults)


def test_the_answer_of_nine_workers_stands_when_the_tenth_fails_for_ever(terminal: Terminal) -> None:
    args = ("--attempts", "2", "-m", "together:x", "Describe a house in 10 subtasks")
    with served() as (url, _):
        fifth = subject(terminal, 5, *args, TOGETHER_BASE_URL=url, TOGETHER_API_KEY="x")
    with served(fast(Fault("500", role="worker", match=fifth))) as (url, provider):
        done = terminal("run", *args, TOGETHER_BASE_URL=url, TOGETHER_API_KEY="x")
    assert done.code == 4
    assert "9 of 10 subtasks" in done.err
    assert "missing    t5 (general), failed" in done.err
    assert sorted(provider.asked.values())[-2:] == [1, 2]  # the one that fails, twice
    assert fifth.removeprefix("Cover ") in done.out  # what is missing, in the answer


@pytest.mark.parametrize("fault", ["fenced", "malformed", "truncated", "disconnect"])
def test_a_spoiled_plan_is_done_all_the_same(terminal: Terminal, fault: str) -> None:
    with served(fast(Fault(fault, times=1, role="orchestrator"))) as (url, _):
        done = terminal("run", "--json", "-m", "together:x", TASK, TOGETHER_BASE_URL=url, TOGETHER_API_KEY="x")
    planned = kinds(done.events).count("subtask_planned")
    assert done.code == 0, done.err
    assert done.events[-1]["coverage"]["counts"]["done"] == planned >= 3


# -- help


def test_stretto_alone_shows_its_help(terminal: Terminal) -> None:
    done = terminal()
    assert done.code == 2
    assert all(command in done.err for command in COMMANDS)
    assert terminal("--version").out.startswith("stretto 0.")


def page(name: str) -> str:
    group = click.Context(cli, info_name="stretto", terminal_width=80, **cli.context_settings)
    command = cli.get_command(group, name) if name else cli
    assert command
    return command.get_help(click.Context(command, group, name, terminal_width=80) if name else group)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_help_page_has_examples_and_fits(name: str) -> None:
    whole = page(name)
    assert f"  stretto {name or 'demo'}" in whole.partition("Examples:\n")[2]
    assert "\b" not in whole
    assert max(map(len, whole.splitlines())) <= 80


def test_help_says_the_presets_and_every_default(terminal: Terminal) -> None:
    words = " ".join(terminal("run", "--help").out.split())
    assert f"preset: {', '.join(presets())}." in words
    limits = words.partition(" Limits: ")[2].partition(" Memory: ")[0]
    assert limits.count("[default: ") == limits.count(" --") + 1


@pytest.mark.parametrize("name", ["resume", "rerun"])
def test_what_goes_on_with_a_run_has_the_settings_of_that_for_defaults(name: str) -> None:
    words = " ".join(page(name).split())
    assert words.count("[default: RUN's]") == 3 + len(Limits.__struct_fields__) + 3
    assert "./stretto.toml, else" not in words


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rum"], "did you mean 'run'?"),
        (["Say hello"], "stretto run TASK"),
        (["run", "--modle", "x"], "--model"),
        (["run", "--rpm", "many", "x"], "--rpm"),
        (["run", "--timeout", "soon", "x"], "250ms, 20s, 2m30s"),
        (["run", "--max-wait", "0", "x"], "--max-wait"),
        (["sim", "--port", "70000"], "--port"),
        (["sim", "--fault", "flood"], "no such kind"),
    ],
)
def test_a_wrong_argument_is_named(args: list[str], said: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        cli.main(args, standalone_mode=False)
    assert said in refused.value.format_message()


@pytest.mark.parametrize("args", [["run", "--parallel", "0", "x"], ["show", "--nonsense"], ["resume", "x", "--last"]])
def test_wrong_usage_is_one_message_and_exit_code_2(terminal: Terminal, args: list[str]) -> None:
    done = terminal(*args)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("stretto: ")
    assert len(done.err.splitlines()) <= 2


def test_help_loads_neither_the_engine_nor_asyncio() -> None:
    code = "import sys, stretto.cli\ntry: stretto.cli.cli(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"asyncio", "aiohttp", "msgspec", "sqlite3", "stretto.workflow", "stretto.config"}


def test_a_program_that_carries_a_run_loads_nothing_that_draws_it() -> None:
    code = (
        "import sys, stretto\n"
        "run = stretto.Workflow('sim:instant', {'a': 'sim:instant'}, 'sim:instant').run_sync('Compare teas')\n"
        "print(run)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    assert told.startswith("<Run ")
    assert not set(loaded.split()) & {"markdown_it", "html", "rich", "click", "stretto.views.page"}


# -- runs, show, resume


def test_runs_are_listed_newest_first(terminal: Terminal) -> None:
    for task in ("first task", "second task"):
        terminal("run", "-q", "-m", "sim:instant", task)
    lines = terminal("runs").out.splitlines()
    assert ["second task" in lines[0], "first task" in lines[1]] == [True, True]
    assert all("finished" in line and "simulated" in line for line in lines)
    assert len(terminal("runs", "-n", "1").out.splitlines()) == 1
    assert [run["task"] for run in terminal("runs", "--json").events] == ["second task", "first task"]


def test_show_finds_a_run_by_either_end_of_its_id(terminal: Terminal) -> None:
    terminal("run", "-q", "-m", "sim:instant", TASK)
    run = terminal.run_id()
    shown = [terminal("show", *which).out for which in (["--last"], [run[:12]], [run[-6:].lower()])]
    assert len(set(shown)) == 1
    for part in (f"# Run {run} (simulated)", TASK, "## Plan (complete)", "### user", "### reply", "## Answer"):
        assert part in shown[0]
    brief = terminal("show", "--last", "--brief").out
    assert "### user" not in brief
    assert "## Answer" in brief
    assert kinds(terminal("show", "--last", "--json").events)[-1] == "run_finished"


def test_an_unknown_run_is_said_with_where_to_look(terminal: Terminal) -> None:
    assert "no run store here yet" in terminal("runs").err
    terminal("run", "-q", "-m", "sim:instant", TASK)
    for command in ("show", "resume"):
        done = terminal(command, "zzz")
        assert done.code == 1
        assert "stretto runs" in done.err


def test_a_finished_run_is_resumed_without_a_single_call(terminal: Terminal) -> None:
    with served() as (url, provider):
        keys = {"TOGETHER_BASE_URL": url, "TOGETHER_API_KEY": "x"}
        first = terminal("run", "-m", "together:x", TASK, **keys)
        asked = provider.asked.total()
        again = terminal("resume", "--last", **keys)
    assert again.code == 0
    assert again.out == first.out
    assert asked == provider.asked.total() > 3
    assert "reused" in again.err


def test_resuming_with_another_model_keeps_the_plan_and_asks_only_what_changed(terminal: Terminal) -> None:
    first = terminal("run", "-w", "solve", "--json", "-m", "sim:instant", TASK)
    done = terminal("resume", "--last", "--json", "-m", "synthesizer=sim:fast", "--parallel", "2", STRETTO_MODEL="no:x")
    calls = [event for event in done.events if event["kind"] == "call_finished"]
    assert {c["model"] for c in calls if not c.get("reused")} == {"sim:fast"}
    assert done.events[0]["workflow"]["definition"]["limits"]["parallel"] == 2
    workers = first.events[0]["workflow"]["definition"]["workers"]
    assert done.events[0]["workflow"]["definition"]["workers"] == workers
    assert done.code == 0


def test_a_failed_run_is_shown_as_failed_and_goes_on_once_the_cause_is_gone(terminal: Terminal) -> None:
    done = with_fault(terminal, "400 always")
    run = terminal.run_id()
    assert "resume" not in done.err  # nothing was answered that could be kept
    shown = terminal("show", "--last").out
    assert "failed" in shown
    assert "400" in shown
    terminal.write("stretto.toml", "[providers.sim]\nfaults = []")
    again = terminal("resume", run[:14])
    assert again.code == 0


def test_a_run_goes_on_at_the_endpoint_of_its_workflow_file(terminal: Terminal) -> None:
    with served() as (url, provider):
        terminal.write("flow.toml", flow(url))
        first = terminal("run", "-w", "./flow.toml", "--json", TASK)
        assert first.code == 0
        assert {e["model"] for e in first.events if e["kind"] == "call_finished"} == {"x:default"}
        asked = provider.asked.total()
        done = terminal("resume", "--last", "-m", "synthesizer=x:other")
        assert done.code == 0
        assert provider.asked.total() == asked + 1


def flow(url: str) -> str:
    role = 'model = "x:default"\n'
    return (
        f"[orchestrator]\n{role}[workers.general]\n{role}[synthesizer]\n{role}[providers.x]\nbase_url = '{url}'\n"
        "[limits]\ntimeout = '90s'\n"
    )


def test_what_to_type_next_names_the_store_that_was_named(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[providers.sim]\nfaults = ['400 always role=worker']")
    done = terminal("run", "--store", "a b.db", "-m", "sim:instant", TASK)
    assert "what is complete is kept; go on with: `stretto resume" in done.err
    assert "--store 'a b.db'" in done.err


# -- demo and sim


def test_the_demo_is_labelled_as_simulated_everywhere_and_needs_no_configuration(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "this is not TOML")
    terminal.environ["STRETTO_MODEL"] = "nonsense"
    child = terminal.child("demo", "--json", "Say hello in 2 subtasks")
    assert child.stdout
    events: list[dict[str, Any]] = []
    while not events or events[-1]["kind"] != "call_finished":
        events.append(json.loads(child.stdout.readline()))
    child.send_signal(2)
    _, err = child.communicate(timeout=5)
    assert "simulated" in err.decode()
    assert events[0]["simulated"]
    assert events[-1]["simulated"]
    assert terminal("show", "--last").out.count("(simulated)") >= 2


def test_sim_prints_its_url_serves_models_and_stops_at_ctrl_c(terminal: Terminal) -> None:
    child = terminal.start("sim", "--port", "0", "--ttft", "0", "--tokens-per-second", "1e9")
    assert child.stdout
    url = child.stdout.readline().decode().strip()
    port = url.split(":")[2].split("/")[0]
    taken = terminal("sim", "--port", port)
    assert taken.code == 3
    assert f"127.0.0.1:{port}" in taken.err
    done = terminal("run", TASK, OLLAMA_BASE_URL=url)
    assert done.code == 0
    assert f"because ollama answers at {url}" in done.err
    child.send_signal(2)
    _, err = child.communicate(timeout=5)
    assert child.returncode in {0, 130}
    assert b"Traceback" not in err


# -- a big plan


def test_three_hundred_subtasks_do_not_scroll_the_screen_away(terminal: Terminal) -> None:
    start = time.monotonic()
    terminal.write("stretto.toml", "[providers.sim]\nfaults = ['500 rate=0.5 role=worker']")
    done = terminal(
        "run", "-m", "sim:instant", "--attempts", "1", "--max-subtasks", "300", "Describe a town in 300 subtasks"
    )
    assert done.code == 4
    assert len(done.err.splitlines()) < 70 + 2 * (time.monotonic() - start)
    assert "working" in done.err
    assert "more; `stretto show" in done.err
