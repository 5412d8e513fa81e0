"""`stretto rehearse`."""

import os
import re
from pathlib import Path
from typing import Any

import click

from stretto.cli.help import Command, option
from stretto.cli.options import chosen_models, configured, limit_flags, store_path, workflow_options
from stretto.cli.rehearsal_report import Counted, Report, as_json, as_text
from stretto.cli.resume import find_run
from stretto.cli.run import read_task
from stretto.config import Choice, number
from stretto.config.values import limits_of, nearest
from stretto.errors import ConfigError
from stretto.models import discovery
from stretto.models.providers import KNOWN, Provider
from stretto.models.simulator import Fault, parse_fault
from stretto.rehearsal import (
    AS_IT_IS,
    ENOUGH,
    Conditions,
    Recorded,
    Rehearsal,
    Variation,
    carry,
    figures,
    prepare,
    recorded,
    usual,
    vary,
)
from stretto.store.sqlite import Store
from stretto.types import Limits
from stretto.workflow import Workflow

_RUNS = 200
_RECENT = 100  # runs that `--like all` looks at
_AT = re.compile(r"([\w-]+):\s+(.+)", re.DOTALL)


def _faults(ctx: click.Context, param: click.Parameter, written: tuple[str, ...]) -> list[tuple[str | None, Fault]]:
    """Each fault with the provider it goes wrong at, None for all."""
    found: list[tuple[str | None, Fault]] = []
    for fault in written:
        at = _AT.fullmatch(fault)
        try:
            found.append((at[1], parse_fault(at[2])) if at else (None, parse_fault(fault)))
        except ConfigError as error:
            raise click.BadParameter(str(error), ctx, param) from error
    return found


def _rate(ctx: click.Context, param: click.Parameter, written: str | None) -> float | None:
    try:
        rate = None if written is None else number(written, "")
    except ConfigError as error:
        raise click.BadParameter(str(error).removeprefix(": "), ctx, param) from error
    if rate == 0:
        raise click.BadParameter("must be more than 0", ctx, param)
    return rate


@click.command(
    cls=Command,
    examples=(
        'stretto rehearse "Compare Postgres and SQLite for a job queue"',
        "stretto rehearse --subtasks 100 --provider-rpm 300 --vary parallel=16 --vary rpm=300 TASK",
        'stretto rehearse -w solve --like all --budget 50ct --fault "500 rate=0.05" TASK',
        "stretto rehearse --json TASK | jq .variations[0].makespan.p95",
    ),
)
@click.argument("task", required=False)
@workflow_options
@option(
    "--runs",
    type=click.IntRange(min=1),
    metavar="N",
    default=_RUNS,
    show_default=True,
    section="Rehearsal",
    help="Runs of every row.",
)
@option(
    "--subtasks",
    type=click.IntRange(min=1),
    metavar="N",
    section="Rehearsal",
    help="Subtasks of every plan.  [default: with --like as many as there, else 3 to 6]",
)
@option(
    "--vary",
    "varied",
    multiple=True,
    metavar="LIMIT=VALUE",
    section="Rehearsal",
    help="A limit to change in a row of its own, for example parallel=16. Repeatable.  [default: half and double "
    "parallel, budget and deadline; hedge]",
)
@option(
    "--like",
    metavar="RUN",
    section="Rehearsal",
    help="Take speeds and lengths from recorded runs: the id of one, last, or all (the newest 100).  [default: the "
    "simulator's own]",
)
@option(
    "--fault",
    "--faults",
    "faults",
    callback=_faults,
    multiple=True,
    metavar="[PROVIDER: ]FAULT",
    section="Rehearsal",
    help='What goes wrong: "429 rate=0.1", "together: 500 always role=worker"; see `stretto sim`. Repeatable.  '
    "[default: nothing]",
)
@option(
    "--provider-rpm",
    callback=_rate,
    metavar="N",
    section="Rehearsal",
    help="Requests a minute that every provider permits; --rpm is what the workflow keeps to.  [default: rpm of "
    "[providers.NAME], else no limit]",
)
@option(
    "--provider-tpm",
    callback=_rate,
    metavar="N",
    section="Rehearsal",
    help="Tokens a minute that every provider permits.  [default: tpm of [providers.NAME], else no limit]",
)
@option(
    "--seed",
    type=int,
    metavar="N",
    default=0,
    show_default=True,
    section="Rehearsal",
    help="Another seed, other chances; the same seed, the same figures.",
)
@option("-q", "--quiet", is_flag=True, section="Output", help="No progress on stderr, only errors.")
@option("--json", "in_json", is_flag=True, section="Output", help="One JSON object with every quantile.")
def rehearse(
    task: str | None,
    named: str | None,
    models: tuple[str, ...],
    store: Path | None,
    runs: int,
    subtasks: int | None,
    varied: tuple[str, ...],
    like: str | None,
    faults: list[tuple[str | None, Fault]],
    provider_rpm: float | None,
    provider_tpm: float | None,
    seed: int,
    quiet: bool,
    in_json: bool,
    **flags: Any,
) -> int:
    """Carry TASK many times on the simulator, in virtual time, to see what a workflow would take before it is paid.

    Every provider is replaced by a simulated one of its name, with its prices and limits; no key is needed and nothing
    is sent. The table on stdout has a row for the configuration as it is, and one for each setting changed, all with
    the same chances.
    """
    text = read_task(task, None)
    workflow = _workflow(named, models, flags)
    known = _recorded(Store(store_path(store)), like, workflow) if like else None
    if subtasks and flags.get("max_subtasks") and subtasks > flags["max_subtasks"]:
        raise click.UsageError(
            f"--subtasks {subtasks} is more than --max-subtasks {flags['max_subtasks']} lets through"
        )
    conditions = Conditions(
        faults=tuple(faults),
        rpm=provider_rpm,
        tpm=provider_tpm,
        subtasks=subtasks or (known.subtasks if known else None),
        profiles=known.profiles if known else {},
    )
    rehearsal = prepare(workflow, text, conditions)
    limits = rehearsal.definition.limits
    variations = [Variation(AS_IT_IS, limits), *(_varied(rehearsal, varied) if varied else usual(limits))]
    with Counted(quiet=quiet) as progress:
        trials = carry(rehearsal, variations, range(seed, seed + runs), progress.show)
    report = Report(
        rehearsal=rehearsal,
        seed=seed,
        configured=workflow.definition.limits,
        subtasks=conditions.subtasks,
        recorded=known,
        rows=tuple((variation, figures(found)) for variation, found in zip(variations, trials, strict=True)),
    )
    click.echo(as_json(report) if in_json else as_text(report), nl=False)
    return 0


