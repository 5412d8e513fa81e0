"""The terminal's doors: what somebody meets there in the first hour, at 80 columns."""

import json
import re
from pathlib import Path

import pytest

from screens import Seat
from stretto.cli.words import columns_of, fitting, folded, hung
from stretto.models.error_forms import told_of_length
from stretto.store.sqlite import Store
from terminal import Terminal, served

LONG = "Compare Postgres and SQLite for a background-job queue, with examples, in 2 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def sat(terminal: Terminal, *args: str, columns: int = 80, **environ: str) -> list[str]:
    """What stands on a terminal when a command is through, line by line."""
    return screen(terminal, *args, columns=columns, code=0, **environ)


def screen(terminal: Terminal, *args: str, columns: int, code: int | None = None, **environ: str) -> list[str]:
    """As `sat`; a `code` of None is any."""
    with Seat(terminal, *args, columns=columns, lines=60, environ=environ) as seat:
        assert seat.end() == code or code is None
        return [line.rstrip() for line in seat.everything.splitlines()]


# -- runs


def test_runs_fit_the_terminal_in_local_time_with_short_ids_and_whole_words(terminal: Terminal) -> None:
    for task in (LONG, "日本語のジョブキューとデータベースを比べ、二つの部分に分けてください。長所と短所も教えて"):
        assert terminal("run", "-q", "-m", "sim:instant", task).code == 0
    heading, second, first = sat(terminal, "runs", TZ="Asia/Kolkata")
    assert re.match(r"run +started \(IST\) +status +done +task$", heading)
    assert all(columns_of(line) <= 80 for line in (heading, second, first))
    (began,) = re.findall(r"\d{4}-\d\d-\d\d (\d\d:\d\d)  ", first)
    utc = Store(terminal.store).recent(2)[1].started_at[11:16]
    minutes = [int(at[:2]) * 60 + int(at[3:]) for at in (began, utc)]
    assert (minutes[0] - minutes[1]) % (24 * 60) == 5 * 60 + 30
    assert LONG.startswith(told := first.partition("(simulated) ")[2].removesuffix("…"))
    assert LONG[len(told)] == " "
    short = first.split()[0]
    assert len(short) == 8
    assert terminal("show", short.lower(), "--brief").out.startswith(f"# Run {Store(terminal.store).find(short)}")
    assert terminal("export", short, "-o", "x.json").code == 0


def test_on_a_narrow_terminal_runs_leave_out_what_the_task_needs_more(terminal: Terminal) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", LONG).code == 0
    heading, line = sat(terminal, "runs", columns=60, TZ="UTC")
    assert re.match(r"run +started \(UTC\) +status +task$", heading)
    assert columns_of(line) <= 60
    assert line.endswith("(simulated) Compare…")


def test_in_a_pipe_runs_have_whole_ids_and_each_its_zone(terminal: Terminal) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", LONG).code == 0
    (line,) = terminal("runs", TZ="Asia/Kolkata").out.splitlines()
    assert line.split()[0] == terminal.run_id()
    assert line.split()[3] == "IST"
    assert " IST, last event " in terminal("show", "--brief", TZ="Asia/Kolkata").out


def test_an_end_that_fits_another_run_too_is_told_longer(terminal: Terminal) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", LONG).code == 0
    run = terminal.run_id()
    terminal("export", run, "-o", "run.json")
    other = "0" * 8 + run[-18:]
    terminal.write("other.json", (terminal.folder / "run.json").read_text().replace(run, other))
    assert terminal("import", "other.json").code == 0
    short = Store(terminal.store).short_ids([run])[run]
    assert (len(short), Store(terminal.store).find(short)) == (26, run)


def test_a_line_is_cut_between_two_words_if_that_leaves_enough_of_it() -> None:
    assert fitting("one two three", 13) == "one two three"
    assert fitting("one two three", 12) == "one two…"
    assert fitting("one " + "x" * 40, 20) == "one " + "x" * 15 + "…"


# -- init


def test_init_asks_and_writes_in_lines_that_fit_the_terminal(terminal: Terminal) -> None:
    with Seat(terminal, "init") as seat:
        for question in ("Preset", "Model", "Budget"):
            seat.until(question)
            seat.write("\n")
        assert seat.end() == 0
        lines = seat.everything.splitlines()
    assert max(map(len, lines)) < 80  # a line that is broken by the terminal has all of its columns
    assert "The default." in " ".join(" ".join(lines).split())
    comments = [line for line in (terminal.folder / "stretto.toml").read_text().splitlines() if line.startswith("#")]
    assert max(map(len, comments)) <= 80


# -- what is said at 80 columns


