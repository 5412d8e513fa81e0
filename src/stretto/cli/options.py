"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from stretto.cli.help import Option, option
from stretto.cli.limit_options import Default, amount, given_runs, limit_options, new_runs
from stretto.cli.stored import plain_option, store_option
from stretto.config import number, presets
from stretto.inputs import MOST

F = TypeVar("F", bound=Callable[..., Any])
_Chosen = TypeVar("_Chosen", bool, str | None)


def workflow_options(command: F) -> F:
    """-w, -m, --batch, --schema, --store and a flag for every limit and for what is remembered."""
    return _runs_options(command, new_runs)


def recorded_options(command: F) -> F:
    """The same for a command that goes on with RUN: what no flag says is as that was started."""
    return _runs_options(command, given_runs)


def _runs_options(command: F, default: Default) -> F:
    own = (_workflow(default), _model(default), _batch(default), _schema)
    return with_options(command, (*own, store_option, *limit_options(default)))


def offer_options(command: F) -> F:
    """-w, as often as there are workflows, -m, --store and a flag for every limit and for what is remembered."""
    several = click.option(
        "-w",
        "--workflow",
        "named",
        cls=_Workflow,
        multiple=True,
        metavar="WORKFLOW",
        help="What is served: a TOML file (a name with / or .toml), or a preset: {presets}. Repeatable.  "
        "[default: ./stretto.toml if it is there, and every preset]",
    )
    return with_options(command, (several, _model(new_runs), store_option, *limit_options(new_runs)))


def priority_option(command: F) -> F:
    """--priority, of what is handed to workers."""
    return option(
        "--priority",
        type=click.IntRange(1, 2**31 - 1),
        metavar="N",
        section="Workers",
        help="The lower goes first; of the same, whoever came first.  [default: 1000]",
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
    return with_options(command, (click.argument("task", required=False), file))


def input_options(command: F) -> F:
    """-i and --max-input."""
    given = option(
        "-i",
        "--input",
        "inputs",
        multiple=True,
        metavar="INPUT",
        help="A text that the task is about, at the head of every prompt: a file, a folder (without what .gitignore "
        "names), a quoted glob, an address (https:), or - for standard input; or an image. Repeatable.",
    )
    most = option(
        "--max-input",
        callback=amount(number),
        metavar="N",
        help=f"Bytes of all inputs at most: 2M.  [default: {MOST // 1_000_000}M]",
    )
    return with_options(command, (given, most))


def plan_option(command: F) -> F:
    """--plan."""
    return option(
        "--plan",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Carry out the plan in this file, as `stretto plan` writes it; none is asked for.",
    )(command)


def output_options(command: F) -> F:
    """-o, -q, --plain and --json."""
    output = option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        section="Output",
        callback=_writable,
        help="Write the answer, or the rows of a list, to a file, not to stdout.",
    )
    quiet = option("-q", "--quiet", is_flag=True, section="Output", help="No progress on stderr, only errors.")
    as_json = option(
        "--json",
        "as_json",
        type=click.Choice(["events", "final"]),
        alone="events",
        section="Output",
        callback=_either,
        help="Events as JSON lines on stdout, not the answer; --json=final: the run as one object, once it is over, "
        "failed or not.",
    )
    return with_options(command, (output, quiet, plain_option, as_json))


class _Workflow(Option):
    """-w, whose help lists the presets there are, once somebody asks for it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return record and (record[0], record[1].format(presets=", ".join(presets())))


def answer_options(command: F) -> F:
    """-o, -q, --json and --cite."""
    cite = option(
        "--cite",
        is_flag=True,
        section="Output",
        callback=_either,
        help="The answer, once it is whole, with footnotes: which results and inputs its passages rest on.",
    )
    return with_options(output_options(command), (cite,))


def _workflow(default: Default) -> Callable[[F], F]:
    return click.option(
        "-w",
        "--workflow",
        "named",
        cls=_Workflow,
        metavar="WORKFLOW",
        help="Who does what: a TOML file (a name with / or .toml), or a preset: {presets}."
        + default("./stretto.toml, else general"),
    )


def _model(default: Default) -> Callable[[F], F]:
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


def _batch(default: Default) -> Callable[[F], F]:
    return option(
        "--batch/--no-batch",
        default=None,
        help="All workers' calls go out with their provider's Batch API: within a day, mostly at half the price; or "
        "none does." + default("what the workflow says"),
    )


def _schema(command: F) -> F:
    return option(
        "--schema",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="The answer (of a list: that of each item) is a JSON object that fits the JSON schema in this file.",
    )(command)


def with_options(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """A command with these options, which its help lists in this order."""
    for decorate in reversed(options):
        command = decorate(command)
    return command


def _either(ctx: click.Context, param: click.Parameter, chosen: _Chosen) -> _Chosen:
    """--json and --cite exclude each other, whichever comes first."""
    if chosen and (ctx.params.get("cite") or ctx.params.get("as_json")):
        raise click.BadParameter("--json has the citations as data; --cite is for reading", ctx, param)
    return chosen


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
            raise click.BadParameter(
                f"{output}: cannot be written: {error.strerror}; name another file", ctx, param
            ) from error
    return output
