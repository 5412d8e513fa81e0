"""The live view at a real terminal: what somebody in front of it sees."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from screens import Seat
from stretto.store.sqlite import Store
from terminal import Terminal

TASK = "Compare teas in exactly 3 subtasks with needs"
SLOW = """
[providers.sim]
ttft = {ttft}
tokens_per_second = {speed}
faults = [{faults}]
[orchestrator]
model = "sim:default"
[workers.general]
model = "sim:default"
[synthesizer]
model = "sim:default"
"""
SUMMARY = re.compile(r"^[✓!] \d+\.\d s \(one after another \d+\.\d s\)", re.MULTILINE)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def flow(terminal: Terminal, *, ttft: float = 0.1, speed: float = 1500, faults: str = "") -> tuple[str, ...]:
    """A run that takes its time: its arguments."""
    terminal.write("flow.toml", SLOW.format(ttft=ttft, speed=speed, faults=faults))
    return ("run", "-w", "./flow.toml", TASK)


def widths(seat: Seat) -> int:
    return max(len(line.rstrip()) for line in seat.everything.splitlines())


# -- a run


def test_the_plan_appears_the_subtasks_run_side_by_side_and_the_answer_is_rendered(terminal: Terminal) -> None:
    with Seat(terminal, "demo", columns=100, lines=40) as seat:
        seat.until("plan is being written")
        assert seat.cursor_hidden
        screen = seat.until(lambda text: "3 running" in text)
        assert len(re.findall(r"^. t\d .*━", screen, re.MULTILINE)) == 3
        seat.until("the answer, ")
        assert seat.end() == 0
        everything = seat.everything
        assert not seat.cursor_hidden
    assert everything.count("✓ t1") == 1
    assert "def is_leap(year: int) -> bool:" in everything
    assert "```" not in everything
    assert "\n • Single years" in everything
    assert "the answer, " not in everything
    assert SUMMARY.search(everything)
    assert f"run {terminal.run_id()}" in everything


def test_what_scrolled_away_is_not_painted_again(terminal: Terminal) -> None:
    with Seat(terminal, "demo", columns=80, lines=12) as seat:
        assert seat.end() == 0
        everything = seat.everything
    answer = Store(terminal.store).run(terminal.run_id()).answer
    words = [re.sub(r"\W+", "", line)[:30] for line in answer.splitlines() if len(line) > 40]
    assert len(words) > 5
    seen = re.sub(r"\W+", "", everything)
    assert [word for word in words if seen.count(word) != 1] == []


@pytest.mark.parametrize(("columns", "lines"), [(20, 24), (30, 6), (20, 3)])
def test_a_small_terminal_gets_what_fits(terminal: Terminal, columns: int, lines: int) -> None:
    with Seat(terminal, *flow(terminal), columns=columns, lines=lines) as seat:
        seat.until(lambda text: "s" in text)
        assert seat.end() == 0
        assert widths(seat) <= columns
        assert "one after" in seat.everything


def test_a_terminal_that_changes_its_size_shows_one_picture_of_the_new_size(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, speed=60), columns=100, lines=30) as seat:
        seat.until(lambda text: "running" in text and "t1" in text)
        seat.resize(50, 20)
        seat.until(lambda text: len(re.findall("plan ", text)) == 1 and "of 3 done" in text)
        seat.resize(120, 30)
        screen = seat.until(lambda text: any(len(line) > 100 for line in text.splitlines()))
        assert len(re.findall(r"^. t1 ", screen, re.MULTILINE)) == 1
        seat.write("\x03")
        assert seat.end() == 130


def test_where_stdout_is_a_pipe_the_answer_goes_there_as_it_is(terminal: Terminal) -> None:
    with Seat(terminal, "demo", out=True) as seat:
        seat.until("answer")
        assert seat.end() == 0
        everything, out = seat.everything, seat.out
    assert "```python" in out
    assert "\x1b" not in out
    assert "✓ answer" in everything
    assert "def is_leap" not in everything
    assert SUMMARY.search(everything)


def test_what_is_missing_stands_between_the_answer_and_the_summary(terminal: Terminal) -> None:
    tasks = [{"type": "general", "description": text} for text in ("Say what tea is", "Say what xyzzy is")]
    terminal.write("plan.json", json.dumps({"task": "Compare teas", "tasks": tasks}))
    *run, _ = flow(terminal, faults="'400 always role=worker match=xyzzy'")
    with Seat(terminal, *run, "--plan", "plan.json", lines=40) as seat:
        assert seat.end() == 4
        everything = seat.everything
    assert "✗ t2" in everything
    assert everything.index("general: ") < everything.index("missing    t2") < everything.index("\n! ")


def test_an_answer_that_begins_anew_says_so_and_is_there_once(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, faults='"disconnect once role=synthesizer"'), lines=40) as seat:
        assert seat.end() == 0
        everything = seat.everything
    answer = Store(terminal.store).run(terminal.run_id()).answer
    _, line, after = everything.partition("answer     begins anew\n")
    assert line
    assert re.sub(r"\W+", "", answer) in re.sub(r"\W+", "", after)


@pytest.mark.parametrize("columns", [20, 40])
def test_on_a_narrow_terminal_words_stay_whole(terminal: Terminal, columns: int) -> None:
    with Seat(terminal, "run", "-m", "sim:instant", TASK, columns=columns, lines=60) as seat:
        assert seat.end() == 0
        words = seat.everything.split()
    assert {"language", "simulator", "asked,"} <= set(words)


# -- stopping, asking, failing


def test_ctrl_c_leaves_the_picture_the_cursor_and_the_way_to_go_on(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, speed=80)) as seat:
        seat.until("running")
        seat.write("\x03")
        assert seat.end() == 130
        screen = seat.text
        assert not seat.cursor_hidden
    assert "■ t1" in screen
    assert len(re.findall(r"^. plan ", screen, re.MULTILINE)) == 1, screen  # what the terminal echoes moves nothing
    last = screen.splitlines()[-1]
    assert "stopped; go on with: `stretto resume" in " ".join(screen.splitlines()[-2:]), last
    with Seat(terminal, "resume", "--last", lines=50) as seat:
        seat.until("resume     ")
        seat.until("running")
        seat.write("\x03")
        assert seat.end() == 130


def test_ctrl_c_twice_gives_the_cursor_back_too(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, speed=80)) as seat:
        seat.until("running")
        seat.write("\x03\x03")
        assert seat.end() == 130
        assert not seat.cursor_hidden
        assert "go on with: `stretto resume" in " ".join(seat.text.split())


def test_ctrl_z_gives_the_terminal_back_and_the_picture_goes_on_afterwards(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, speed=60), installed=True) as seat:
        seat.until("running")
        os.kill(seat.child.pid, signal.SIGTSTP)
        os.waitid(os.P_PID, seat.child.pid, os.WSTOPPED)
        seat.until(lambda _: not seat.cursor_hidden)
        os.kill(seat.child.pid, signal.SIGCONT)
        seat.until(lambda _: seat.cursor_hidden)
        seat.write("\x03")
        assert seat.end() == 130


def test_whoever_is_asked_about_a_plan_has_the_terminal_alone(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, speed=300), "--confirm", lines=40) as seat:
        screen = seat.until("[s]top >")
        assert "total of 4 calls" in screen
        assert "○ t1" not in screen
        assert not seat.cursor_hidden
        seat.write("g\r")
        seat.until(lambda text: "running" in text)
        assert seat.end() == 0
        assert "forecast   " in seat.everything


def test_an_error_stands_below_the_picture(terminal: Terminal) -> None:
    with Seat(terminal, *flow(terminal, faults='"401 always role=worker"')) as seat:
        assert seat.end() != 0
        screen = seat.text
        assert not seat.cursor_hidden
    assert screen.index("plan ") < screen.index("stretto: ")


# -- where there is no live view


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        ((), {"TERM": "dumb"}),
        ((), {"NO_COLOR": "1"}),
        ((), {"CI": "true"}),
        ((), {"STRETTO_PROGRESS": "plain"}),
        ((), {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}),
        (("--plain",), {}),
    ],
)
def test_lines_and_the_answer_as_it_is_where_nothing_can_or_may_be_drawn(
    terminal: Terminal, args: tuple[str, ...], environ: dict[str, str]
) -> None:
    with Seat(terminal, "run", "-m", "sim:instant", TASK, *args, columns=100, lines=60, environ=environ) as seat:
        assert seat.end() == 0
        assert b"\x1b" not in seat.raw
        assert "\n## general: " in seat.everything
        assert re.search(r"finished   \d\.\d s \(one after another \d\.\d s\), 3 of 3 subtasks", seat.everything)


def test_quiet_is_quiet_and_json_is_json(terminal: Terminal) -> None:
    with Seat(terminal, "run", "-m", "sim:instant", TASK, "-q", lines=60) as seat:
        assert seat.end() == 0
        assert seat.text.startswith("# ")
    with Seat(terminal, "run", "-m", "sim:instant", TASK, "--json") as seat:
        assert seat.end() == 0
        assert b"\x1b" not in seat.raw


def test_what_a_plan_or_a_model_says_commands_no_terminal(terminal: Terminal) -> None:
    text = "Say\x1b[2J\x1b[1;1Hred\x1b]0;title\x07\r\nand\u202e more"
    plan = {"task": f"Draw {text}", "tasks": [{"type": "general", "description": text}]}
    terminal.write("plan.json", json.dumps(plan))
    with Seat(terminal, "run", "-m", "sim:instant", "--plan", "plan.json") as seat:
        assert seat.end() == 0
        assert not re.search(rb"\x1b\]|\x07|\x1b\[2J|\x1b\[1;1H", seat.raw)
    with Seat(terminal, "show", "--last") as seat:
        assert seat.end() == 0
        assert not re.search(rb"\x1b\]|\x07|\x1b\[2J|\x1b\[1;1H", seat.raw)


# -- afterwards


def test_show_draws_the_same_picture_above_the_answer(terminal: Terminal) -> None:
    assert terminal("run", "-m", "sim:instant", TASK, "-q").code == 0
    with Seat(terminal, "show", "--last", "--brief", lines=100) as seat:
        assert seat.end() == 0
        screen = seat.text
    assert re.search(r"^✓ t1 .*━", screen, re.MULTILINE)
    assert screen.index("\n✓ t1") < screen.index("\ngeneral: ") < screen.index("one after another")
    assert "## general" not in screen
    piped = terminal("show", "--last", "--brief")
    assert "## Answer" in piped.out
    assert "━" not in piped.out
    with Seat(terminal, "show", "--last", "--brief", "--plain", lines=100) as seat:
        assert seat.end() == 0
        assert b"\x1b" not in seat.raw


# -- what it costs


LOADED = """
import sys
from stretto.cli import main
try:
    main()
except SystemExit:
    pass
print(*sorted({"rich", "markdown_it", "pygments"} & sys.modules.keys()), file=sys.stderr)
"""


@pytest.mark.parametrize("args", [("--help",), ("run", "--help"), ("run", "-m", "sim:instant", TASK)])
def test_rich_is_loaded_for_a_terminal_only(terminal: Terminal, args: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        cwd=terminal.folder, env=terminal.environ | {"TERM": "xterm"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == ""
