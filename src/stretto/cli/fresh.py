"""`--fresh`, the same for every command that has it, and names in flags."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from stretto.cli.help import option

F = TypeVar("F", bound=Callable[..., Any])


def names(ctx: click.Context, param: click.Parameter, written: Sequence[str]) -> tuple[str, ...]:
    """Names with commas between, and repeated."""
    named = tuple(dict.fromkeys(name.strip() for each in written for name in each.split(",") if name.strip()))
    if written and not named:  # an empty variable of a shell, say: it does not mean everything
        raise click.BadParameter("no name at all; name some, like t3,t5", ctx, param)
    return named


def fresh_option(command: F) -> F:
    """--fresh."""
    return option(
        "--fresh",
        multiple=True,
        callback=names,
        metavar="NAMES",
        help="Ask these anew though they are recorded: ids of subtasks (t3,t5), orchestrator, synthesizer, or "
        "everything. The new replies are recorded, too.",
    )(command)
