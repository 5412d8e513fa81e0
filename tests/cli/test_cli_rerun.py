"""`rerun`, `plan`, `diff` and what belongs to them, as a user meets them."""

import codecs
import contextlib
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from terminal import STRETTO, Done, Terminal, served

LINE = '{"id": "a", "type": "draft", "description": "x"}'
TASK = "Compare teas in exactly 4 subtasks with needs"
WORKFLOW = """
[orchestrator]
model = "sim:instant"
[workers.draft]
model = "sim:instant"
prompt = "Draft: {{task_description}} {{needs}}"
[workers.proof]
model = "sim:instant"
prompt = "{proof}: {{task_description}} {{needs}}"
[synthesizer]
model = "sim:instant"
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


FATES = {"reused", "new", "kept", "unknown", "fails"}


def said(done: Done) -> dict[str, str]:
    """What an explanation says of each call."""
    return {line["name"]: line["fate"] for line in map(json.loads, done.out.splitlines())}


def started(terminal: Terminal) -> str:
    """A run of the workflow, and its id."""
    terminal.write("flow.toml", WORKFLOW.format(proof="Proofread"))
    done = terminal("run", "-q", "-w", "./flow.toml", TASK)
    assert done.code == 0
    return terminal.run_id()


def test_explain_says_what_would_be_asked_and_why_and_sends_nothing(terminal: Terminal) -> None:
    run = started(terminal)
    same = terminal("rerun", run, "--explain")
    assert "6 calls are reused, 0 asked" in same.out
    terminal.write("flow.toml", WORKFLOW.format(proof="Check"))
    changed = terminal("rerun", run, "-w", "./flow.toml", "--explain")
    assert "orchestrator         reused" in changed.out
    lines = {line.split()[0]: line for line in changed.out.splitlines() if line.startswith("  ")}
    assert "prompt changed" in changed.out
    assert all("new" in line for line in lines.values() if " proof " in line)
    assert "asked again" in lines["synthesizer"]
    assert "about" in lines["synthesizer"]
    told = said(terminal("rerun", run, "-w", "./flow.toml", "--explain", "--json"))
    assert told == {name: next(word for word in line.split() if word in FATES) for name, line in lines.items()}
    assert len(terminal("runs").out.splitlines()) == 1


def test_what_was_explained_is_what_happens(terminal: Terminal) -> None:
    run = started(terminal)
    terminal.write("flow.toml", WORKFLOW.format(proof="Check"))
    args = ("rerun", run, "-w", "./flow.toml")
    told = said(terminal(*args, "--explain", "--json"))
    finished = [event for event in terminal(*args, "--json", "-q").events if event["kind"] == "call_finished"]
    reused = {event["subtask"] or event["role"]: event["reused"] for event in finished}
    assert {name: fate == "reused" for name, fate in told.items()} == reused
    again = terminal("rerun", "--last", "-w", "./flow.toml")
    assert "6 reused" in again.err
    assert "0 calls" in again.err


def test_a_plan_is_written_edited_and_carried_out(terminal: Terminal) -> None:
    terminal.write("flow.toml", WORKFLOW.format(proof="Proofread"))
    done = terminal("plan", "-w", "./flow.toml", "-o", "plan.json", TASK)
    assert (done.code, done.out) == (0, "")
    assert "stretto run --plan plan.json" in done.err
    plan = json.loads((terminal.folder / "plan.json").read_text())
    assert plan["task"] == TASK
    assert [each["id"] for each in plan["tasks"]] == ["t1", "t2", "t3", "t4"]
    plan["tasks"][2:] = [{"type": "proof", "description": "Look at it all", "needs": ["t1", "t2"]}]
    terminal.write("plan.json", json.dumps(plan))
    ran = terminal("run", "-q", "-w", "./flow.toml", "--plan", "plan.json", "--json")
    assert [event["subtask"] for event in ran.events if event["kind"] == "subtask_planned"] == ["t1", "t2", "t3"]
    assert not [event for event in ran.events if event["kind"] == "call_started" and event["role"] == "orchestrator"]
    assert json.loads(terminal("show", "--last", "--plan").out)["tasks"][2]["description"] == "Look at it all"
    (terminal.folder / "plan.json").write_bytes(codecs.BOM_UTF8 + b'{"task": "x", "tasks": [%s]}' % LINE.encode())
    assert terminal("run", "-q", "-w", "./flow.toml", "--plan", "plan.json").code == 0
    piped = terminal("plan", "-q", "-w", "./flow.toml", TASK)
    assert json.loads(piped.out)["task"] == TASK
    assert terminal("resume", "--last", "-q").code == 0


def test_a_plan_without_subtasks_is_carried_out_as_it_says(terminal: Terminal) -> None:
    terminal.write("flow.toml", WORKFLOW.format(proof="Proofread"))
    terminal.write("plan.json", '{"task": "Name a tea.", "tasks": []}')
    done = terminal("run", "-w", "./flow.toml", "--plan", "plan.json")
    assert done.code == 0
    assert "no subtasks: the task is answered directly" in done.err
    assert json.loads(terminal("show", "--last", "--json=final").out)["plan"]["subtasks"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "plan.json: no plan"),
        ('{"tasks": [{"type": "draft", "descriptoin": "x"}]}', "tasks[0]"),
        ('{"tasks": [{"type": "darft", "description": "x"}]}', "did you mean 'draft'"),
        ('{"tasks": [{"type": "draft", "description": "x", "needs": ["t7"]}]}', "tasks[0].needs: 't7'"),
        (f'{{"tasks": [{LINE}, {LINE}]}}', "twice"),
        ('{"tusks": []}', "tusks"),
        ('{"tasks": [{"type": "draft", "description": " "}]}', "tasks[0].description"),
        ("[1]", "plan.json: no plan"),
        ("\udcff", "plan.json"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_with_its_place(terminal: Terminal, text: str, said: str) -> None:
    terminal.write("flow.toml", WORKFLOW.format(proof="Proofread"))
    (terminal.folder / "plan.json").write_bytes(text.encode(errors="surrogateescape"))
    done = terminal("run", "-w", "./flow.toml", "--plan", "plan.json", TASK)
    assert done.code == 2
    assert said in done.err
    assert not terminal.store.exists()


def test_only_and_fresh_name_subtasks(terminal: Terminal) -> None:
    run = started(terminal)
    terminal.write("flow.toml", WORKFLOW.format(proof="Check"))
    done = terminal("rerun", run, "-w", "./flow.toml", "--only", "t1,t2", "--fresh", "t1", "--json", "-q")
    asked = [event["subtask"] for event in done.events if event["kind"] == "call_started"]
    assert set(asked) <= {"t1", "t2", None}
    assert "t1" in asked
    wrong = terminal("rerun", run, "--only", "t9")
    assert wrong.code == 2
    assert "no such subtask" in wrong.err


def test_diff_says_what_differs(terminal: Terminal) -> None:
    run = started(terminal)
    terminal.write("flow.toml", WORKFLOW.format(proof="Check"))
    terminal("rerun", run, "-w", "./flow.toml", "-q")
    other = terminal.run_id()
    done = terminal("diff", "--last")
    assert done.out == terminal("diff", run, other).out
    assert 'Workflow: workers."proof" differs (prompt)' in done.out
    assert "Plan: the same 4 subtasks" in done.out
    assert "Calls reused: 0 -> " in done.out
    same = terminal("diff", run, run)
    assert "Answer: the same" in same.out
    assert "->" not in same.out
    alone = terminal("diff", run)
    assert alone.code == 2
    assert "no rerun of another run" in alone.err


def test_memory_is_said_by_flag_or_file(terminal: Terminal) -> None:
    terminal.write("flow.toml", WORKFLOW.format(proof="Proofread") + '[memory]\nreuse = "store"\n')
    terminal("run", "-q", "-w", "./flow.toml", TASK)
    again = terminal("run", "-w", "./flow.toml", TASK)
    assert "6 reused" in again.err
    assert "reused" not in terminal("run", "-w", "./flow.toml", "--reuse", "run", TASK).err
    assert "reused" not in terminal("run", "-w", "./flow.toml", "--fresh", "everything", TASK).err
    terminal("run", "-q", "-w", "./flow.toml", "--record", "usage", TASK)
    shown = terminal("show", "--last")
    assert "were not kept" in shown.out
    assert TASK not in shown.out
    wrong = terminal.write("wrong.toml", "[memory]\nreuze = 'store'\n")
    assert 'did you mean "reuse"' in terminal("run", "-w", str(wrong), TASK).err


def test_an_imported_run_names_no_address_that_a_key_could_be_sent_to(tmp_path: Path) -> None:
    here, there = Terminal(tmp_path / "here"), Terminal(tmp_path / "there")
    for terminal in (here, there):
        terminal.folder.mkdir()
        terminal.environ["OPENAI_API_KEY"] = "sk-test"
    with served() as (url, _):
        provider = f"[providers.mine]\nbase_url = '{url}'\nkey_env = 'OPENAI_API_KEY'\n"
        here.write("flow.toml", WORKFLOW.format(proof="Check").replace("sim:instant", "mine:x") + provider)
        ran = here("run", "-q", "-w", "./flow.toml", TASK)
        assert ran.code == 0, ran.err
        assert here("rerun", "--last", "-q").code == 0  # one's own run says where it asks
        assert here("export", "--last", "-o", "run.jsonl").code == 0
        assert there("import", str(here.folder / "run.jsonl")).code == 0
        for command in (("rerun", "--last"), ("resume", "--last"), ("rerun", "--last", "--explain")):
            refused = there(*command)
            assert refused.code == 3
            assert "was imported, and asks provider 'mine'" in refused.err
        assert there("replay", "--last", "-q").code == 0
        there.write("stretto.toml", provider)
        assert there("rerun", "--last", "--fresh", "t1").code == 3  # it may have come with the run
        assert there("allow").code == 0
        assert there("rerun", "--last", "--fresh", "t1").code == 0


def test_a_limit_without_end_is_without_end_when_a_run_goes_on(terminal: Terminal) -> None:
    terminal.write("flow.toml", WORKFLOW.format(proof="Check") + "[limits]\ntimeout = inf\nmax_wait = inf\n")
    assert terminal("run", "-q", "-w", "./flow.toml", TASK).code == 0
    assert terminal("rerun", "--last", "-q").code == 0


def test_what_a_model_wrote_commands_no_terminal(terminal: Terminal) -> None:
    plan = {
        "task": "Paint \u001b[31mred",
        "tasks": [{"id": "a", "type": "draft", "description": "\u001b[2Jx"}],
    }
    terminal.write("plan.json", json.dumps(plan))
    terminal.write("flow.toml", WORKFLOW.format(proof="Check"))
    assert terminal("run", "-q", "-w", "./flow.toml", "--plan", "plan.json").code == 0
    main, side = pty.openpty()
    with subprocess.Popen([STRETTO, "show", "--last"], env=terminal.environ, stdout=side, stderr=side) as shown:
        os.close(side)
        said = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            while piece := os.read(main, 65536):
                said += piece
    os.close(main)
    assert shown.returncode == 0
    assert b"Paint [31mred" in said
    assert b"\x1b" not in said
    assert b"\x07" not in said


def test_commands_mean_the_newest_run_if_none_is_named(terminal: Terminal) -> None:
    started(terminal)
    run = started(terminal)
    assert f"# Run {run}" in terminal("show", "--brief").out
    assert run in terminal("export").out
    assert f"A rerun of {run}" in terminal("rerun", "--explain").out
    assert terminal("replay", "-q").code == 0
    assert terminal("resume", "-q").code in {0, 2}
    both = terminal("show", run, "--last")
    assert both.code == 2
    assert "leave one of them out" in both.err


def test_show_prints_the_result_of_one_subtask(terminal: Terminal) -> None:
    older, run = started(terminal), started(terminal)
    shown = terminal("show", "t2")
    assert shown.code == 0
    assert shown.out.strip() in terminal("show", run).out
    assert shown.out == terminal("show", older, "t2").out  # the simulator says the same
    missing = terminal("show", run, "t9")
    assert missing.code == 2
    assert f"run {run} has no subtask 't9'; it has t1, t2, t3, t4" in missing.err


def test_an_edited_file_of_the_folder_that_is_not_read_is_told(terminal: Terminal) -> None:
    terminal.write("stretto.toml", WORKFLOW.format(proof="Proofread"))
    assert terminal("run", "-q", TASK).code == 0
    assert "stretto.toml" not in terminal("rerun", "--explain").err
    terminal.write("stretto.toml", WORKFLOW.format(proof="Check"))
    told = terminal("rerun", "--explain")
    assert 'in ./stretto.toml workers."proof" differs, and counts with -w ./stretto.toml' in told.err
    assert "6 calls are reused" in told.out
    assert "6 calls are reused" not in terminal("rerun", "--explain", "-w", "./stretto.toml").out


def test_a_file_of_the_folder_that_names_no_model_differs_in_none(terminal: Terminal) -> None:
    terminal.write("stretto.toml", "[orchestrator]\n[workers.proof]\nabout = 'proofs'\n[synthesizer]\n")
    assert terminal("run", "-q", TASK, STRETTO_MODEL="sim:instant").code == 0
    for again in ("rerun", "resume"):
        done = terminal(again)
        assert done.code == 0, done.err
        assert "stretto.toml" not in done.err
