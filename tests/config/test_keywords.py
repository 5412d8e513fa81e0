"""Keywords in Python: one that nobody knows names the nearest, one that was renamed its new name."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stretto import (
    ConfigError,
    Fault,
    Function,
    Limits,
    Local,
    Memory,
    Price,
    Profile,
    Provider,
    Role,
    Simulator,
    TaskError,
    Workflow,
    read_inputs,
)

FLOW = Workflow("sim:instant", {"part": "sim:instant"}, "sim:instant")
DOORS: Any = FLOW
"""Of which type checkers know nothing: they know what was renamed."""
READ: Any = read_inputs


@pytest.mark.parametrize(
    ("made", "wrong", "meant"),
    [
        (Limits, "paralel", "parallel"),
        (Memory, "reus", "reuse"),
        (Role, "promt", "prompt"),
        (Price, "inputs", "input"),
        (Provider, "baseurl", "base_url"),
        (Local, "thread", "threads"),
        (Simulator, "subtask", "subtasks"),
        (Profile, "tokens_per_seconds", "tokens_per_second"),
        (Fault, "knd", "kind"),
        (Function, "abuot", "about"),
    ],
)
def test_an_unknown_keyword_names_the_nearest(made: Callable[..., Any], wrong: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{made.__name__}: there is no '{wrong}'; did you mean '{meant}'\?$"):
        made(**{wrong: 3})


def test_a_keyword_near_nothing_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"^Memory: there is no 'zzz'; there are reuse, reuse_sampled, record$"):
        Memory(zzz=1)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"^from_toml: there is no 'stor'; did you mean 'store'\?$"):
        Workflow.from_toml("general", stor="runs.db")  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match=r"^limits: there is no 'paralel'; did you mean 'parallel'\?$"):
        Workflow("sim:x", {"part": "sim:x"}, limits={"paralel": 3})


def test_what_is_read_copied_and_pickled_is_as_it_was() -> None:
    limits = Limits(parallel=3, budget="50c")
    assert replace(limits, parallel=4) == Limits(4, budget="50c")
    assert pickle.loads(pickle.dumps(limits)) == limits  # noqa: S301 - our own
    assert msgspec.json.decode(msgspec.json.encode(limits), type=Limits) == limits
    assert pickle.loads(pickle.dumps(FLOW)).run_sync("Name a tea").status == "finished"  # noqa: S301 - our own


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: DOORS.from_toml("general", models="sim:x"), "from_toml: models: it is called model now"),
        (lambda: DOORS.rerun(run="r"), "rerun: run: it is called run_id now"),
        (lambda: DOORS.resume(run="r"), "resume: run: it is called run_id now"),
        (lambda: DOORS.explain(run="r"), "explain: run: it is called run_id now"),
        (lambda: DOORS.replay(run="r"), "replay: run: it is called run_id now"),
        (lambda: READ("x", most=3), "read_inputs: most: it is called max_input now"),
    ],
)
def test_a_renamed_keyword_is_told_its_new_name(call: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigError, match=f"^{told}$"):
        call()


@pytest.mark.parametrize(
    ("fresh", "told"),
    [
        (True, "fresh: must be names .*'everything'.*, not True"),
        ([3], "fresh: must be names"),
        (["t1"], "--fresh t1: no such subtask in the plan; there are orchestrator, synthesizer, everything"),
        ("synthesiser", "did you mean 'synthesizer'"),
    ],
)
def test_what_is_to_be_fresh_is_named(fresh: Any, told: str) -> None:
    for call in (FLOW.stream, FLOW.plan, FLOW.run_sync):
        with pytest.raises(TaskError, match=told):
            call("Name a tea", fresh=fresh)


def test_run_takes_what_stream_takes() -> None:
    run = FLOW.run_sync("Name a tea", direct=True)
    assert run.plan.subtasks == ()
    assert run.answer
    plan = {"tasks": [{"type": "part", "description": "Name a tea"}]}
    assert FLOW.run_sync("Name a tea", plan=plan, fresh=["t1"]).basis.samples == {"t1": 1}
    with pytest.raises(TaskError, match="a task that is answered directly has none"):
        FLOW.run_sync("Name a tea", plan=plan, direct=True)


def test_models_of_a_role_that_is_no_worker_are_told_where_fallbacks_stand(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"synthesizer\.models: only a worker has models; its fallbacks are a list"):
        Workflow("sim:x", {"part": "sim:x"}, Role("sim:x", models=("sim:y",)))
    file = tmp_path / "flow.toml"
    file.write_text('[orchestrator]\nmodels = ["sim:a"]\n[workers.a]\nmodel = "sim:a"\n')
    with pytest.raises(ConfigError, match=r"orchestrator\.models: only a worker has models; its fallbacks are a list"):
        Workflow.from_toml(file)
