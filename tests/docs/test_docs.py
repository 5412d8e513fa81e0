"""The README's code runs, and what the documents list is what the code has."""

import os
import re
import tomllib
from pathlib import Path
from typing import get_args

import click
import pytest

import stretto
from forked import python
from places import ROOT
from stretto import Provider, Simulator, cli, events, types
from stretto.config import presets, read_file
from stretto.models.providers import KNOWN
from stretto.prompts import PLACEHOLDERS

README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[click.Command]:
    group = cli.cli
    context = click.Context(group, **group.context_settings)
    found = [group.get_command(context, name) for name in group.list_commands(context)]
    return [command for command in found if command is not None]


def test_the_readmes_python_runs_as_it_stands(tmp_path: Path) -> None:
    first, second = blocks("python")
    assert "Usage(input_tokens=" in printed(first, tmp_path)
    assert (tmp_path / "runs.db").exists()
    assert "done" in printed(second, tmp_path)


def printed(block: str, folder: Path) -> str:
    code = block.replace("sim:default", "sim:instant")
    done = python("-c", code, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readmes_toml_is_a_configuration(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    path = tmp_path / "stretto.toml"
    path.write_text(block, encoding="utf-8")
    assert read_file(path).table == tomllib.loads(block)


def test_every_command_the_readme_shows_exists_with_its_options() -> None:
    known = {command.name: command for command in commands()}
    shown = re.findall(r"^(?:.*\| )?stretto (\w+)(.*?)(?:  #.*)?$", "\n".join(blocks("sh")), re.MULTILINE)
    assert len(shown) > 6
    for name, rest in shown:
        options = {flag for parameter in known[name].params for flag in parameter.opts}
        assert not set(re.findall(r"(?<=\s)--?[a-z][\w-]*", re.sub(r'"[^"]*"', "", rest))) - options, (name, rest)


@pytest.mark.parametrize("kind", [str(event.__struct_config__.tag) for event in get_args(events.AnyEvent)])
def test_every_event_and_its_keys_are_in_the_design(kind: str) -> None:
    (event,) = [e for e in get_args(events.AnyEvent) if e.__struct_config__.tag == kind]
    (row,) = re.findall(rf"^\| `{kind}` \|.*$", DESIGN, re.MULTILINE)
    shared = {"run", "at", "seq"}
    if "call's keys" in row:
        shared |= {"call", "role", "subtask", "fingerprint", "model"}
    missing = [name for name in event.__struct_fields__ if name not in shared and f"`{name}`" not in row]
    assert not missing


def test_every_key_of_the_configuration_is_in_the_design() -> None:
    keys = [
        *types.Role.__struct_fields__,
        *types.Limits.__struct_fields__,
        *types.Memory.__struct_fields__,
        *Provider.__struct_fields__,
    ]
    assert not [key for key in [*keys, *Simulator.__struct_fields__] if f"`{key}`" not in DESIGN]


def test_every_placeholder_is_in_the_design() -> None:
    assert not [word for words in PLACEHOLDERS.values() for word in words if f"`{{{word}}}`" not in DESIGN]


def test_every_provider_is_in_the_readme() -> None:
    assert not [name for name in KNOWN if not re.search(rf"\b{name}\b", README)]


def test_every_preset_is_in_the_readme() -> None:
    assert not [name for name in presets() if not re.search(rf"^\| `{name}` \|", README, re.MULTILINE)]


def test_every_limit_is_a_flag() -> None:
    (run,) = [command for command in commands() if command.name == "run"]
    flags = {flag for parameter in run.params for flag in parameter.opts}
    assert not [key for key in types.Limits.__struct_fields__ if f"--{key.replace('_', '-')}" not in flags]


def test_every_command_and_option_has_a_line_of_help() -> None:
    for command in commands():
        assert command.help, command.name
        assert not [p.name for p in command.params if isinstance(p, click.Option) and not p.help], command.name


def test_everything_public_is_there_and_typed() -> None:
    stub = (ROOT / "src" / "stretto" / "__init__.pyi").read_text(encoding="utf-8")
    for name in stretto.__all__:
        assert getattr(stretto, name) is not None
        assert re.search(rf"\b{name}\b", stub), name


def test_the_cookbook_example_does_its_job_on_the_simulator() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    code = (
        "import sys; sys.path.insert(0, 'examples'); import cookbook, stretto\n"
        "flow = cookbook.workflow.definition\n"
        "fast = lambda role: stretto.Role('sim:instant', role.prompt, options=role.options)\n"
        "flow = stretto.Workflow(fast(flow.orchestrator), {n: fast(r) for n, r in flow.workers.items()},"
        " fast(flow.synthesizer))\n"
        "run = flow.run_sync('Write a program that prints the next 20 leap years.')\n"
        "assert run.simulated and run.coverage.complete\n"
        "print(*(s.type for s in run.plan.subtasks)); print(run.answer)"
    )
    done = python("-c", code, folder=ROOT, environ=environ)
    assert done.stdout.splitlines()[0] == "plan code/solve test"
    assert "def next_leap_years" in done.stdout
