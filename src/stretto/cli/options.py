"""Options that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from stretto.amounts import dollars
from stretto.cli.help import Option, option
from stretto.config import number, presets, seconds, share
from stretto.errors import ConfigError
from stretto.inputs import MOST
from stretto.types import Limits

F = TypeVar("F", bound=Callable[..., Any])
_Chosen = TypeVar("_Chosen", bool, str | None)
_DEFAULT = Limits()


def workflow_options(command: F) -> F:
    """-w, -m, --batch, --schema, --store and a flag for every limit and for what is remembered."""
    return _with(command, _options(_itself))


def recorded_options(command: F) -> F:
    """The same for a command that goes on with RUN: what no flag says is as that was started."""
    return _with(command, _options(_runs))


Default = Callable[[str], str]
"""What is in force where a flag says nothing, made of what it is in a new run."""


def _options(default: Default) -> Sequence[Callable[[F], F]]:
    own = (_workflow(default), _model(default), _batch(default), _schema)
    return (*own, store_option, *_limits(default), *_memory(default))


def _itself(new: str) -> str:
    return f"  [default: {new}]"


def _runs(_: str) -> str:
    return "  [default: RUN's]"


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
    return _with(command, (several, _model(_itself), store_option, *_limits(_itself), *_memory(_itself)))


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
    return _with(command, (given, most))


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
    return _with(command, (output, quiet, plain_option, as_json))


def plain_option(command: F) -> F:
    """--plain."""
    return option(
        "--plain",
        is_flag=True,
        section="Output",
        help="On a terminal, lines and the answer as plain text that breaks between words, not the live picture.  "
        "[default: $STRETTO_PROGRESS]",
    )(command)


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
    return _with(output_options(command), (cite,))


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


def _limits(default: Default) -> list[Callable[[F], F]]:
    """A flag for every limit."""
    whole = click.IntRange(min=1)

    def limit(name: str, text: str, new: object, **kind: Any) -> Callable[[F], F]:
        return option(f"--{name}", section="Limits", help=text + default(str(new)), **kind)

    count, rate, length = (
        {"type": whole, "metavar": "N"},
        {"callback": amount(number), "metavar": "N"},
        {"callback": amount(seconds), "metavar": "TIME"},
    )
    return [
        limit("parallel", "Calls in flight at most.", _DEFAULT.parallel, **count),
        limit("max-subtasks", "Subtasks at most.", _DEFAULT.max_subtasks, **count),
        limit(
            "rounds",
            "Times that subtasks are planned, with all results so far in view.",
            _DEFAULT.rounds,
            **count,
        ),
        limit("rpm", "Requests a minute at most.", "no limit", **rate),
        limit("tpm", "Tokens a minute at most: 200k.", "no limit", **rate),
        limit(
            "budget",
            "What a run may cost at most, in US dollars: 0.50, 50c.",
            "no limit",
            callback=amount(dollars),
            metavar="MONEY",
        ),
        limit("tokens", "Tokens a run may use at most: 250k.", "no limit", **rate),
        limit(
            "max-tokens",
            "Tokens of each reply of a worker and of the synthesizer at most, in place of what their options say: 2k. "
            "What is longer is cut short, and told; plans and checks are not bound.",
            "what the workflow says",
            callback=amount(_tokens),
            metavar="N",
        ),
        limit("deadline", "When the answer must be there, from now: 20s, 2m30s.", "none", **length),
        limit(
            "hedge",
            "Share of a run's cost that may go into asking stragglers a second time: 5%.",
            "none",
            callback=amount(share),
            metavar="SHARE",
        ),
        limit(
            "unpriced",
            "Under a budget, models whose price is unknown.",
            "refuse",
            type=click.Choice(["refuse", "allow"]),
        ),
        limit("attempts", "Times a failing call is asked.", _DEFAULT.attempts, **count),
        limit("timeout", "Longest time of one call: 90s, 10m.", f"{_DEFAULT.timeout / 60:g}m", **length),
        limit(
            "max-wait",
            "Longest a call waits when a provider refuses it (429).",
            f"{_DEFAULT.max_wait / 60:g}m",
            **length,
        ),
    ]


def _memory(default: Default) -> list[Callable[[F], F]]:
    """A flag for everything that `[memory]` says."""
    heading = "Memory"
    return [
        option(
            "--reuse",
            type=click.Choice(["run", "store", "off"]),
            section=heading,
            help="Recorded replies that answer a call: the run's own, any of the store, or none." + default("run"),
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
            help="usage: no prompts, and replies and results only until the run is finished." + default("all"),
        ),
    ]


def amount(read: Callable[[str, str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
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


def _tokens(written: str, place: str) -> float:
    found = number(written, place)
    if not isinstance(found, int):
        raise ConfigError(f"{place}: must be a whole number, not {written}")
    return found


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
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
