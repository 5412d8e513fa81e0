"""Runs in Python's `logging`: quiet by default, at levels that mean something, without what was said."""

import logging
from pathlib import Path

import pytest

from forked import python
from stretto import Role, Simulator, Workflow
from stretto.errors import WorkError
from stretto.models.simulator import parse_fault
from terminal import Terminal
from virtual import virtually

TASK = "Name uses of a brick in 3 subtasks"


def workflow(*faults: str) -> Workflow:
    simulator = Simulator(faults=tuple(parse_fault(fault) for fault in faults))
    return Workflow(Role("sim:a"), {"general": Role("sim:a")}, Role("sim:a"), providers={"sim": simulator})


def test_each_record_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="stretto"):
        run = virtually(workflow().run(TASK))
    assert {record.name for record in caplog.records} == {"stretto"}
    told = [record.__dict__ for record in caplog.records]
    assert {record["run"] for record in told} == {run.id}
    assert {record["subtask"] for record in told if record["kind"] == "subtask_finished"} == {"t1", "t2", "t3"}
    assert {record["call"] for record in told if record["kind"] == "call_finished"} == {call.id for call in run.calls}
    assert {record["model"] for record in told if record["call"]} == {"sim:a"}
    assert f"run {run.id}: finished, " in caplog.text


def test_at_info_a_run_is_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="stretto"):
        virtually(workflow().run(TASK))
    assert [record.__dict__["kind"] for record in caplog.records] == ["run_started", "plan_finished", "run_finished"]


def test_neither_prompts_nor_replies_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="stretto"):
        run = virtually(workflow().run("Find the word xylophone in 3 subtasks"))
    assert "xylophone" in str(run.answer)
    assert "xylophone" not in caplog.text


def test_what_fails_is_a_warning_and_a_failed_run_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="stretto"):
        virtually(workflow("429 times=1 match='t2'", "500 once role=worker").run(TASK))
    levels = {(record.__dict__["kind"], record.levelname) for record in caplog.records}
    assert ("call_retried", "WARNING") in levels
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="stretto"), pytest.raises(WorkError):
        virtually(workflow("400 always role=worker").run(TASK))
    levels = {(record.__dict__["kind"], record.levelname) for record in caplog.records}
    assert levels >= {("call_finished", "WARNING"), ("subtask_finished", "WARNING"), ("run_failed", "ERROR")}


def test_back_pressure_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="stretto"):
        virtually(workflow("429 once role=worker").run(TASK))
    retried = [record for record in caplog.records if record.__dict__["kind"] == "call_retried"]
    assert retried
    assert {record.levelname for record in retried} == {"INFO"}


def test_a_program_that_sets_up_no_logging_hears_nothing() -> None:
    code = """
import stretto
from stretto.models.simulator import parse_fault
sim = stretto.Simulator(ttft=0, tokens_per_second=1e6, faults=(parse_fault("400 always"),))
flow = stretto.Workflow("sim:a", {"general": "sim:a"}, "sim:a", providers={"sim": sim})
try:
    flow.run_sync("Name a tea")
except stretto.StrettoError:
    pass
"""
    done = python("-c", code)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_command_line_says_nothing_twice_and_logs_into_a_file(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    silent = terminal("run", "-q", "-m", "sim:instant", TASK)
    assert silent.err == ""
    for flags, environ in ((["--log", "a.log"], {}), ([], {"STRETTO_LOG": "a.log"})):
        done = terminal(*flags, "run", "-q", "-m", "sim:instant", TASK, **environ)
        assert (done.code, done.err) == (0, "")
    lines = (tmp_path / "a.log").read_text(encoding="utf-8").splitlines()
    assert sum(" INFO    run " in line for line in lines) == 6
    done = terminal("--log", "nowhere/a.log", "run", "-m", "sim:instant", TASK)
    assert done.code == 2
    assert "--log nowhere/a.log: cannot be written" in done.err
