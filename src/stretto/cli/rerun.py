"""`stretto resume` and `stretto rerun`."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from stretto.cli.carry import carry, shown_by
from stretto.cli.confirm import approval, confirm_options
from stretto.cli.help import command, option
from stretto.cli.meaning import going_on
from stretto.cli.options import answer_options, fresh_option, input_options, names, plan_option, recorded_options
from stretto.cli.plan import plan_file
from stretto.cli.screen import tell
from stretto.cli.stored import run_options
from stretto.cli.task import read_named
from stretto.cli.words import dollars, short
from stretto.forecast import Forecast

_BELOW = 40  # columns in front of what goes on in a second line, at most


@command(
    "stretto resume --last",
    "stretto resume 01K9ZQ4T",
    "stretto resume --last -m workers=groq:openai/gpt-oss-20b --parallel 4",
)
@run_options
@recorded_options
@confirm_options
@answer_options
def resume(run: str | None, last: bool, **flags: Any) -> int:
    """Go on with RUN where it stopped: what is complete is taken from its records, only the rest is asked.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. Workflow, models and limits are
    those the run was started with, whatever has become of ./stretto.toml since: -w names another workflow, -m other
    models, and flags other limits. What they change is asked again.
    """
    output, progress = shown_by(flags)
    run_id, workflow = going_on(run, last=last, flags=flags, say=progress.model)
    approve = approval(workflow.definition, progress, flags)
    return carry(workflow.resume(run_id, approve=approve), output, progress, workflow)


@command(
    "stretto rerun --last -w ./stretto.toml --explain",
    "stretto rerun 01K9ZQ4T -m synthesizer=openai:gpt-5",
    "stretto rerun --last -w ./stretto.toml --only t3,t5",
    "stretto rerun --last --fresh t2",
    "stretto rerun --last --plan plan.json -o answer.md",
)
@run_options
@input_options
@plan_option
@option(
    "--only",
    multiple=True,
    callback=names,
    metavar="IDS",
    help="Compute these subtasks of the plan only (t3,t5); the results of all others stay as they were.",
)
@fresh_option
@option("--explain", is_flag=True, help="Say which calls are reused, which are asked and why, and send nothing.")
@recorded_options
@confirm_options
@answer_options
def rerun(
    run: str | None,
    last: bool,
    inputs: tuple[str, ...],
    max_input: float | None,
    plan: Path | None,
    only: tuple[str, ...],
    fresh: tuple[str, ...],
    explain: bool,
    **flags: Any,
) -> int:
    """Run the task of RUN again, as a new run that asks only what has changed.

    Every reply that RUN recorded for the same request is reused, and costs nothing.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. Workflow, models and limits are
    those the run was started with, whatever has become of ./stretto.toml since: -w ./stretto.toml takes the edited one,
    -m other models, flags other limits. -i gives other inputs; without it they are those of RUN, as they were then.
    """
    output, progress = shown_by(flags)
    run_id, workflow = going_on(run, last=last, flags=flags, say=progress.model)
    given = plan_file(plan) if plan else None
    texts = read_named(inputs, max_input, progress.input) if inputs else None
    if explain:
        if output.as_json == "final":
            raise click.UsageError("--json=final is of a run, and --explain makes none; its lines are --json")
        lines = asyncio.run(workflow.explain(run_id, plan=given, only=only, fresh=fresh, inputs=texts))
        _print(run_id, lines, as_json=bool(output.as_json))
        return 0
    approve = approval(workflow.definition, progress, flags)
    stream = workflow.rerun(run_id, plan=given, only=only, fresh=fresh, inputs=texts, approve=approve)
    return carry(stream, output, progress, workflow)


def _print(run: str, lines: Sequence[Forecast], *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            click.echo(msgspec.json.encode(line))
        return
    click.echo(f"A rerun of {run}, call by call:\n")
    names = max(len(line.name) for line in lines)
    types = max(len(line.type) for line in lines)
    for line in lines:
        # A call that may be made, and whose like have told how long they are.
        told = line.fate in {"new", "unknown"} and line.usage.input_tokens + line.usage.output_tokens > 0
        tokens = f"about {line.usage.input_tokens:,} + {line.usage.output_tokens:,} tokens" if told else ""
        money = dollars(line.cost) if line.fate == "new" and line.cost else ""
        fate = f"  {line.name:<{names}}  {line.type:<{types}}  {line.fate:<7}  "
        why = ", ".join(part for part in (line.why, tokens, money) if part)
        tell(f"{fate}{short(why, 300)}".rstrip(), " " * min(len(fate), _BELOW))
    tell(f"\n{_total(lines)}")
    for assumed in dict.fromkeys(line.assumed for line in lines if line.assumed and line.cost):
        tell(f"price assumed: {assumed}")


def _total(lines: Sequence[Forecast]) -> str:
    """How many calls are made, and what they will take."""
    asked, unknown = ([line for line in lines if line.fate == fate] for fate in ("new", "unknown"))
    reused = sum(line.fate == "reused" for line in lines)
    tokens = sum(line.usage.input_tokens + line.usage.output_tokens for line in asked)
    costs = [line.cost for line in asked if line.cost is not None]
    told = f"{reused} call{'s are' if reused != 1 else ' is'} reused, {len(asked)} asked"
    if asked:
        told += f": about {tokens:,} tokens" if tokens else ": how many tokens is not known"
        cost = sum(costs, Decimal(0))
        told += f", {dollars(cost)}" if cost and len(costs) == len(asked) else ""
        told += "" if len(costs) == len(asked) else ", at a cost that is not known"
    if unknown:
        told += f"; up to {len(unknown)} more, if the new plan is like the old one"
    return told
