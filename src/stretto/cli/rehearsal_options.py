"""What `stretto rehearse` takes beside the options of `run`."""

import re
from typing import Any, get_args

import click

from stretto.cli.help import Decorator, every, option, together
from stretto.cli.limit_options import amount
from stretto.config import number, seconds
from stretto.config.values import among, limits_of
from stretto.errors import ConfigError
from stretto.ground.regex import regex
from stretto.models.simulator import Fault, parse_fault
from stretto.models.simulator.settings import Tells
from stretto.rehearsal import Rehearsal, Variation, vary
from stretto.types import Limits

_AT = regex(r"([\w-]+):\s+(.+)", re.DOTALL)


def _fault_at(written: str) -> tuple[str | None, Fault]:
    """A fault with the provider it goes wrong at, None for all."""
    at = _AT.fullmatch(written)
    return (at[1], parse_fault(at[2])) if at else (None, parse_fault(written))


_WHOLE: dict[str, Any] = {"type": click.IntRange(min=1), "metavar": "N"}
_RATE: dict[str, Any] = {"callback": amount(number), "metavar": "N"}


def _rehearsal(*names: str, text: str, **kind: Any) -> Decorator:
    return option(*names, section="Rehearsal", help=text, **kind)


rehearsal_options = together(
    _rehearsal(
        "--runs",
        **_WHOLE,
        text="Runs of every row, exactly: the same figures each time.  [default: as many as 6 seconds allow, up to "
        "200; a row that made no difference in the first 20 has those alone]",
    ),
    _rehearsal(
        "--subtasks",
        **_WHOLE,
        text="Subtasks of every plan.  [default: with --like as many as there, else 3 to 6]",
    ),
    _rehearsal(
        "--vary",
        "varied",
        multiple=True,
        metavar="LIMIT=VALUE",
        text="A limit to change in a row of its own, for example parallel=16. Repeatable.  "
        "[default: half and double parallel, budget and deadline; hedge]",
    ),
    _rehearsal(
        "--like",
        metavar="RUN",
        text="Take speeds and lengths from recorded runs: the id of one, last, or all (the newest 100).  "
        "[default: the simulator's own]",
    ),
    _rehearsal(
        "--fault",
        "--faults",
        "faults",
        callback=every(_fault_at),
        multiple=True,
        metavar="[PROVIDER: ]FAULT",
        text='What goes wrong: "429 rate=0.1", "together: 500 always role=worker"; see `stretto sim`. Repeatable.  '
        "[default: nothing]",
    ),
    _rehearsal(
        "--provider-rpm",
        **_RATE,
        text="Requests a minute that every provider permits; --rpm is what the workflow keeps to.  "
        "[default: rpm of [providers.NAME], else no limit]",
    ),
    _rehearsal(
        "--provider-tpm",
        **_RATE,
        text="Tokens a minute that every provider permits.  [default: tpm of [providers.NAME], else no limit]",
    ),
    _rehearsal(
        "--provider-tells",
        type=click.Choice(get_args(Tells)),
        metavar="WHAT",
        text="What every provider says of its limits: headers (all), retry_after (with a 429, when to ask again), "
        "nothing.  [default: headers]",
    ),
    _rehearsal(
        "--provider-batch",
        callback=amount(seconds),
        metavar="TIME",
        text="How long a batch takes at every provider (--batch): 20m, 3h.  [default: 24h, what they promise]",
    ),
    _rehearsal(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        text="Another seed, other chances; the same seed, the same figures.",
    ),
)
"""How often is rehearsed, what is varied, and what is assumed of the providers."""


def variations_of(rehearsal: Rehearsal, varied: tuple[str, ...]) -> list[Variation]:
    """What --vary says, each checked as the flag of its limit would be."""
    found = []
    for written in varied:
        name, equals, value = written.partition("=")
        key = name.strip().replace("-", "_")
        known = Limits.__struct_fields__
        if key not in known:
            raise click.UsageError(f"--vary {written}: {name!r} is no limit{among(key, known)}")
        if not equals:
            raise click.UsageError(f"--vary {written}: write LIMIT=VALUE, for example parallel=16")
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
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d*\.\d+", text) else text
