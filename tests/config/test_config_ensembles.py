"""Ensembles and checks as they are written in files, and at the door in Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simulated import record_of
from stretto import Definition, Role, Workflow
from stretto.config import Choice, Configuration, read_file, read_preset, recorded_roles
from stretto.engine.checking import checker_of
from stretto.errors import ConfigError

INNER = Definition(Role("sim:o"), {"a": Role("sim:a")})
HEAD = '[orchestrator]\nmodel = "sim:o"\n[workers.a]\n'


def configured(folder: Path, text: str) -> Configuration:
    path = folder / "flow.toml"
    path.write_text(text, encoding="utf-8")
    return Configuration([read_file(path), read_preset("general")])


def built(folder: Path, text: str, models: Mapping[str | None, str] | None = None) -> Workflow:
    chosen = {role: Choice(model, "-m") for role, model in (models or {}).items()}
    return configured(folder, text).workflow(Workflow, models=chosen, default=Choice("sim:default", "nothing else"))


def worker(folder: Path, text: str, models: Mapping[str | None, str] | None = None) -> Role:
    return built(folder, HEAD + text, models).definition.workers["a"]


def asked_of(role: Role) -> tuple[Any, tuple[str, ...], int]:
    return role.model, role.models, role.samples


# -- files


def test_an_ensemble_is_written_in_a_file(tmp_path: Path) -> None:
    role = worker(tmp_path, 'models = ["sim:a", "sim:b"]\nsamples = 2\nmerge = "vote"\n')
    assert (role.models, role.samples, role.merge) == (("sim:a", "sim:b"), 2, "vote")
    assert role.model == "sim:a"  # who merges, if nobody else is named


def test_a_worker_with_models_needs_no_other_and_asks_no_default(tmp_path: Path) -> None:
    text = HEAD + 'models = ["sim:a", "sim:b"]\n'
    assert not configured(tmp_path, text).models_missing({})
    assert built(tmp_path, text).all_models == ["sim:o", "sim:a", "sim:b"]


def test_a_check_is_a_text_or_a_table(tmp_path: Path) -> None:
    assert worker(tmp_path, 'check = "Is it right?"').check == Role(about="Is it right?")
    (tmp_path / "check.md").write_text("Judge {result}")
    table = '[workers.a.check]\nmodel = "sim:c"\nprompt_file = "check.md"\nsystem = "s"\nabout = "x"\n'
    role = Role("sim:c", "Judge {result}", "s", {"temperature": 0}, "x")
    assert worker(tmp_path, table + "options = { temperature = 0 }").check == role


def test_who_comes_after_a_check_in_a_file_is_there(tmp_path: Path) -> None:
    text = 'model = "sim:a"\ncheck = "x"\n[workers.b]\nmodel = "sim:b"\ncheck = "y"\n[synthesizer]\nmodel = "sim:s"\n'
    definition = built(tmp_path, HEAD + text).definition
    assert list(definition.workers) == ["a", "b"]
    assert definition.synthesizer == Role("sim:s")


def test_a_checker_without_a_model_needs_none_and_is_asked_as_the_worker(tmp_path: Path) -> None:
    text = HEAD + 'model = "sim:w"\n[workers.a.check]\nabout = "x"\n'
    assert not configured(tmp_path, text).models_missing({})
    definition = built(tmp_path, text).definition
    checker = checker_of(definition, definition.workers["a"])
    assert checker
    assert checker.candidates == ("sim:w",)


def test_the_models_of_a_workflow_are_those_of_members_and_checkers_too(tmp_path: Path) -> None:
    text = 'model = "sim:m"\nmodels = ["sim:a", "sim:b"]\n[workers.a.check]\nmodel = ["sim:c", "sim:d"]\n'
    assert built(tmp_path, HEAD + text).all_models == ["sim:o", "sim:m", "sim:a", "sim:b", "sim:c", "sim:d"]


def test_a_chosen_model_gives_every_reply_of_an_ensemble_and_its_checks(tmp_path: Path) -> None:
    text = 'model = "sim:m"\nmodels = ["sim:a", "sim:b"]\nsamples = 2\n[workers.a.check]\nmodel = "sim:c"\n'
    role = worker(tmp_path, text, {None: "sim:x"})
    assert asked_of(role) == ("sim:x", (), 4)
    assert role.check == Role("sim:x")
    assert built(tmp_path, HEAD + text, {None: "sim:x"}).all_models == ["sim:x"]


def test_a_model_chosen_for_a_worker_leaves_its_checker_unless_that_is_the_workers(tmp_path: Path) -> None:
    own = 'model = "sim:m"\n[workers.a.check]\nmodel = "sim:c"\n'
    assert worker(tmp_path, own, {"a": "sim:x"}).check == Role("sim:c")
    chosen: list[tuple[dict[str | None, str], str]] = [
        ({"a": "sim:x"}, "sim:x"),
        ({None: "sim:y", "a": "sim:x"}, "sim:x"),
        ({None: "sim:y", "checks": "sim:z"}, "sim:z"),
        ({"checks": "sim:z", "a.check": "sim:q"}, "sim:q"),
    ]
    for models, asked in chosen:
        definition = built(tmp_path, HEAD + 'model = "sim:m"\ncheck = "x"\n', models).definition
        checker = checker_of(definition, definition.workers["a"])
        assert checker
        assert checker.candidates == (asked,)


def test_a_run_goes_on_with_the_ensembles_and_checks_it_was_started_with(tmp_path: Path) -> None:
    text = 'models = ["sim:a", "sim:b"]\nmerge = "best"\n[workers.a.check]\nabout = "x"\n[workers.b]\ncheck = "y"\n'
    before = built(tmp_path, HEAD + text)
    after = Configuration([recorded_roles("R", record_of(before)), read_preset("general")]).workflow(
        Workflow, models={}
    )
    assert after.definition == before.definition


WRONG = [
    ("models = []", 'workers."a".models: an empty list; name the models'),
    ("models = 'sim:a'", 'workers."a".models: expected a list, got a text'),
    ("models = [1]", 'workers."a".models[0]: expected a text, got a whole number'),
    ("modles = ['sim:a']", 'workers."a".modles: unknown key; did you mean "models"?'),
    ("samples = 'two'", 'workers."a".samples: expected a whole number, got a text'),
    ("samples = 2.5", 'workers."a".samples: expected a whole number, got a number'),
    (
        "samples = 3\nmerge = 'mean'",
        "workers.\"a\".merge: invalid enum value 'mean'; there are synthesize, vote, best",
    ),
    ("merge = 'vote'", 'workers."a".merge: there is one reply only; say models or samples as well'),
    ("check = 3", 'workers."a".check: expected a text that says what to look at, or a table, got 3'),
    ("check = ' '", 'workers."a".check: it is empty'),
    ("[workers.a.check]\nmodle = 'sim:c'", 'workers."a".check.modle: unknown key; did you mean "model"?'),
    ("[workers.a.check]\nsamples = 3", 'workers."a".check.samples: only a worker has samples'),
    ("[workers.a.check]\ncheck = 'x'", 'workers."a".check.check: only a worker has check'),
    ("[workers.a.check]\nschema = {}", 'workers."a".check.schema: unknown key'),
    ("[workers.a.check]\nmodel = []", 'workers."a".check.model: an empty list'),
    ("[workers.a.check]\nprompt = 'a'\nprompt_file = 'b'", 'workers."a".check: prompt and prompt_file exclude'),
    ("[workers.a.check]\noptions = 3", 'workers."a".check.options: expected a table'),
    ("[synthesizer]\nsamples = 3", "synthesizer.samples: only a worker has samples; leave it out here"),
    ("[synthesizer]\ncheck = 'x'", "synthesizer.check: only a worker has check"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_what_a_file_says_wrong_is_said_with_file_and_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        configured(tmp_path, HEAD + text)
    assert str(refused.value).startswith(f"{tmp_path}/flow.toml: {said}")


LATER = [
    ("samples = 0", 'workers."a".samples: must be 1 or more, not 0'),
    ("samples = 65", 'workers."a".samples: 65 replies for each subtask; 64 at the most'),
    ("models = ['sim:a', 'sim:b']\nsamples = 33", 'workers."a".samples: 66 replies for each subtask'),
    (f"models = {['sim:a'] * 65}", 'workers."a".models: 65 replies for each subtask'),
    ("models = ['sim:a', 'nobody:b']", "workers.\"a\".models: unknown provider 'nobody'"),
    ("models = ['nobody:a']", "workers.\"a\".models: unknown provider 'nobody'"),
    ("models = ['sim']", "workers.\"a\".models: 'sim' is no model"),
    ("[workers.a.check]\nmodel = 'nobody:c'", "workers.\"a\".check.model: unknown provider 'nobody'"),
    ("[workers.a.check]\nprompt = 'Is {answer}?'", 'workers."a".check.prompt: unknown placeholder {answer}'),
    ("[workers.a.check]\nprompt_file = 'no.md'", 'workers."a".check.prompt_file: '),
]


@pytest.mark.parametrize(("text", "said"), LATER)
def test_what_cannot_work_is_said_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        built(tmp_path, HEAD + text)
    assert str(refused.value).startswith(f"{tmp_path}/flow.toml: {said}")


def test_a_wrong_model_of_a_checker_is_blamed_on_the_flag_or_the_file_of_its_prompt(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^-m: workers.\"a\".check.model: 'x' is no model"):
        built(tmp_path, HEAD + "check = 'y'", {"a.check": "x"})
    with pytest.raises(ConfigError, match=r"-m b.check=…: no role 'b.check'; did you mean \"a.check\"\?"):
        built(tmp_path, HEAD + "check = 'y'", {"b.check": "sim:x"})
    (tmp_path / "c.md").write_text("{nothing}")
    with pytest.raises(
        ConfigError, match=r"c.md \(prompt_file of .*flow.toml\): workers.\"a\".check.prompt: .*nothing"
    ):
        built(tmp_path, HEAD + "[workers.a.check]\nprompt_file = 'c.md'")


# -- Python


def test_what_is_given_in_python_is_held_against_the_same_rules() -> None:
    listed: Any = ["sim:a", "sim:b"]
    assert Workflow("sim:o", {"a": Role(models=listed)}).definition.workers["a"].models == ("sim:a", "sim:b")
    wrong: list[tuple[Any, str]] = [
        (Role("sim:a", samples=0), 'workers."a".samples: must be 1 or more'),
        (Role("sim:a", samples=True), "samples"),
        (Role("sim:a", samples=2.0), "samples: must be a whole number"),  # type: ignore[arg-type]
        (Role("sim:a", merge="mean"), "merge: must be synthesize, vote or best, not 'mean'"),  # type: ignore[arg-type]
        (Role(models="sim:a"), "models: must be a list of models"),
        (Role(models=(1,)), "models: a model is written provider:model, not 1"),  # type: ignore[arg-type]
        (Role("sim:a", check=Role(models=("sim:a",))), "check.models: only a worker has models"),
        (Role("sim:a", check=Role(check="x")), "check.check: only a worker has check"),
        (Role("sim:a", check=Role(schema={"type": "object"})), "check.schema: a verdict has a form of its own"),
        (Role("sim:a", check=""), "check: it is empty"),
        (Role(workflow=INNER, samples=2), "samples: a workflow does this work; say samples of its own roles"),
        (Role("sim:a", check=Role("sim:c", workflow=INNER)), "check.workflow: only a worker has workflow"),
        (Role(), "model: '' is no model"),
    ]
    for role, why in wrong:
        with pytest.raises(ConfigError, match="workers") as refused:
            Workflow("sim:o", {"a": role})
        assert why in str(refused.value)
    for key, value in {"models": ("sim:a",), "samples": 2, "merge": "vote", "check": "x"}.items():
        role = Role("sim:o", **{key: value})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=f"^orchestrator.{key}: only a worker has {key}"):
            Workflow(role, {"a": "sim:a"})
        with pytest.raises(ConfigError, match=f"^synthesizer.{key}: only a worker has {key}"):
            Workflow("sim:o", {"a": "sim:a"}, role)
