"""What a Python user sees: everything public explained, errors in one place, a workflow from a file."""

import builtins
import importlib
import inspect
import os
import re
import tomllib
import typing
from collections import abc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from docs_build.source import constructor, methods, signature

import stretto
from places import ROOT
from stretto import ConfigError, Limits, Memory, Price, Simulator, StrettoError, Workflow, errors, runs
from stretto.config import presets
from stretto.models.providers import KNOWN

MODULES = (
    "errors",
    "events",
    "proposal",
    "runs",
    "types",
    "testing",
    "virtual",
    "logger",
    "inputs",
    "shapes",
    "notebook",
)
"""The modules that a program may import by name."""
_ALL = {"orchestrator": "sim:a", "workers": "sim:a", "synthesizer": "sim:a"}
INSTANT = Simulator(ttft=0, tokens_per_second=1e6)


def ours(module: ModuleType) -> Iterator[tuple[str, Any]]:
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        found = getattr(module, name)
        if (inspect.isclass(found) or callable(found)) and getattr(found, "__module__", "").startswith("stretto"):
            yield f"{module.__name__}.{name}", found


def explained(name: str, thing: Any) -> Iterator[str]:
    """The names, of a thing and of what is public in it, that have no docstring of their own."""
    if not (getattr(thing, "__doc__", None) or "").strip():
        yield name
    if inspect.isclass(thing):
        for method, found in vars(thing).items():
            function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
            if not method.startswith("_") and inspect.isfunction(function) and not function.__doc__:
                yield f"{name}.{method}"


def test_everything_public_says_what_it_is() -> None:
    modules = [stretto, *(importlib.import_module(f"stretto.{name}") for name in MODULES)]
    things = [thing for module in modules for thing in ours(module)]
    assert len(things) > 100
    assert [missing for name, thing in things for missing in explained(name, thing)] == []
    assert not [module.__name__ for module in modules if not module.__doc__]


def test_a_docstring_begins_with_one_sentence() -> None:
    docs = {name: inspect.getdoc(thing) or "" for name, thing in ours(stretto)}
    assert not [name for name, doc in docs.items() if not re.match(r"[A-Z`][^\n]*[.:]$", doc.partition("\n")[0])]


MADE = (
    "Fault",
    "Function",
    "Input",
    "Limits",
    "Local",
    "Memory",
    "Price",
    "Provider",
    "Role",
    "Simulator",
    "Usage",
    "Workflow",
)
"""What users make themselves."""


@pytest.mark.parametrize("name", MADE)
def test_every_argument_of_a_constructor_has_a_line_of_its_own(name: str) -> None:
    made = getattr(stretto, name)
    lines = re.findall(r"^- `(\w+)`", inspect.getdoc(made) or "", re.MULTILINE)
    assert sorted(lines) == sorted(inspect.signature(made).parameters)


INTERNAL = {"Approved", "Pool", "Proposal", "Refusal"}
"""Of methods that are public by their names alone."""


def test_what_stands_in_a_public_signature_is_public_itself() -> None:
    ours_too = {*stretto.__all__, *vars(runs), *INTERNAL, "Parsed"}
    public = {*ours_too, *dir(builtins), *typing.__all__, *abc.__all__, "Decimal", "Path"}
    named = dict[str, str]()
    for name, thing in ours(stretto):
        calls = [constructor(thing)] if thing.__name__ in MADE else []
        calls += [each.call for each in methods(thing)] if inspect.isclass(thing) else [signature(thing)]
        named |= dict.fromkeys(re.findall(r"\b[A-Z]\w*[a-z]\w*", " ".join(calls)), name)
    assert {word: name for word, name in named.items() if word not in public} == {}


def test_every_error_is_importable_from_the_top() -> None:
    tree = [name for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, StrettoError)]
    assert sorted(tree) == sorted(name for name in stretto.__all__ if name in tree)
    for name in tree:
        assert getattr(stretto, name) is getattr(errors, name)


def test_the_errors_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^[ │├└─]*(\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE)
    tree = {name for name, found in vars(errors).items() if inspect.isclass(found)}
    assert tree <= set(drawn)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(stretto.__file__).parent / "py.typed").exists()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/stretto"]}  # the whole folder, whatever its files are called


