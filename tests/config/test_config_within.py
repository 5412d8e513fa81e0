"""Workflows that do subtasks of others, and workflows without an orchestrator, as configuration says them."""

from pathlib import Path

import pytest

from simulated import record_of
from stretto import Definition, Limits, Role, Simulator, Workflow
from stretto.config import Choice, Configuration, read_file, recorded_roles
from stretto.errors import ConfigError

DEEP = """
[orchestrator]
[workers.detail]
check = "is it right?"
[synthesizer]
[limits]
rounds = 2
max_subtasks = 5
"""
OUTER = """
[orchestrator]
[workers.deep]
about = "whatever needs thought"
workflow = "{inner}"
[workers.plain]
[synthesizer]
"""


def read(folder: Path, outer: str, models: dict[str | None, Choice] | None = None, **files: str) -> Definition:
    for name, text in {"outer": outer, **files}.items():
        (folder / f"{name}.toml").write_text(text)
    configuration = Configuration([read_file(folder / "outer.toml")])
    return configuration.workflow(
        Workflow, models=models or {}, default=Choice("sim:default", "nothing else")
    ).definition


def test_a_workflow_in_a_file_beside_does_the_subtasks_of_a_worker(tmp_path: Path) -> None:
    definition = read(tmp_path, OUTER.format(inner="inner.toml"), inner=DEEP)
    deep = definition.workers["deep"]
    assert deep.about == "whatever needs thought"
    assert deep.workflow is not None
    assert deep.workflow.limits == Limits(rounds=2, max_subtasks=5)
    check = deep.workflow.workers["detail"].check
    assert isinstance(check, Role)
    assert check.about == "is it right?"
    assert deep.workflow.workers["detail"].model == "sim:default"


def test_a_preset_does_the_subtasks_of_a_worker(tmp_path: Path) -> None:
    deep = read(tmp_path, OUTER.format(inner="solve")).workers["deep"].workflow
    assert deep is not None
    assert set(deep.workers) == {"plan", "code/solve", "test"}


def test_a_flag_names_the_models_of_a_workflow_within(tmp_path: Path) -> None:
    chosen: dict[str | None, Choice] = {
        "deep": Choice("sim:a", "-m"),
        "deep.synthesizer": Choice("sim:b", "-m"),
        None: Choice("sim:c", "-m"),
    }
    definition = read(tmp_path, OUTER.format(inner="inner.toml"), chosen, inner=DEEP)
    deep = definition.workers["deep"].workflow
    assert deep is not None
    assert deep.synthesizer is not None
    assert deep.orchestrator is not None
    assert (deep.workers["detail"].model, deep.synthesizer.model) == ("sim:a", "sim:b")
    assert definition.workers["plain"].model == "sim:c"


def test_a_definition_comes_back_from_its_record(tmp_path: Path) -> None:
    (tmp_path / "inner.toml").write_text(DEEP.replace("[orchestrator]", "orchestrator = false\n"))
    (tmp_path / "outer.toml").write_text(OUTER.format(inner="inner.toml"))
    workflow = Configuration([read_file(tmp_path / "outer.toml")]).workflow(
        Workflow, models={}, default=Choice("sim:default", "nothing else")
    )
    again = Configuration([recorded_roles("r1", record_of(workflow))]).workflow(Workflow, models={})
    assert again.definition == workflow.definition


def test_without_an_orchestrator_is_said_and_not_just_left_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="orchestrator = false"):
        read(tmp_path, "[workers.a]\n")
    assert read(tmp_path, "orchestrator = false\n[workers.a]\n").orchestrator is None


@pytest.mark.parametrize(
    ("outer", "said"),
    [
        (OUTER.format(inner="outer.toml"), "3 deep at the most"),
        (OUTER.format(inner="nowhere.toml"), "cannot be read"),
        (OUTER.format(inner="reserch"), "no preset 'reserch'"),
        ('[orchestrator]\nworkflow = "solve"\n[workers.a]\n', "only a worker has workflow"),
        ('[orchestrator]\n[workers.a]\nworkflow = "solve"\nmodel = "sim:x"\n', "say model of its own roles"),
        ("[orchestrator]\n[workers.a]\nworkflow = 3\n", "expected the name of a preset or a TOML file"),
        ("[orchestrator]\n[workers.a]\nshare = 1000\n", "orchestrator = false"),
        ("orchestrator = true\n[workers.a]\n", "expected a table"),
    ],
)
def test_what_cannot_work_is_named(tmp_path: Path, outer: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, outer)


def test_a_workflow_is_a_worker_in_python_too() -> None:
    mine = Simulator(subtasks=2, ttft=0.0, tokens_per_second=100000)
    inner = Workflow(
        Role("mine:x"), {"detail": Role("mine:x", check="right?")}, Role("mine:x"), providers={"mine": mine}
    )
    outer = Workflow(Role("sim:instant"), {"deep": inner}, Role("sim:instant"))
    assert "mine:x" in outer.all_models
    run = outer.run_sync("Describe tea in 2 subtasks.")
    assert run.answer
    assert len(run.parts) == 2
    assert all(part.plan.subtasks for part in run.parts.values())
