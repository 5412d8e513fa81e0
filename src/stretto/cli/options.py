"""Options that several commands share, and the workflow they add up to."""

import asyncio
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from msgspec import Struct
from platformdirs import user_config_path, user_state_path

from stretto.cli.help import option
from stretto.config import (
    Choice,
    Configuration,
    Source,
    dollars,
    number,
    read_file,
    read_preset,
    read_workflow,
    recorded_providers,
    recorded_roles,
    seconds,
    share,
)
from stretto.errors import ConfigError
from stretto.models import discovery
from stretto.models.providers import KNOWN, Provider, from_environment, variable
from stretto.store.sqlite import Store
from stretto.types import Limits, Memory
from stretto.workflow import Workflow

F = TypeVar("F", bound=Callable[..., Any])
_DEFAULT = Limits()


def workflow_options(command: F) -> F:
    """-w, -m, --store and a flag for every limit and for what is remembered."""
    return _with(command, (_workflow, _model, store_option, *_limits(), *_memory()))


def store_option(command: F) -> F:
    """--store."""
    return option(
        "--store",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="STRETTO_STORE",
        metavar="FILE",
        help="Where runs are kept.  [default: $STRETTO_STORE, else the user's state folder]",
    )(command)


def task_options(command: F) -> F:
    """TASK and -f."""
    file = option(
        "-f",
        "--file",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        metavar="FILE",
        help="Read the task from a file.",
    )
    return _with(command, (click.argument("task", required=False), file))


def plan_option(command: F) -> F:
    """--plan."""
    return option(
        "--plan",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Carry out the plan in this file, as `stretto plan` writes it; none is asked for.",
    )(command)


def output_options(command: F) -> F:
    """-o, -q and --json."""
    output = option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        section="Output",
        callback=_writable,
        help="Write the answer to a file, not to stdout.",
    )
    quiet = option("-q", "--quiet", is_flag=True, section="Output", help="No progress on stderr, only errors.")
    as_json = option(
        "--json", "as_json", is_flag=True, section="Output", help="Events as JSON lines on stdout, not the answer."
    )
    return _with(command, (output, quiet, as_json))


def _workflow(command: F) -> F:
    return option(
        "-w",
        "--workflow",
        "named",
        metavar="WORKFLOW",
        help="Who does what: a TOML file (a name with / or .toml), or a preset: general, solve.  "
        "[default: ./stretto.toml, else general]",
    )(command)


def _model(command: F) -> F:
    return option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="[ROLE=]MODEL",
        help="PROVIDER:MODEL for all roles, or for one: orchestrator, workers, a worker's name, synthesizer. "
        "Repeatable; a second one for the same role is its fallback.  [default: $STRETTO_MODEL, else the workflow's, "
        "else the first provider with a key, else a local server]",
    )(command)


def _limits() -> list[Callable[[F], F]]:
    """A flag for every limit."""
    whole = click.IntRange(min=1)

    def limit(name: str, text: str, **kind: Any) -> Callable[[F], F]:
        return option(f"--{name}", section="Limits", help=text, **kind)

    count, rate, length = (
        {"type": whole, "metavar": "N"},
        {"callback": _amount(number), "metavar": "N"},
        {"callback": _amount(seconds), "metavar": "TIME"},
    )
    return [
        limit("parallel", f"Calls in flight at most.  [default: {_DEFAULT.parallel}]", **count),
        limit("max-subtasks", f"Subtasks at most.  [default: {_DEFAULT.max_subtasks}]", **count),
        limit("rpm", "Requests a minute at most.  [default: no limit]", **rate),
        limit("tpm", "Tokens a minute at most: 200k.  [default: no limit]", **rate),
        limit(
            "budget",
            "What a run may cost at most, in US dollars: 0.5, 50ct.  [default: no limit]",
            callback=_amount(dollars),
            metavar="MONEY",
        ),
        limit("tokens", "Tokens a run may use at most: 250k.  [default: no limit]", **rate),
        limit("deadline", "When the answer must be there, from now: 20s, 2m30s.  [default: none]", **length),
        limit(
            "hedge",
            "Share of a run's cost that may go into asking stragglers a second time: 5%.  [default: none]",
            callback=_amount(share),
            metavar="SHARE",
        ),
        limit(
            "unpriced",
            "Under a budget, models whose price is unknown.  [default: refuse]",
            type=click.Choice(["refuse", "allow"]),
        ),
        limit("attempts", f"Times a failing call is asked.  [default: {_DEFAULT.attempts}]", **count),
        limit("timeout", f"Longest time of one call: 90s, 10m.  [default: {_DEFAULT.timeout / 60:g}m]", **length),
        limit(
            "max-wait",
            f"Longest a call waits when a provider refuses it (429).  [default: {_DEFAULT.max_wait / 60:g}m]",
            **length,
        ),
    ]