# -- Workflow.from_toml


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY") or name == "STRETTO_MODEL"]:
        monkeypatch.delenv(name)
    for name, provider in KNOWN.items():
        if provider.local:
            monkeypatch.setenv(f"{name.upper()}_BASE_URL", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize("name", presets())
def test_each_preset_is_a_workflow(name: str) -> None:
    assert set(Workflow.from_toml(name, model="sim:instant").all_models) == {"sim:instant"}


def test_a_preset_from_python_answers() -> None:
    run = Workflow.from_toml("general", model="sim:a", providers={"sim": INSTANT}).run_sync("Name a tea in 2 subtasks")
    assert run.coverage.complete


def test_models_are_named_for_all_or_by_role_with_fallbacks() -> None:
    models = {"workers": "sim:w", "synthesizer": ["sim:s", "sim:t"], "orchestrator": "sim:o"}
    definition = Workflow.from_toml("general", model=models).definition
    assert definition.orchestrator is not None
    assert definition.synthesizer is not None
    assert definition.orchestrator.candidates == ("sim:o",)
    assert definition.synthesizer.candidates == ("sim:s", "sim:t")
    assert [role.model for role in definition.workers.values()] == ["sim:w"]
    assert Workflow.from_toml("general", model=["sim:a", "sim:b"]).all_models == ["sim:a", "sim:b"]


def test_what_python_says_goes_before_the_file_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "flow.toml"
    file.write_text(
        "[limits]\nparallel = 3\nbudget = '50ct'\n[prices.'sim:a']\ninput = 1\noutput = 2\n"
        "[providers.box]\nbase_url = 'http://box.test/v1'\n"
    )
    flow = Workflow.from_toml(
        file,
        model="sim:a",
        limits={"budget": "$2", "deadline": "2m"},
        memory={"reuse": "store"},
        prices={"sim:b": None},
        providers={"sim": INSTANT},
        store=tmp_path / "runs.db",
    )
    limits = flow.definition.limits
    assert (limits.parallel, str(limits.budget), limits.deadline) == (3, "2", 120)
    assert flow.definition.memory == Memory(reuse="store")
    assert flow.prices == {"sim:a": Price(Decimal(1), Decimal(2)), "sim:b": None}
    assert flow.providers["sim"] == INSTANT
    assert "box" in flow.providers
    plain = Workflow.from_toml(str(file), model="sim:a").definition.limits
    assert plain == Limits(parallel=3, budget=Decimal("0.5"))


def test_a_subclass_and_a_shape_come_along() -> None:
    class Flow(Workflow):
        pass

    schema = {"type": "object", "properties": {"tea": {"type": "string"}}}
    flow = Flow.from_toml("general", model="sim:a", answer=schema)
    assert isinstance(flow, Flow)
    assert flow.definition.synthesizer is not None
    assert flow.definition.synthesizer.schema is not None


def test_a_model_that_nobody_names_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no model"):
        Workflow.from_toml("general")
    monkeypatch.setenv("GROQ_API_KEY", "k")
    assert Workflow.from_toml("general").all_models == [f"groq:{KNOWN['groq'].model}"]
    monkeypatch.setenv("STRETTO_MODEL", "sim:a")
    assert Workflow.from_toml("general").all_models == ["sim:a"]


def test_only_the_file_that_is_named_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stretto.toml").write_text("[limits]\nparallel = 3\n")
    monkeypatch.chdir(tmp_path)
    assert Workflow.from_toml("general", model="sim:a").definition.limits == Limits()


@pytest.mark.parametrize(
    ("named", "settings", "said"),
    [
        ("slove", {}, "no preset 'slove'; did you mean \"solve\""),
        (Path("slove"), {}, "slove: cannot be read"),
        ("general", {"limits": {"budgt": 1}}, 'from_toml: limits.budgt: unknown key; did you mean "budget"'),
        ("general", {"limits": {"budget": "x"}}, "from_toml: limits.budget: 'x' is no amount"),
        ("general", {"model": {**_ALL, "nobody": "sim:a"}}, "no role 'nobody'"),
        ("general", {"model": []}, "from_toml: model: expected provider:model"),
        ("general", {"model": "gpt"}, "from_toml: model: orchestrator.model: 'gpt' is no model"),
    ],
)
def test_what_cannot_work_says_where(named: str | Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        Workflow.from_toml(named, **{"model": "sim:a", **settings})
    assert said in str(error.value)


def test_it_works_where_a_loop_is_running() -> None:
    import asyncio

    async def main() -> None:
        with pytest.raises(ConfigError, match="no model"):  # local servers were looked for
            Workflow.from_toml("general")

    asyncio.run(main())
