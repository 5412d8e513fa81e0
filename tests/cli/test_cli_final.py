"""`--json=final`: a run as one object once it is over; and `--max-tokens`, a bound of replies for one command."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from stretto.store.sqlite import Store
from terminal import Terminal, kinds

FINAL = ("-q", "--json=final", "-m", "sim:instant")
TASK = "Name three uses of a brick in 2 subtasks"


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def object_of(out: str) -> dict[str, Any]:
    assert out.count("\n") == 1
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_finished_run_is_what_to_json_says(terminal: Terminal) -> None:
    done = terminal("run", *FINAL, "-o", "answer.md", TASK)
    run = Store(terminal.store).run(terminal.run_id())
    assert (done.code, done.out, done.err) == (0, run.to_json() + "\n", "")
    assert (terminal.folder / "answer.md").read_text().strip() == run.answer.strip()
    assert terminal("show", "--json=final").out == done.out
    assert terminal("replay", "--last", "-q", "--json=final").code == 0


@pytest.mark.parametrize("place", [0, 1])
def test_alone_it_is_events_and_never_takes_the_task(terminal: Terminal, place: int) -> None:
    words = [TASK, "--json"][:: 1 - 2 * place]
    done = terminal("run", "-q", "-m", "sim:instant", *words)
    assert kinds(done.events)[-1] == "run_finished"
    assert done.events[0]["task"] == TASK


def test_behind_two_dashes_it_is_a_task(terminal: Terminal) -> None:
    assert object_of(terminal("run", *FINAL, "--", "--json").out)["task"] == "--json"


def test_a_run_that_fails_is_an_object_too(terminal: Terminal) -> None:
    terminal.write("stretto.toml", '[providers.sim]\nfaults = ["401"]\n')
    done = terminal("run", *FINAL, TASK)
    told = object_of(done.out)
    assert (done.code, told["status"], told["error_type"], told["answer"]) == (3, "failed", "AuthError", None)
    assert told["error"] in done.err


def test_a_run_that_cannot_begin_says_what_kept_it_from_that(terminal: Terminal) -> None:
    done = terminal("run", "-q", "--json=final", "-m", "openai:gpt-4o", TASK)
    told = object_of(done.out)
    assert (done.code, told["status"], told["error_type"], told["task"]) == (3, "failed", "MissingKey", TASK)
    assert told["error"] in done.err


def test_a_run_that_is_stopped_says_so(terminal: Terminal) -> None:
    with terminal.child("run", "--json=final", "-m", "sim:slow", TASK) as child:
        assert child.stderr is not None
        child.stderr.readline()  # it has begun
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20)
    told = object_of(out.decode())
    assert (child.returncode, told["status"], told["answer"]) == (130, "interrupted", None)


def test_a_plan_is_a_run_without_an_answer(terminal: Terminal) -> None:
    told = object_of(terminal("plan", *FINAL, TASK).out)
    assert (told["status"], len(told["plan"]["subtasks"]), told["answer"]) == ("interrupted", 2, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--json=fnal", TASK), "invalid value for '--json': 'fnal' is not one of 'events', 'final'"),
        (("run", "--json=final", "--cite", TASK), "--json has the citations as data; --cite is for reading"),
        (("rerun", "--last", "--explain", "--json=final"), "--json=final is of a run, and --explain makes none"),
        (("run", "--max-tokens", "2.5", TASK), "invalid value for '--max-tokens': must be a whole number, not 2.5"),
    ],
)
def test_what_cannot_be_is_refused(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    if "--last" in words:
        terminal("run", *FINAL, TASK)
    done = terminal(*words)
    assert done.code == 2
    assert said in done.err


def test_max_tokens_bounds_workers_and_the_answer_and_nothing_else(terminal: Terminal) -> None:
    terminal.write(
        "flow.toml",
        "[orchestrator]\nmodel = 'sim:instant'\noptions = { max_tokens = 900 }\n"
        "[workers.look]\nmodel = 'sim:instant'\nabout = 'looks'\n"
        "options = { temperature = 0.2, max_completion_tokens = 700 }\ncheck = 'it is true'\n"
        "[workers.deep]\nabout = 'digs'\nworkflow = 'general'\n[synthesizer]\nmodel = 'sim:instant'\n",
    )
    done = terminal("run", *FINAL, "-w", "./flow.toml", "--max-tokens", "2k", TASK)
    definition = object_of(done.out)["workflow"]["definition"]
    look, deep = definition["workers"]["look"], definition["workers"]["deep"]["workflow"]
    assert definition["orchestrator"]["options"] == {"max_tokens": 900}
    assert look["options"] == {"temperature": 0.2, "max_tokens": 2000}
    assert look["check"]["options"] == deep["orchestrator"]["options"] == {}
    assert deep["workers"]["general"]["options"] == deep["synthesizer"]["options"] == {"max_tokens": 2000}
    assert definition["synthesizer"]["options"] == {"max_tokens": 2000}
    told = terminal("doctor", "--offline", "-w", "./flow.toml", "--max-tokens", "2k").out
    assert '"max_tokens":2000}' in told
    assert "--max-tokens" in told


def test_a_reply_that_meets_the_bound_is_told_as_cut_short(terminal: Terminal) -> None:
    done = terminal("run", *FINAL, "--max-tokens", "5", TASK)
    assert done.code == 4
    assert {gap["outcome"] for gap in object_of(done.out)["coverage"]["missing"]} == {"truncated"}