def _workflow(named: str | None, models: tuple[str, ...], flags: dict[str, Any]) -> Workflow:
    """The workflow that would be run; without any model and without a key, one of the simulator's."""
    configuration, chosen = configured(named), chosen_models(models)
    default = None
    if configuration.models_missing(chosen):
        ours = {name: p for name, p in configuration.providers().items() if isinstance(p, Provider)}
        # Whether a key is there, as `run` would choose; local servers are not asked, because nothing is sent.
        model = discovery.with_key({**KNOWN, **ours}, os.environ) or "sim:default"
        default = Choice(model, "nothing else is named")
    return configuration.workflow(models=chosen, default=default, limits=limit_flags(flags))


def _recorded(store: Store, like: str, workflow: Workflow) -> Recorded:
    """What recorded runs say of the workflow's models; raises `ConfigError` if they say nothing of any."""
    if like == "all":
        find_run(store, None, last=True)  # if there is none, this says so
        runs = [run for run in store.recent(_RECENT) if run.status != "unreadable"]
    else:
        last = like == "last"
        runs = [store.run(find_run(store, None if last else like, last=last))]
    found = recorded(runs)
    if not found.profiles.keys() & set(workflow.models):
        told = ", ".join(f"{count} of {model}" for model, count in found.calls.items()) or "none at all"
        raise ConfigError(
            f"--like {like}: too few recorded calls of {', '.join(workflow.models)}: {ENOUGH} of a model are needed, "
            f"there are {told}; name other runs (all, or an id from `stretto runs`), or leave --like out"
        )
    return found


def _varied(rehearsal: Rehearsal, varied: tuple[str, ...]) -> list[Variation]:
    """What --vary says, each checked as the flag of its limit would be."""
    found = []
    for written in varied:
        name, equals, value = written.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or key not in Limits.__struct_fields__:
            known = ", ".join(Limits.__struct_fields__)
            hint = nearest(key, Limits.__struct_fields__) or f"; there are {known}"
            raise click.UsageError(f"--vary {written}: write LIMIT=VALUE, and {name!r} is no limit{hint}")
        try:
            changed = getattr(limits_of({key: _value(value.strip())}, "limits"), key)
            found.append(vary(rehearsal.definition.limits, key, changed))
            rehearsal.workflow(found[-1].limits, 0)
        except ConfigError as error:
            raise click.UsageError(f"--vary {written}: {error}") from error
    return found


def _value(text: str) -> Any:
    """A value as TOML would have it: a number if it is one, nothing if it says so, else a text."""
    if text == "none":
        return None
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        return text
