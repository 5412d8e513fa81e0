"""The pytest fixture `replayed`, in a small project of a user's, in a child process."""

import os
import sys

import pytest

from forked import python
from stretto import Role, Run, Simulator, Workflow
from stretto.store.travel import exported

pytest_plugins = ["pytester"]

TASK = "Compare teas in exactly 3 subtasks"

CONFTEST = 'pytest_plugins = ["stretto.testing"]\n'
FLOW = """
import stretto

flow = stretto.Workflow(
    stretto.Role("box:o"),
    {"part": stretto.Role("box:w", "Do {task_description}", options={"temperature": 0.5})},
    stretto.Role("box:s"),
    providers={"box": stretto.Provider("http://127.0.0.1:9/v1", key_env="NO_SUCH_KEY")},
)
"""


@pytest.fixture
def recorded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The user's project, with the file of a run of the workflow in it that was recorded on the simulator."""
    store = pytester.path / "s.db"
    flow = Workflow(
        Role("box:o"),
        {"part": Role("box:w", "Do {task_description}", options={"temperature": 0.5})},
        Role("box:s"),
        providers={"box": Simulator(ttft=0, tokens_per_second=1e6)},
        store=store,
    )
    run = flow.run_sync(TASK)
    tests = pytester.mkdir("tests")
    (tests / "teas.jsonl").write_bytes(b"".join(exported(store, run.id)))
    (tests / "conftest.py").write_text(CONFTEST)
    (pytester.path / "project.py").write_text(FLOW)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path), os.environ.get("PYTHONPATH", "")]))
    return run