def _memory() -> list[Callable[[F], F]]:
    """A flag for everything that `[memory]` says."""
    heading = "Memory"
    return [
        option(
            "--reuse",
            type=click.Choice(["run", "store", "off"]),
            section=heading,
            help="Recorded replies that answer a call: the run's own, any of the store, or none.  [default: run]",
        ),
        option(
            "--reuse-sampled",
            is_flag=True,
            default=None,
            section=heading,
            help="With --reuse store, calls with a temperature above 0, too.",
        ),
        option(
            "--record",
            type=click.Choice(["all", "usage"]),
            section=heading,
            help="usage: no prompts, and replies and results only until the run is finished.  [default: all]",
        ),
    ]


def _amount(read: Callable[[str, str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Reads a flag's value; nothing of something is an error."""

    def callback(ctx: click.Context, param: click.Parameter, written: str | None) -> Any:
        if written is None:
            return None
        try:
            amount = read(written, "")
        except ConfigError as error:
            raise click.BadParameter(str(error).removeprefix(": "), ctx, param) from error
        if read is share and amount > 1:
            raise click.BadParameter("must be a share, from 0 to 1 or to 100%", ctx, param)
        if amount == 0 and read is not share:
            raise click.BadParameter("must be more than 0", ctx, param)
        return amount

    return callback


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for decorate in reversed(options):
        command = decorate(command)
    return command


def _writable(ctx: click.Context, param: click.Parameter, output: Path | None) -> Path | None:
    """An answer that was paid for must not be lost to a folder that is not there."""
    if output is not None:
        try:
            new = not output.exists()
            if new or output.is_file():
                output.open("ab").close()
            if new:
                output.unlink()
        except OSError as error:
            raise click.BadParameter(f"{output}: cannot be written: {error.strerror}", ctx, param) from error
    return output


def store_path(store: Path | None) -> Path:
    """The store that was named, or the user's."""
    return store or user_state_path("stretto") / "runs.db"


def same_store() -> str:
    """What a further command needs to look into the store of this one."""
    context = click.get_current_context()
    if context.get_parameter_source("store") is not ParameterSource.COMMANDLINE:
        return ""
    return f" --store {shlex.quote(str(context.params['store']))}"


def layers(named: str | None) -> tuple[list[Source], list[Source]]:
    """The configuration files there are, the most specific first: what -w names, and the usual ones."""
    usual = (Path("stretto.toml"), user_config_path("stretto") / "stretto.toml")
    return [read_workflow(named)] if named else [], [read_file(path) for path in usual if path.is_file()]


def chosen_models(models: Sequence[str], *, environment: bool = True) -> dict[str | None, Choice]:
    """`-m MODEL` under None, `-m ROLE=MODEL` under the role, said again a fallback; STRETTO_MODEL is the least."""
    chosen: dict[str | None, Choice] = {}
    if environment and (default := os.environ.get("STRETTO_MODEL")):
        chosen[None] = Choice(default, "STRETTO_MODEL")
    for model in models:
        role, equals, name = model.partition("=")
        # A model's name may contain = as well, but then a colon comes first.
        named = role if equals and ":" not in role else None
        name = model if named is None else name
        first = chosen.get(named)
        again = first is not None and first.by != "STRETTO_MODEL"
        chosen[named] = (
            Choice(first.model, f"{first.by} -m {model}", (*first.fallbacks, name))
            if first is not None and again
            else Choice(name, f"-m {model}")
        )
    return chosen


def limit_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The limits that were given as flags."""
    return _given(flags, Limits)


def _given(flags: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    return {key: flags[key] for key in kind.__struct_fields__ if flags.get(key) is not None}


def build(
    configuration: Configuration,
    models: dict[str | None, Choice],
    flags: dict[str, Any],
    store: Path,
    say: Callable[[str], None],
) -> Workflow:
    """The workflow that files, environment and flags describe; `say` is told about a model that nobody named."""
    default = None
    if configuration.models_missing(models):
        default = _default_model(configuration)
        say(f"{default.model}, because {default.by}; -m names another")
    return configuration.workflow(
        models=models, default=default, limits=limit_flags(flags), memory=_given(flags, Memory), store=store
    )


def configured(named: str | None) -> Configuration:
    """The configuration for a new run."""
    explicit, usual = layers(named)
    return Configuration([*explicit, *usual, read_preset("general")])


def recorded(store: Store, run: str, named: str | None) -> Configuration:
    """The configuration for a run that goes on or is run again: what -w names, else as it was started."""
    before, imported = store.run(run).workflow, store.is_imported(run)
    explicit, usual = layers(named)
    known = [*explicit, recorded_roles(run, before), *usual]
    return Configuration([*known, recorded_providers(run, before, Configuration(known).providers(), imported=imported)])


def _default_model(configuration: Configuration) -> Choice:
    ours = {name: p for name, p in configuration.providers().items() if isinstance(p, Provider)}
    providers = {**KNOWN, **ours}
    if model := discovery.with_key(providers, os.environ):
        name = model.partition(":")[0]
        variables = (providers[name].key_env, variable(name, "API_KEY"))
        held = next(v for v in variables if v and os.environ.get(v, "").strip())
        return Choice(model, f"{held} is set")
    if model := asyncio.run(discovery.local(providers, os.environ)):
        name = model.partition(":")[0]
        return Choice(model, f"{name} answers at {from_environment(name, providers[name], os.environ).base_url}")
    raise discovery.none_found()