def test_a_long_line_breaks_between_words_and_goes_on_below_where_it_began() -> None:
    assert folded("one two three", 8) == "one two\nthree"
    assert folded("- one two three", 9) == "- one two\n  three"
    assert folded("  name  one two three", 14) == "  name  one\n        two\n        three"
    assert folded("say `stretto runs` now", 16) == "say\n`stretto runs`\nnow"
    assert folded("a " + "x" * 30, 10) == "a\n" + "x" * 30
    assert folded("日本 日本 日本", 9) == "日本 日本\n日本"
    assert folded("one\ntwo", 3) == "one\ntwo"
    assert hung("one two three four five", 40) == "  one two three four\n" + " " * 20 + "five"
    assert hung("one two three", 9) == "\n  one two\n  three"


@pytest.mark.parametrize(
    "args", [("models",), ("presets",), ("run", "-w", "reveiw", "x"), ("run", "-m", "openai:gpt-4o", "x")]
)
def test_no_word_is_broken_on_a_terminal_and_nothing_is_left_of_a_picture(
    terminal: Terminal, args: tuple[str, ...]
) -> None:
    wide, narrow = (screen(terminal, *args, columns=columns) for columns in (400, 80))
    assert max(map(len, narrow)) <= 80
    words = " ".join(narrow).split()
    assert words == " ".join(wide).split()
    assert not re.match(r" +\d\.\ds$", narrow[0])


# -- what is kept, and what was there before


def test_a_run_that_is_stopped_before_its_plan_is_there_begins_anew(terminal: Terminal) -> None:
    terminal.write("slow.toml", "[providers.sim]\nttft = 60\n")
    with Seat(terminal, "run", "-w", "./slow.toml", "-m", "sim:default", LONG) as seat:
        seat.until("plan is being written")
        assert "go on with" not in terminal("show", "--last", "--brief").out  # it is being carried
        seat.write("\x03")
        assert seat.end() == 130
        assert "stopped, before anything was complete: the same command begins anew" in " ".join(seat.text.split())


def test_there_is_no_word_of_resume_where_nothing_is_kept(terminal: Terminal) -> None:
    with served() as (url, _):
        done = terminal("run", "-m", "openai:x", LONG, OPENAI_BASE_URL=url + "/nowhere", OPENAI_API_KEY="x")
    assert done.code == 1
    assert "resume" not in done.err


def test_a_duplicate_within_a_run_is_called_that(terminal: Terminal) -> None:
    tea, coffee = ({"type": "general", "description": f"Say what {what} is"} for what in ("tea", "coffee"))
    terminal.write("plan.json", json.dumps({"task": "Compare teas", "tasks": [tea, tea, coffee]}))
    done = terminal("run", "-m", "sim:instant", "--plan", "plan.json")
    assert re.search(r"t2 \(general\), a duplicate of t1: asked once\n", done.err)
    assert "3 calls (1 duplicate)" in done.err
    assert "a duplicate of t1: asked once" in terminal("show", "--brief").out
    picture = "\n".join(sat(terminal, "show"))
    assert re.search(r"t2 +general +duplicate of t1", picture), picture
    again = terminal("rerun", "--last")
    assert "duplicate" not in again.err
    assert "reused" in again.err


# -- what a server lists


def test_a_model_that_a_local_server_does_not_list_is_a_warning_and_asked_all_the_same(terminal: Terminal) -> None:
    with served() as (url, provider):
        here = {"LLAMACPP_BASE_URL": url}
        doctor = terminal("doctor", "-m", "llamacpp:nobody", **here)
        run = terminal("run", "-m", "llamacpp:nobody", LONG, **here)
        listed = terminal("run", "-m", "llamacpp:default", LONG, **here)
        assert provider.asked.total() > 0
    assert (doctor.code, run.code) == (0, 0)
    assert re.search(r"^\? llamacpp:nobody +llamacpp lists no 'nobody', but \w+", doctor.out, re.MULTILINE)
    assert doctor.out.endswith("1 warning (marked ?)\n")
    assert re.search(
        r"warning +llamacpp lists no 'nobody', but .*; it may refuse that name, or answer to any\n", run.err
    )
    assert "warning" not in listed.err


def test_a_refusal_for_length_names_the_setting_that_says_how_much_fits() -> None:
    assert told_of_length("prompt is too long", "")[1].endswith("""say what it takes, in the role: context = "4k\"""")
    size, told = told_of_length("maximum context length is 4096 tokens", "")
    assert (size, "context =" in told) == (4096, False)


# -- prices behind a gateway


