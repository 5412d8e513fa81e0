"""`--confirm`: the plan and its forecast at a real terminal, and what is decided there."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from stretto.cli.proposal_table import how_good, table
from stretto.forecast.approval import Approved
from stretto.proposal import Line, Proposal, Range
from stretto.runs import Run
from stretto.store.sqlite import Store
from stretto.types import Plan, Subtask, Usage
from terminal import Terminal, served

TASK = "Compare teas in exactly 3 subtasks with needs"
ASK = "[s]top > "
EDITOR = """#!{python}
import json, sys
path = sys.argv[-1]
plan = json.load(open(path))
{change}
open(path, "w").write(text)
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


class Sat(Struct):
    """What somebody at a terminal saw, how the command ended, and what it wrote to stdout if that was a pipe."""

    seen: str
    code: int
    out: str = ""


def sit(
    terminal: Terminal,
    *args: str,
    answers: Sequence[tuple[str, str]] = (),
    stdin: bytes | None = None,
    **environ: str,
) -> Sat:
    """Run a command at a terminal of its own; each answer is written when its prompt has come.

    With `stdin` that and stdout are pipes, and only stderr is the terminal.
    """
    ours, theirs = pty.openpty()
    pipe = subprocess.PIPE
    streams = (theirs, theirs) if stdin is None else (pipe, pipe)
    environ = terminal.environ | {"COLUMNS": "80"} | environ
    child = terminal.child(*args, environ=environ, session=True, stdin=streams[0], stdout=streams[1], stderr=theirs)
    os.close(theirs)
    if child.stdin:
        child.stdin.write(stdin or b"")
        child.stdin.close()
    seen = _talk(ours, list(answers))
    out = child.stdout.read().decode() if child.stdout else ""
    if child.stdout:
        child.stdout.close()
    os.close(ours)
    return Sat(seen, child.wait(), out)