def outcome(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """What pytest makes of the user's project; of its plugins there is the one for asynchronous tests."""
    words = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "anyio", *arguments)
    done = python(*words, folder=pytester.path, environ={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    return pytest.RunResult(done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), 0.0)


def test_a_users_workflow_runs_over_the_records_without_a_key(pytester: pytest.Pytester, recorded: Run) -> None:
    (pytester.path / "answer.md").write_text(recorded.answer)
    (pytester.path / "tests" / "test_teas.py").write_text(
        """
import asyncio
from pathlib import Path
import pytest
from project import flow

ANSWER = Path("answer.md").read_text()

def test_in_the_folder_of_the_test(replayed):
    run = replayed("teas.jsonl", flow)
    assert run.answer == ANSWER
    assert run.coverage.complete and len(run.results) == 3

def test_from_the_root(replayed):
    assert replayed("tests/teas.jsonl", flow).answer == ANSWER

def test_as_it_was_recorded(replayed):
    assert replayed(Path(__file__).parent / "teas.jsonl").answer == ANSWER

def test_twice(replayed):
    assert replayed("teas.jsonl", flow).answer == replayed("teas.jsonl", flow).answer

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_in_an_asynchronous_test(replayed):
    await asyncio.sleep(0)
    assert replayed("teas.jsonl", flow).answer == ANSWER
"""
    )
    done = outcome(pytester, "-W", "error")
    done.assert_outcomes(passed=5)


@pytest.mark.usefixtures("recorded")
def test_what_is_asked_differently_fails_the_test_and_is_named(pytester: pytest.Pytester) -> None:
    (pytester.path / "tests" / "test_teas.py").write_text(
        """
import stretto
from project import flow

def changed(**roles):
    facts = {"orchestrator": flow.definition.orchestrator, "synthesizer": flow.definition.synthesizer}
    facts |= {"workers": flow.definition.workers} | roles
    return stretto.Workflow(**facts, providers=flow.providers)

def test_another_prompt(replayed):
    replayed("teas.jsonl", changed(workers={"part": stretto.Role("box:w", "Do not {task_description}",
                                                                 options={"temperature": 0.5})}))

def test_another_option(replayed):
    replayed("teas.jsonl", changed(workers={"part": stretto.Role("box:w", "Do {task_description}")}))

def test_another_model(replayed):
    replayed("teas.jsonl", changed(synthesizer=stretto.Role("box:better")))

def test_no_file(replayed):
    replayed("coffees.jsonl", flow)
"""
    )
    done = outcome(pytester, "-W", "error")
    done.assert_outcomes(failed=4)
    for said in (
        "*AssertionError: teas.jsonl: run * subtask t1 (box:w) is not recorded as it is asked now: its prompt *",
        "*differs from character * on: *Do not *recorded is *Do *",
        "*its option temperature is not set, recorded is 0.5*",
        "*the synthesizer (box:better) is not recorded as it is asked now: its model is box:better, recorded is box:s*",
        "*FileNotFoundError*coffees.jsonl*",
    ):
        done.stdout.fnmatch_lines([said])


@pytest.mark.usefixtures("recorded")
def test_the_fixture_explains_itself(pytester: pytest.Pytester) -> None:
    done = outcome(pytester, "--fixtures", "tests")
    done.stdout.fnmatch_lines(["replayed *", "*Run a workflow over the records of an exported run*"])


def test_only_who_wants_the_fixture_imports_pytest(pytester: pytest.Pytester) -> None:
    code = "import sys, stretto.cli.replay, stretto.workflow; print('pytest' in sys.modules)"
    assert pytester.run(sys.executable, "-c", code).outlines == ["False"]


def test_the_simulator_takes_the_place_of_providers_and_nothing_else(pytester: pytest.Pytester) -> None:
    (pytester.path / "conftest.py").write_text(CONFTEST)
    (pytester.path / "test_flow.py").write_text(
        """
import dataclasses
import pytest
import stretto
from stretto.testing import on_simulator
from stretto.virtual import virtually

TASK = "Compare teas in exactly 3 subtasks"

@dataclasses.dataclass
class Comparison:
    winner: str

def look_up(subtask):
    return f"looked up {subtask.id}"

def flow(**more):
    role = stretto.Role("box:w", "Do {task_description}")
    return stretto.Workflow("box:o", {"part": role}, "openai:s", store="never.db",
        memory=stretto.Memory(reuse="store"),
        limits=stretto.Limits(parallel=2),
        providers={"box": stretto.Provider("http://127.0.0.1:9/v1", key_env="NO_SUCH_KEY")}, **more)

def test_at_once_and_without_a_key(simulated):
    run = simulated(flow()).run_sync(TASK)
    assert run.simulated and run.coverage.complete and len(run.results) == 3

def test_the_same_every_time(simulated):
    texts = [simulated(flow(), seed=seed).run_sync(TASK).answer for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]

def test_faults_come_as_they_are_written(simulated):
    run = simulated(flow(), "500 times=1 role=worker", stretto.Fault("400", role="synthesizer"))
    assert run.run_sync(TASK).coverage.answer == "unmerged"

def test_the_shape_of_the_answer_stays(simulated):
    assert isinstance(simulated(flow(answer=Comparison)).run_sync(TASK).parsed, Comparison)

def test_functions_are_called(simulated):
    run = simulated(stretto.Workflow("openai:o", {"part": look_up}, "openai:s")).run_sync(TASK)
    assert run.results["t2"].text == "looked up t2"

def test_the_workflow_itself_is_left_alone(simulated):
    real = flow()
    twin = simulated(real)
    assert twin.definition.limits == real.definition.limits
    assert isinstance(real.providers["box"], stretto.Provider)
    assert twin.store is None and str(real.store) == "never.db"

def test_minutes_in_milliseconds(simulated):
    assert virtually(simulated(flow(), "429 for=5m", ttft=2.0).run(TASK)).coverage.complete
"""
    )
    done = outcome(pytester, "-W", "error")
    done.assert_outcomes(passed=7)
    assert not (pytester.path / "never.db").exists()


def test_an_endpoint_is_real_and_gone_after_the_test(pytester: pytest.Pytester) -> None:
    (pytester.path / "conftest.py").write_text(CONFTEST)
    (pytester.path / "test_flow.py").write_text(
        """
import socket
from urllib.parse import urlsplit
import pytest
import stretto

URLS = []

def test_a_workflow_over_http(simulated_endpoint):
    one, other = simulated_endpoint("500 times=1 role=orchestrator"), simulated_endpoint(subtasks=2)
    flow = stretto.Workflow("one:o", {"part": "other:w"}, "one:s",
                            providers={"one": one.provider, "other": other.provider})
    run = flow.run_sync("Compare teas in exactly 2 subtasks")
    assert run.coverage.complete
    assert (one.asked, other.asked, other.refused) == (3, 2, 0)
    URLS.extend([one.url, other.url])

def test_they_are_gone():
    assert len(URLS) == 2
    for url in URLS:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)).close()
"""
    )
    done = outcome(pytester, "-W", "error")
    done.assert_outcomes(passed=2)