def test_a_budget_holds_behind_a_gateway_at_prices_that_are_told_as_assumed(terminal: Terminal) -> None:
    with served() as (url, _):
        gateway = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "x"}
        run = terminal("run", "-m", "openai:gpt-4o-mini", "--budget", "1", LONG, **gateway)
        doctor = terminal("doctor", "-m", "openai:gpt-4o-mini", "--budget", "1", **gateway)
        again = terminal("rerun", "--fresh", "synthesizer", "--explain", **gateway)
        rehearsed = terminal(
            "rehearse", "--runs", "1", "--vary", "parallel=8", "-m", "openai:gpt-4o-mini", LONG, **gateway
        )
        short = terminal("run", "-m", "openai:gpt-4o-mini", "--budget", "0.001", "--tokens", "1M", LONG, **gateway)
    assert run.code == 0, run.err
    assert re.search(r"\$0\.\d+ \(price assumed: openai:gpt-4o-mini: gpt-4o-mini of openai\)", run.err)
    assert "a million tokens (assumed: gpt-4o-mini of openai)" in doctor.out
    told = "price assumed: openai:gpt-4o-mini: gpt-4o-mini of openai"
    for said in (terminal("show", run_of(run.err), "--brief"), again, rehearsed):
        assert told in said.out
    assert "budget: this call may cost as much as $" in short.err
    assert "; raise budget, or lower max_tokens" in short.err
    assert "--tokens" not in short.err


def run_of(said: str) -> str:
    (found,) = re.findall(r" run +(\w{26})", said)
    return str(found)


# -- help


def test_help_lists_six_commands_first_and_says_what_is_not_there(terminal: Terminal) -> None:
    lines = sat(terminal, "--help")
    assert max(map(len, lines)) <= 80
    sections = re.split(r"^(\w[\w ]*):$", "\n".join(lines), flags=re.MULTILINE)
    told = dict(zip(sections[1::2], sections[2::2], strict=True))
    named = {heading: re.findall(r"^  (\S+)", text, re.MULTILINE) for heading, text in told.items()}
    assert named["Commands"] == ["run", "show", "resume", "rerun", "init", "doctor"]
    assert len(named["More"]) == 21
    assert {"tools", "Windows"} <= set(named["Not there"])
    assert re.search(r"^  tools +workers call none yet", terminal("doctor", "--offline").out, re.MULTILINE)


# -- one subtask of a run


def test_a_subtask_that_is_not_there_is_told_beside_those_that_are(terminal: Terminal) -> None:
    assert terminal("run", "-q", "-m", "sim:instant", LONG).code == 0
    run, others = terminal.run_id(), "it has t1, t2"
    done = terminal("show", "t9")
    assert (done.code, done.out) == (1, "")
    assert f"no run 't9' in this store; `stretto runs` lists them; nor has the newest, {run}, a subtask" in done.err
    assert done.err.endswith(f"{others}\n")
    for words in (("--last", "t9"), (run, "t9")):
        done = terminal("show", *words)
        assert (done.code, done.err) == (2, f"stretto: run {run} has no subtask 't9'; {others}\n")
    assert terminal("show", "--last", "t2").out == terminal("show", run, "t2").out == terminal("show", "t2").out


# -- an answer as plain text


def test_a_plain_answer_breaks_between_words_on_a_terminal_and_not_in_a_pipe(terminal: Terminal) -> None:
    piped = terminal("run", "-q", "-m", "sim:instant", LONG).out
    assert max(map(len, piped.splitlines())) > 60
    shown = sat(terminal, "run", "-q", "--plain", "-m", "sim:instant", LONG, columns=60)
    assert " ".join(shown).split() == piped.split()
    (answer,) = terminal("show", "--json=final").out.splitlines()
    assert terminal("show", "--plain", "--brief").out.rstrip().endswith(json.loads(answer)["answer"].rstrip())
    told = sat(terminal, "show", "--plain", "--brief", columns=60)
    assert " ".join(" ".join(told).split()).endswith(" ".join(piped.split()))


# -- what is told once

FAILING = """
[providers.sim]
ttft = 0
tokens_per_second = 1e6
faults = ["{fault}"]
[orchestrator]
model = "sim:x"
[workers.general]
model = "sim:x"
[synthesizer]
model = "sim:x"
"""


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        ("400 always role=orchestrator", 4, "answer +by one call, as if nobody had planned: sim:x: 400"),
        ("401 always", 3, "stretto: sim:x: 401"),
    ],
)
def test_why_there_is_no_plan_is_told_once(terminal: Terminal, fault: str, code: int, said: str) -> None:
    terminal.write("flow.toml", FAILING.format(fault=fault))
    done = terminal("run", "-w", "./flow.toml", LONG)
    assert done.code == code
    assert done.err.count("sim:x: 4") == 1, done.err
    assert re.search(said, done.err)
    seen = "\n".join(screen(terminal, "run", "-w", "./flow.toml", LONG, columns=110, code=code))
    assert seen.count("sim:x: 4") == 1, seen
    assert re.search(r"^✗ plan +failed · no subtasks, incomplete ", seen, re.MULTILINE), seen