def _talk(ours: int, answers: list[tuple[str, str]]) -> str:
    seen, since, until = "", 0, time.monotonic() + 25
    while time.monotonic() < until:
        if not select.select([ours], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # Linux: the other side was closed
            break
        if not piece:
            break
        seen += piece.decode()
        if answers and answers[0][0] in seen[since:]:
            os.write(ours, answers.pop(0)[1].encode())
            since = len(seen)
    assert not answers, seen
    assert "Traceback" not in seen, seen
    return seen.replace("\r\n", "\n")


def quick(terminal: Terminal) -> tuple[str, ...]:
    """What makes a run of the usual task at once, with a price."""
    terminal.write("stretto.toml", '[prices."sim:instant"]\ninput = "1"\noutput = "2"\n')
    return ("run", "-m", "sim:instant", TASK)


def editor(terminal: Terminal, change: str) -> str:
    """An editor that changes the plan it is given; `text` is what it writes."""
    path = terminal.write("editor", EDITOR.format(python=sys.executable, change=change))
    path.chmod(0o700)
    return str(path)


def newest(terminal: Terminal) -> Run:
    store = Store(terminal.store)
    return store.run(terminal.run_id())


def kinds(terminal: Terminal) -> list[str]:
    return [event.kind for event in Store(terminal.store).events(terminal.run_id())]


# -- deciding


def test_the_plan_is_shown_with_its_forecast_and_carried_out_when_told_to_go(terminal: Terminal) -> None:
    sat = sit(terminal, *quick(terminal), "--confirm", answers=[(ASK, "g\n")])
    assert sat.code == 0
    shown = sat.seen[sat.seen.index("3 subtasks (p50") : sat.seen.index(ASK)]
    assert "t2 general" in shown
    assert "total of 4 calls" in shown
    assert "from prices and defaults" in shown
    assert "$" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "forecast   " in sat.seen
    assert ", was $" in sat.seen.replace("<$", "$")
    assert newest(terminal).coverage.complete


def test_with_a_history_the_forecast_says_how_many_calls_it_rests_on(terminal: Terminal) -> None:
    assert terminal(*quick(terminal), "-q").code == 0
    sat = sit(terminal, *quick(terminal), "--confirm", "-q", answers=[(ASK, "s\n")])
    assert "from 4 calls of this store\n" in sat.seen
    assert "* what everything waits for" in sat.seen


def test_the_whole_plan_is_shown_on_demand_in_lines_that_fit_and_the_question_comes_again(terminal: Terminal) -> None:
    long = "Describe every sort of tea that is grown between Assam and Yunnan. " * 6
    tasks = [
        {"type": "general", "description": long},
        {"type": "general", "description": "Compare them", "needs": ["t1"]},
    ]
    terminal.write("plan.json", json.dumps({"task": TASK, "tasks": tasks}))
    views = [(ASK, answer) for answer in ("v\n", "v t2\n", "view t9\n", "s\n")]
    sat = sit(terminal, "run", "-m", "sim:instant", "--plan", "plan.json", "--confirm", answers=views)
    assert sat.code == 130
    _, whole, one, wrong, *_ = sat.seen.split(ASK)
    assert " ".join(whole.split()).count(long.strip()) == 1
    assert "t2 (general, after t1)" in whole
    assert max(map(len, whole.splitlines())) < 80
    assert ("Assam" in one, "Compare them" in one) == (False, True)
    assert "no subtask t9; there are t1, t2" in wrong


def test_who_stops_hears_how_to_go_on_and_nothing_was_asked_but_the_plan(terminal: Terminal) -> None:
    sat = sit(terminal, *quick(terminal), "--confirm", answers=[(ASK, "s\n")])
    run = newest(terminal)
    assert sat.code == 130
    assert f"stopped at its plan; go on with: `stretto resume {run.id}`" in " ".join(sat.seen.split())
    assert [call.role for call in run.calls] == ["orchestrator"]
    assert terminal("resume", "--last", "-q").code == 0
    assert newest(terminal).coverage.complete


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_stop_the_run_at_once(terminal: Terminal, key: str) -> None:
    sat = sit(terminal, *quick(terminal), "--confirm", answers=[(ASK, key)])
    assert sat.code == 130
    assert "go on with: `stretto resume" in " ".join(sat.seen.split())
    assert kinds(terminal)[-1] == "run_interrupted"
    again = sit(terminal, "resume", "--last", "--confirm", answers=[(ASK, "go\n")])
    assert again.code == 0
    assert newest(terminal).executions == 2


def test_dropping_what_others_need_asks_whether_these_go_too(terminal: Terminal) -> None:
    plan = {
        "task": "x",
        "tasks": [
            {"type": "general", "description": "one"},
            {"type": "general", "description": "two", "needs": ["t1"]},
            {"type": "general", "description": "three"},
        ],
    }
    terminal.write("plan.json", json.dumps(plan))
    answers = [
        (ASK, "d t9\n"),
        ("no subtask 't9' in the plan; there are t1, t2, t3", "d t1\n"),
        ("t2 needs t1; drop t2 as well? [y/n]", "n\n"),
        (ASK, "drop t1\n"),
        ("[y/n]", "y\n"),
        ("1 subtask (p50", "g\n"),
    ]
    sat = sit(terminal, "run", "-m", "sim:instant", "--plan", "plan.json", "--confirm", answers=answers)
    assert sat.code == 0
    assert [subtask.description for subtask in newest(terminal).plan.subtasks] == ["three"]


def test_a_limit_that_may_be_too_low_for_the_plan_is_named(terminal: Terminal) -> None:
    limits = ("--budget", "0.02", "--deadline", "15", "--tokens", "9000000")
    sat = sit(terminal, *quick(terminal), "--confirm", *limits, answers=[(ASK, "s\n")])
    assert "a budget of $0.020 and a deadline of 15 s may not be enough" in sat.seen


def test_the_orchestrator_is_asked_again_with_the_remark(terminal: Terminal) -> None:
    answers = [(ASK, "a\n"), ("what is to be different? > ", "Fewer, please.\n"), (ASK, "g\n")]
    sat = sit(terminal, *quick(terminal), "--confirm", answers=answers)
    assert sat.code == 0
    assert "withdrawn  asked for again: Fewer, please." in sat.seen
    run = newest(terminal)
    assert [each.remark for each in run.withdrawn] == ["Fewer, please."]
    assert run.coverage.complete


def test_the_plan_is_edited_and_a_broken_edit_says_where_and_may_be_mended(terminal: Terminal) -> None:
    answers = [(ASK, "e\n"), ("your plan: tasks[0].needs: 'x'", "e\n"), ("1 subtask (p50", "g\n")]
    change = (
        "again = 'needs' in plan['tasks'][0]\n"
        "plan['tasks'] = [{'type': 'general', 'description': 'mine', **({} if again else {'needs': ['x']})}]\n"
        "text = json.dumps(plan)"
    )
    sat = sit(terminal, *quick(terminal), "--confirm", answers=answers, VISUAL=editor(terminal, change))
    assert sat.code == 0
    assert [subtask.description for subtask in newest(terminal).plan.subtasks] == ["mine"]


def test_an_editor_that_is_not_there_or_changes_nothing_leaves_the_plan_as_it_was(terminal: Terminal) -> None:
    answers = [(ASK, "e\n"), ("cannot be started", "g\n")]
    sat = sit(terminal, *quick(terminal), "--confirm", answers=answers, VISUAL="no-such-editor")
    assert sat.code == 0
    answers = [(ASK, "e\n"), ("nothing was changed", "what\n"), ("write g, v, e, d with ids", "g\n")]
    sat = sit(terminal, *quick(terminal), "--confirm", answers=answers, VISUAL="true")
    assert sat.code == 0
    answers = [(ASK, "e\n"), ("ended with exit code 1", "g\n")]
    assert sit(terminal, *quick(terminal), "--confirm", answers=answers, EDITOR="false").code == 0
    assert "plan_withdrawn" not in kinds(terminal)


def test_with_the_task_in_a_pipe_the_terminal_itself_is_asked_and_the_answer_stays_clean(terminal: Terminal) -> None:
    sat = sit(terminal, "run", "-q", "-m", "sim:instant", "--confirm", "-", answers=[(ASK, "g\n")], stdin=TASK.encode())
    assert sat.code == 0
    assert sat.out.startswith("# ")
    assert "p50" not in sat.out


# -- when to ask


def test_without_a_terminal_confirm_says_how_it_is_done_in_two_steps(terminal: Terminal) -> None:
    done = terminal(*quick(terminal), "--confirm")
    assert done.code == 2
    assert "stretto run --plan plan.json" in done.err
    assert not terminal.store.exists()


def test_only_what_may_cost_more_than_is_said_is_asked_about(terminal: Terminal) -> None:
    cheap = terminal(*quick(terminal), "--confirm-over", "1")
    assert cheap.code == 0
    assert "not above $1.00: goes on" in cheap.err
    dear = terminal(*quick(terminal), "--confirm-over", "0.000001")
    assert dear.code == 130
    assert "there is no terminal to ask at: stops" in dear.err
    assert newest(terminal).error == "stopped at its plan"
    asked = sit(terminal, *quick(terminal), "--confirm-over", "0.000001", answers=[(ASK, "g\n")])
    assert asked.code == 0
    wrong = terminal(*quick(terminal), "--confirm-over", "much")
    assert wrong.code == 2
    assert "no amount of US dollars" in wrong.err


def test_behind_a_gateway_the_forecast_says_whose_price_is_assumed(terminal: Terminal) -> None:
    with served() as (url, _):
        done = sit(
            terminal, "run", "-m", "openai:gpt-4o-mini", "--confirm", TASK,
            answers=[(ASK, "s\n")], OPENAI_BASE_URL=url, OPENAI_API_KEY="x",
        )  # fmt: skip
    assert done.code == 130
    assert "  price assumed: openai:gpt-4o-mini: gpt-4o-mini of openai\n" in done.seen


def test_an_unknown_cost_is_asked_about(terminal: Terminal) -> None:
    terminal.write(
        "unpriced.toml", '[providers.elsewhere]\nbase_url = "http://127.0.0.1:9/v1"\n[limits]\nattempts = 1\n'
    )
    terminal.write("plan.json", json.dumps({"task": "x", "tasks": [{"type": "general", "description": "one"}]}))
    done = terminal(
        "run", "-w", "./unpriced.toml", "-m", "elsewhere:m", "--plan", "plan.json", "--confirm-over", "100",
        ELSEWHERE_API_KEY="k",
    )  # fmt: skip
    assert done.code == 130
    assert "at an unknown cost, and there is no terminal to ask at: stops" in done.err


# -- the table


def line(name: str, **facts: object) -> Line:
    usual = {"type": "general", "description": "Say what it is and why it is so, in a few words, or in more. " * 3}
    known = {"calls": 1, "tokens": Range(900, 12_345), "source": "history", "known": 12, "seconds": Range(0.5, 75.0)}
    cost = {"cost": Range(Decimal("0.00001"), Decimal("0.25"))}
    return Line(name=name, **{**usual, **known, **cost, **facts})  # type: ignore[arg-type]


def proposal(*lines: Line, **total: object) -> Proposal:
    plan = Plan(tuple(Subtask(each.name, each.type, each.description) for each in lines), "complete")
    answer = line("answer", type="", description="", critical=True)
    return Proposal(
        "r1", "x", plan, lines, answer, line("total", type="", description="", calls=len(lines) + 1, **total)
    )


@pytest.mark.parametrize("width", [70, 80, 200])
def test_a_table_is_aligned_and_keeps_to_its_width(width: int) -> None:
    names = ["t1", "a-very-long-name-of-a-subtask", "日本語", "t\x1b[2J"]
    told = table(proposal(*(line(name, needs=("t1", "t2")) for name in names)), width)
    rows = told.splitlines()
    assert max(map(len, rows)) <= min(110, width)
    assert {len(row) for row in rows[:7]} == {len(rows[0])}
    assert "\x1b" not in told


def test_on_a_narrow_terminal_the_figures_stand_below_what_they_are_of() -> None:
    told = table(proposal(*(line(name, needs=("t1", "t2")) for name in ("t1", "t2"))), 40)
    assert max(map(len, told.splitlines())) < 40
    rows = told.splitlines()
    assert rows[2].startswith("* t1 ") or rows[2].startswith("  t1 ")
    assert {len(row) for row in rows[1:10:2]} == {len(rows[1])}


def test_a_table_says_what_is_unknown_what_is_free_and_what_is_done() -> None:
    assumed = "openai:some/rather/long-name-of-a-model: some-rather-long-name-of-a-model of whoever made it"
    found = table(replace(proposal(line("t1")), assumed=(assumed,)), 60)
    assert f"price assumed: {assumed}" in " ".join(found.split())
    assert max(map(len, found.splitlines())) <= 60
    unknown = table(proposal(line("t1", cost=None), cost=None), 80)
    assert unknown.count("?") == 3
    assert "a price is unknown" in unknown
    free = Range(Decimal(0), Decimal(0))
    assert "$" not in table(proposal(line("t1", cost=free), cost=free), 80)
    done = table(proposal(line("t1", calls=0)), 80).splitlines()[1]
    assert done.endswith("-")
    rough = table(proposal(line("t1", source="defaults"), source="mixed"), 80)
    assert "~900-12k" in rough
    assert "~ from prices and defaults" in rough


def test_how_good_a_forecast_was_counts_from_the_approval() -> None:
    put = proposal(line("t1"), tokens=Range(1000, 2000), seconds=Range(12.0, 40.0))
    approved = Approved(replace(put), Usage(100, 50), Decimal("0.01"), 5.0)
    run = Run(id="r1", task="x", workflow={}, usage=Usage(1000, 650), cost=Decimal("0.20"))
    assert how_good(approved, run, 22.0) == "<$0.0001-$0.250, was $0.190; 1.0k-2.0k tokens, was 1.5k; 12-40 s, was 22 s"
