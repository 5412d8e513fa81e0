"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import click

from stretto.cli.help import Decorator, Option, option, together
from stretto.cli.limit_options import Default, amount, given_runs, limit_options, new_runs
from stretto.cli.stored import plain_option, store_option
from stretto.config import number, presets
from stretto.inputs import MOST

_Chosen = TypeVar("_Chosen", bool, str | None)


class _Workflow(Option):
    """-w, whose help lists the presets there are, once somebody asks for it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0], record[1].format(presets=", ".join(presets())))


def _model(default: Default) -> Decorator:
    return option(
        "-m",
        "--model",
        "models",
        multiple=True,
        metavar="[ROLE=]MODEL",
        help="PROVIDER:MODEL for all roles, or for one: orchestrator, workers, a worker's name, synthesizer. "
        "Repeatable; a second one for the same role is its fallback."
        + default("$STRETTO_MODEL, else the workflow's, else the first provider with a key, else a local server"),
    )


def _runs_options(default: Default) -> Decorator:
    """-w, -m, --batch, --schema, --store and a flag for every limit and for what is remembered."""
    workflow = click.option(
        "-w",
        "--workflow",
        "named",
        cls=_Workflow,
        metavar="WORKFLOW",
        help="Who does what: a TOML file (a name with / or .toml), or a preset: {presets}."
        + default("./stretto.toml, else general"),
    )
    batch = option(
        "--batch/--no-batch",
        default=None,
        help="All workers' calls go out with their provider's Batch API: within a day, mostly at half the price; or "
        "none does." + default("what the workflow says"),
    )
    schema = option(
        "--schema",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The answer (of a list: that of each item) is a JSON object that fits the JSON schema in this file.",
    )
    return together(workflow, _model(default), batch, schema, store_option, *limit_options(default))


workflow_options = _runs_options(new_runs)
recorded_options = _runs_options(given_runs)
"""The same for a command that goes on with RUN: what no flag says is as that was started."""

offer_options = together(
    click.option(
        "-w",
        "--workflow",
        "named",
        cls=_Workflow,
        multiple=True,
        metavar="WORKFLOW",
        help="What is served: a TOML file (a name with / or .toml), or a preset: {presets}. Repeatable.  "
        "[default: ./stretto.toml if it is there, and every preset]",
    ),
    _model(new_runs),
    store_option,
    *limit_options(new_runs),
)
"""-w, as often as there are workflows, -m, --store and a flag for every limit and for what is remembered."""

priority_option = option(
    "--priority",
    type=click.IntRange(1, 2**31 - 1),
    metavar="N",
    section="Workers",
    help="The lower goes first; of the same, whoever came first.  [default: 1000]",
)

task_options = together(
    click.argument("task", required=False),
    option(
        "-f",
        "--file",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        metavar="FILE",
        help="Read the task from a file.",
    ),
)

input_options = together(
    option(
        "-i",
        "--input",
        "inputs",
        multiple=True,
        metavar="INPUT",
        help="A text that the task is about, at the head of every prompt: a file, a folder (without what .gitignore "
        "names), a quoted glob, an address (https:), or - for standard input; or an image. Repeatable.",
    ),
    option(
        "--max-input",
        callback=amount(number),
        metavar="N",
        help=f"Bytes of all inputs at most: 2M.  [default: {MOST // 1_000_000}M]",
    ),
)

plan_option = option(
    "--plan",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Carry out the plan in this file, as `stretto plan` writes it; none is asked for.",
)


def names(ctx: click.Context, param: click.Parameter, written: Sequence[str]) -> tuple[str, ...]:
    """Names with commas between, and repeated."""
    named = tuple(dict.fromkeys(name.strip() for each in written for name in each.split(",") if name.strip()))
    if written and not named:  # an empty variable of a shell, say: it does not mean everything
        raise click.BadParameter("no name at all; name some, like t3,t5", ctx, param)
    return named


fresh_option = option(
    "--fresh",
    multiple=True,
    callback=names,
    metavar="NAMES",
    help="Ask these anew though they are recorded: ids of subtasks (t3,t5), orchestrator, synthesizer, or "
    "everything. The new replies are recorded, too.",
)


def _either(ctx: click.Context, param: click.Parameter, chosen: _Chosen) -> _Chosen:
    """--json and --cite exclude each other, whichever comes first."""
    if chosen and (ctx.params.get("cite") or ctx.params.get("as_json")):
        raise click.BadParameter("--json has the citations as data; --cite is for reading", ctx, param)
    return chosen


def _writable(ctx: click.Context, param: click.Parameter, output: Path | None) -> Path | None:
    """An answer that was paid for must not be lost to a folder that is not there; `-` is stdout."""
    if output is not None and str(output) == "-":
        return None
    if output is not None:
        try:
            new = not output.exists()
            if new or output.is_file():
                output.open("ab").close()
            if new:
                output.unlink()
        except OSError as error:
            raise click.BadParameter(
                f"{output}: cannot be written: {error.strerror}; name another file", ctx, param
            ) from error
    return output


quiet_option = option("-q", "--quiet", is_flag=True, section="Output", help="No progress on stderr, only errors.")

output_options = together(
    option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
        metavar="FILE",
        section="Output",
        callback=_writable,
        help="Write the answer, or the rows of a list, to a file, not to stdout.",
    ),
    quiet_option,
    plain_option,
    option(
        "--json",
        "as_json",
        type=click.Choice(["events", "final"]),
        alone="events",
        section="Output",
        callback=_either,
        help="Events as JSON lines on stdout, not the answer; --json=final: the run as one object, once it is over, "
        "failed or not.",
    ),
)

answer_options = together(
    option(
        "--cite",
        is_flag=True,
        section="Output",
        callback=_either,
        help="The answer, once it is whole, with footnotes: which results and inputs its passages rest on.",
    ),
    output_options,
)
