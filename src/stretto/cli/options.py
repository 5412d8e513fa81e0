"""Options that several commands share, and the workflow they add up to."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from platformdirs import user_config_path, user_state_path

from stretto.config import Configuration, Source, read_file, read_preset, read_workflow
from stretto.errors import ConfigError
from stretto.models import discovery
from stretto.models.providers import KNOWN, Provider
from stretto.workflow import Workflow

F = TypeVar("F", bound=Callable[..., Any])
LIMITS = ("parallel", "max_subtasks", "rpm", "attempts", "timeout", "max_wait")


def workflow_options(command: F) -> F:
    """-w, -m, --store and a flag for every limit."""
    for option in reversed(
        (
            click.option(
                "-w", "--workflow", "named", metavar="FILE|PRESET", help="Workflow: a TOML file, or a preset."
            ),
            click.option(
                "-m",
                "--model",
                "models",
                multiple=True,
                metavar="[ROLE=]PROVIDER:MODEL",
                help="Model of all roles, or of one (orchestrator, workers, a worker's name, synthesizer). Repeatable.",
            ),
            store_option,
            click.option("--parallel", type=int, metavar="N", help="Calls in flight at most.  [64]"),
            click.option("--max-subtasks", type=int, metavar="N", help="Subtasks at most.  [64]"),
            click.option("--rpm", type=float, metavar="N", help="Requests a minute at most."),
            click.option("--attempts", type=int, metavar="N", help="Times a failing call is asked.  [4]"),
            click.option("--timeout", metavar="TIME", help="Longest time of one call: 90s, 10m.  [10m]"),
            click.option("--max-wait", metavar="TIME", help="Longest wait of one call for rate limits.  [15m]"),
        )
    ):
        command = option(command)
    return command


def store_option(command: F) -> F:
    """--store."""
    return click.option(
        "--store",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="STRETTO_STORE",
        metavar="FILE",
        help="Where runs are kept.  [STRETTO_STORE, else the user's state folder]",
    )(command)


def output_options(command: F) -> F:
    """-o, -q and --json."""
    for option in reversed(
        (
            click.option(
                "-o",
                "--output",
                type=click.Path(dir_okay=False, path_type=Path),
                metavar="FILE",
                help="Write the answer to a file.",
            ),
            click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
            click.option(
                "--json", "as_json", is_flag=True, help="Events as JSON lines on stdout, in place of the answer."
            ),
        )
    ):
        command = option(command)
    return command


def store_path(store: Path | None) -> Path:
    """The store that was named, or the user's."""
    return store or user_state_path("stretto") / "runs.db"


def layers(named: str | None) -> list[Source]:
    """The configuration files there are, the most specific first."""
    found = [read_workflow(named)] if named else []
    usual = (Path("stretto.toml"), user_config_path("stretto") / "stretto.toml")
    return found + [read_file(path) for path in usual if path.is_file()]


def models_by_role(models: tuple[str, ...]) -> dict[str | None, str]:
    """`-m MODEL` under None, `-m ROLE=MODEL` under the role; STRETTO_MODEL is the least of them."""
    by_role: dict[str | None, str] = {}
    if default := os.environ.get("STRETTO_MODEL"):
        by_role[None] = default
    for model in models:
        role, equals, name = model.partition("=")
        # A model's name may contain = as well, but then a colon comes first.
        if equals and ":" not in role:
            by_role[role] = name
        else:
            by_role[None] = model
    return by_role


def limit_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The limits among a command's parameters, times in seconds."""
    from stretto.config import seconds

    given = {key: flags[key] for key in LIMITS if flags.get(key) is not None}
    return {
        key: seconds(value, f"--{key.replace('_', '-')}") if isinstance(value, str) else value
        for key, value in given.items()
    }


def build_workflow(named: str | None, models: tuple[str, ...], flags: dict[str, Any], store: Path) -> Workflow:
    """The workflow that files, environment and flags describe."""
    configuration = Configuration([*layers(named), read_preset("general")])
    by_role = models_by_role(models)
    default = None
    if configuration.models_missing(by_role):
        default = _default_model(configuration)
    return configuration.workflow(models=by_role, default_model=default, limits=limit_flags(flags), store=store)


def _default_model(configuration: Configuration) -> str:
    configured = {n: p for n, p in configuration.providers().items() if isinstance(p, Provider)}
    providers = {**KNOWN, **configured}
    model = discovery.with_key(providers, os.environ) or asyncio.run(discovery.local(providers, os.environ))
    if model is None:
        raise discovery.none_found()
    return model


def check_writable(output: Path | None) -> None:
    """An answer that was paid for must not be lost to a folder that is not there."""
    if output is not None and not os.access(output if output.exists() else output.parent, os.W_OK):
        raise ConfigError(f"{output}: cannot be written; name another file with -o")
