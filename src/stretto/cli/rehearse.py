"""`stretto rehearse`."""

import os
import shutil
import sys
from typing import Any

import click

from stretto.cli.help import command, option
from stretto.cli.meaning import chosen_models, configured
from stretto.cli.options import input_options, quiet_option, workflow_options
from stretto.cli.progress import Progress
from stretto.cli.rehearsal_options import rehearsal_options, variations_of
from stretto.cli.rehearsal_report import Report, as_json, as_text
from stretto.cli.rehearsal_table import Row
from stretto.cli.screen import say
from stretto.cli.stored import find_run, store_path
from stretto.cli.tally import Tally
from stretto.cli.task import not_a_file, read_named, read_task, reads_stdin
from stretto.config import Choice
from stretto.errors import ConfigError
from stretto.models import discovery
from stretto.models.simulator import Fault
from stretto.models.simulator.settings import Tells
from stretto.policies.prices import FREE
from stretto.rehearsal import (
    AS_IT_IS,
    ENOUGH,
    Conditions,
    Recorded,
    Variation,
    carry,
    carry_enough,
    compared,
    figures,
    prepare,
    recorded,
    usual,
)
from stretto.store.sqlite import Store
from stretto.workflow import Workflow

_RECENT = 100  # runs that `--like all` looks at


@command(
    'stretto rehearse "Compare Postgres and SQLite for a job queue"',
    "stretto rehearse --subtasks 100 --provider-rpm 300 --vary parallel=16 --vary rpm=300 TASK",
    'stretto rehearse -i docs/ "What changed for users?"',
    'stretto rehearse -w solve --like all --budget 50c --fault "500 rate=0.05" TASK',
    "stretto rehearse --json TASK | jq .variations[0].makespan.p95",
)
@click.argument("task", required=False)
@input_options
@workflow_options
@rehearsal_options
@quiet_option
@option("--json", "in_json", is_flag=True, section="Output", help="One JSON object with every quantile.")
def rehearse(
    task: str | None,
    inputs: tuple[str, ...],
    max_input: float | None,
    runs: int | None,
    subtasks: int | None,
    varied: tuple[str, ...],
    like: str | None,
    faults: list[tuple[str | None, Fault]],
    provider_rpm: float | None,
    provider_tpm: float | None,
    provider_tells: Tells | None,
    provider_batch: float | None,
    seed: int,
    quiet: bool,
    in_json: bool,
    **flags: Any,
) -> int:
    """Carry TASK many times on the simulator, in virtual time, to see what a workflow would take before it is paid.

    Every provider is replaced by a simulated one of its name, with its prices and limits; no key is needed and nothing
    is sent. The table on stdout has a row for the configuration as it is, and one for each setting changed, all with
    the same chances; below it stands which setting to change, if one is surely better.
    """
    not_a_file(task, inputs)
    texts = read_named(inputs, max_input, Progress(quiet=quiet).input, stdin=not reads_stdin(task, None))
    text = read_task(task, None)
    workflow = _workflow(flags, quiet=quiet)
    known = _recorded(Store(store_path(flags["store"])), like, workflow) if like else None
    if subtasks and flags.get("max_subtasks") and subtasks > flags["max_subtasks"]:
        raise click.UsageError(
            f"--subtasks {subtasks} is more than --max-subtasks {flags['max_subtasks']} lets through"
        )
    conditions = Conditions(
        faults=tuple(faults),
        rpm=provider_rpm,
        tpm=provider_tpm,
        tells=provider_tells,
        batch=provider_batch,
        subtasks=subtasks or (known.subtasks if known else None),
        profiles=known.profiles if known else {},
    )
    rehearsal = prepare(workflow, text, conditions, texts)
    limits = rehearsal.definition.limits
    free = all(price == FREE for price in rehearsal.prices.values())
    tried = variations_of(rehearsal, varied) if varied else usual(limits, free=free)
    variations = [Variation(AS_IT_IS, limits), *tried]
    with Tally(quiet=quiet) as progress:

        def tell(done: int, of: int) -> None:
            progress.show(f"rehearsed {done:,} of {of:,} runs")

        if runs is None:
            trials = carry_enough(rehearsal, variations, seed, tell)
        else:
            trials = carry(rehearsal, variations, range(seed, seed + runs), tell)
    report = Report(
        rehearsal=rehearsal,
        seed=seed,
        configured=workflow.definition.limits,
        subtasks=conditions.subtasks,
        recorded=known,
        rows=tuple(
            Row(variation, figures(found), compared(trials[0], found, len(trials) - 1))
            for variation, found in zip(variations, trials, strict=True)
        ),
    )
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(as_json(report) if in_json else as_text(report, columns), nl=False)
    return 0


def _workflow(flags: dict[str, Any], *, quiet: bool) -> Workflow:
    """The workflow that would be run; without any model and without a key, one of the simulator's."""
    configuration, chosen = configured(flags["named"]), chosen_models(flags["models"])
    default = None
    if configuration.models_missing(chosen):
        # Whether a key is there, as `run` would choose; local servers are not asked, because nothing is sent.
        model = discovery.with_key(configuration.endpoints(), os.environ) or "sim:default"
        default = Choice(model, "no model is named")
        if not quiet:
            say(f"no model is named, so {model} is rehearsed; -m names another")
    store = store_path(flags["store"])
    return configuration.workflow(Workflow, models=chosen, default=default, flags=flags, store=store)


def _recorded(store: Store, like: str, workflow: Workflow) -> Recorded:
    """What recorded runs say of the workflow's models; raises `ConfigError` if they say nothing of any."""
    if like == "all":
        find_run(store, None, last=True)  # if there is none, this says so
        runs = [run for run in store.recent(_RECENT) if run.status != "unreadable"]
    else:
        last = like == "last"
        runs = [store.run(find_run(store, None if last else like, last=last))]
    found = recorded(runs)
    if not found.profiles.keys() & set(workflow.all_models):
        told = ", ".join(f"{count} of {model}" for model, count in found.calls.items()) or "none at all"
        raise ConfigError(
            f"--like {like}: too few recorded calls of {', '.join(workflow.all_models)}: {ENOUGH} of a model are "
            f"needed, there are {told}; name other runs (all, or an id from `stretto runs`), or leave --like out"
        )
    return found
