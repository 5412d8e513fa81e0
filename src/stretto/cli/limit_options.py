"""Options of what a run may use, and of what is remembered of it; and how amounts are read."""

from collections.abc import Callable
from typing import Any

import click

from stretto.cli.help import Decorator, option
from stretto.config import number, seconds, share
from stretto.errors import ConfigError
from stretto.ground.amounts import dollars
from stretto.types import Limits

_DEFAULT = Limits()

Default = Callable[[str], str]
"""What is in force where a flag says nothing, made of what it is in a new run."""


def new_runs(new: str) -> str:
    """For a command that begins a run."""
    return f"  [default: {new}]"


def given_runs(_: str) -> str:
    """For a command that goes on with one."""
    return "  [default: RUN's]"


def _limits(default: Default) -> list[Decorator]:
    """A flag for every limit."""

    def limit(name: str, text: str, new: object, **kind: Any) -> Decorator:
        return option(f"--{name}", section="Limits", help=text + default(str(new)), **kind)

    count, rate, length, money = (
        {"type": click.IntRange(min=1), "metavar": "N"},
        {"callback": amount(number), "metavar": "N"},
        {"callback": amount(seconds), "metavar": "TIME"},
        {"callback": amount(dollars), "metavar": "MONEY"},
    )
    a_day = "What all runs of the store may cost on a day (UTC); each sets its budget aside."
    replies = (
        "Tokens of each reply of a worker and of the synthesizer at most, in place of what their options say: 2k. "
        "What is longer is cut short, and told; plans and checks are not bound."
    )
    stragglers = "Share of a run's cost that may go into asking stragglers a second time: 5%."
    refused, wait = "Longest a call waits when a provider refuses it (429).", f"{_DEFAULT.max_wait / 60:g}m"
    allowing = {"type": click.Choice(["refuse", "allow"])}
    return [
        limit("parallel", "Calls in flight at most.", _DEFAULT.parallel, **count),
        limit("max-subtasks", "Subtasks at most.", _DEFAULT.max_subtasks, **count),
        limit("rounds", "Times that subtasks are planned, with all results so far in view.", _DEFAULT.rounds, **count),
        limit("rpm", "Requests a minute at most.", "no limit", **rate),
        limit("tpm", "Tokens a minute at most: 200k.", "no limit", **rate),
        limit("budget", "What a run may cost at most, in US dollars: 0.50, 50c.", "no limit", **money),
        limit("budget-per-day", a_day, "no limit", **money),
        limit("tokens", "Tokens a run may use at most: 250k.", "no limit", **rate),
        limit("max-tokens", replies, "what the workflow says", callback=amount(_tokens), metavar="N"),
        limit("deadline", "When the answer must be there, from now: 20s, 2m30s.", "none", **length),
        limit("hedge", stragglers, "none", callback=amount(share, nothing=True), metavar="SHARE"),
        limit("unpriced", "Under a budget, models whose price is unknown.", "refuse", **allowing),
        limit("attempts", "Times a failing call is asked.", _DEFAULT.attempts, **count),
        limit("timeout", "Longest time of one call: 90s, 10m.", f"{_DEFAULT.timeout / 60:g}m", **length),
        limit("max-wait", refused, wait, **length),
    ]


def limit_options(default: Default) -> list[Decorator]:
    """What a run may use, and what is remembered of it: all that `[limits]` and `[memory]` say."""
    heading = "Memory"
    return [
        *_limits(default),
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


def amount(
    read: Callable[[str, str], Any], *, nothing: bool = False
) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Reads a flag's value; nothing of something is an error, unless `nothing` may be said."""

    def callback(ctx: click.Context, param: click.Parameter, written: str | None) -> Any:
        if written is None:
            return None
        try:
            amount = read(written, "")
        except ConfigError as error:
            raise click.BadParameter(str(error).removeprefix(": "), ctx, param) from error
        if read is share and amount > 1:
            raise click.BadParameter("must be a share, from 0 to 1 or to 100%", ctx, param)
        if amount == 0 and not nothing:
            raise click.BadParameter("must be more than 0", ctx, param)
        return amount

    return callback


def _tokens(written: str, place: str) -> float:
    found = number(written, place)
    if not isinstance(found, int):
        raise ConfigError(f"{place}: must be a whole number, not {written}")
    return found
