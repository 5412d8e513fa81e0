"""`stretto init`."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from textwrap import wrap
from typing import TypeVar

import click

from stretto.cli.help import command, option
from stretto.cli.limit_options import amount
from stretto.cli.meaning import layers
from stretto.cli.screen import say
from stretto.cli.trusting import words
from stretto.config import Choice, Configuration, Source, claims, default_model, presets, read_file, read_preset
from stretto.config.preset import Preset, example_of, ones_own, preset
from stretto.config.reading import names_a_file
from stretto.errors import ConfigError, StrettoError, TaskError
from stretto.ground.amounts import dollars
from stretto.workflow import Workflow

T = TypeVar("T")
_USUAL = Path("stretto.toml")


@command(
    "stretto init",
    "stretto init --preset review -m together:openai/gpt-oss-120b --budget 50c",
    "stretto init --preset translate german.toml",
)
@click.argument("file", type=click.Path(path_type=Path), default=_USUAL)
@option("--preset", "named", metavar="NAME", help="The preset to begin with; `stretto presets` lists them.")
@option("-m", "--model", metavar="MODEL", help="PROVIDER:MODEL for all roles.  [default: chosen at each run]")
@option(
    "--budget",
    callback=amount(dollars),
    metavar="MONEY",
    help="What a run may cost at most, in US dollars: 0.50, 50c.  [default: no limit]",
)
@option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(file: Path, named: str | None, model: str | None, budget: Decimal | None, force: bool) -> None:
    """Write a workflow of your own into FILE (stretto.toml), commented, to be edited.

    On a terminal it asks for what no option says: the preset, the model, a budget.
    """
    _check_place(file, named, force=force)
    asking = sys.stdin.isatty() and sys.stderr.isatty()
    chosen = preset(named or (_ask_preset() if asking else "general"))
    _, usual = layers(None, but=file)
    model = model or (_ask_model(chosen, usual) if asking else None)
    if budget is None and asking:
        budget = _asked_for(_budget, "Budget of a run in dollars (0.50, 50c; empty: none)")
    if model:
        _checked_model(chosen, usual, model)
    written = str(file) if names_a_file(str(file)) else f"./{file}"
    called = "" if file == _USUAL else f"-w {shlex.quote(written)}"
    _write(file, ones_own(chosen, called, model, budget), force=force)
    if claimed := claims(read_file(file)):  # whoever has it written has given their word for it
        words().give(file, claimed)
    _say_what_next(file, chosen, called, model, budget)


def _check_place(file: Path, named: str | None, *, force: bool) -> None:
    if named is None and str(file) in presets():
        raise TaskError(f"{file} is a preset, not a file to be written: stretto init --preset {file}")
    if file.is_dir():
        raise TaskError(f"{file}: a folder; name a file to write the workflow to")
    if file.exists() and not force:
        raise TaskError(f"{file}: exists already; name another file, or say --force to replace it")


def _ask_preset() -> str:
    columns = shutil.get_terminal_size().columns
    for found in map(preset, presets()):
        for line in wrap(found.about, columns - 1, initial_indent=f"  {found.name:<10} ", subsequent_indent=" " * 13):
            click.echo(line, err=True)
    return _asked_for(lambda written: preset(written).name, "Preset", "general") or "general"


def _asked_for(read: Callable[[str], T], question: str, offered: str = "") -> T | None:
    """What is made of the answer; asked again where that cannot be, and None where nothing is said."""
    while written := str(click.prompt(question, offered, show_default=bool(offered), err=True)).strip():
        try:
            return read(written)
        except ConfigError as error:
            say(str(error))
    return None


def _ask_model(chosen: Preset, usual: list[Source]) -> str | None:
    """What is found is offered; nothing at all leaves it open."""
    try:
        offered = os.environ.get("STRETTO_MODEL") or default_model(Configuration(usual)).model
    except ConfigError:  # nothing is found
        offered = ""
    hint = "" if offered else " (PROVIDER:MODEL; empty: chosen at each run)"
    return _asked_for(lambda model: _checked_model(chosen, usual, model), f"Model{hint}", offered)


def _budget(written: str) -> Decimal:
    if budget := dollars(written, "budget"):
        return budget
    raise ConfigError("budget: must be more than 0")


def _checked_model(chosen: Preset, usual: list[Source], model: str) -> str:
    """A model that could not be asked is an error now, not at the first run."""
    Configuration([read_preset(chosen.name), *usual]).workflow(Workflow, models={None: Choice(model, f"-m {model}")})
    return model


def _write(file: Path, text: str, *, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise TaskError(f"{file}: exists by now; name another file, or say --force to replace it") from error
    except OSError as error:
        raise StrettoError(f"{file}: cannot be written: {error.strerror or error}") from error


def _say_what_next(file: Path, chosen: Preset, called: str, model: str | None, budget: Decimal | None) -> None:
    say(f"{file}: written, from the preset {chosen.name}")
    say(f"model: {model}" if model else "model: none in it; -m, $STRETTO_MODEL or the first key found decides")
    if budget is not None:
        say(f"budget: ${budget:f} a run at most")
    say(f"next:\n  {example_of(chosen, called)}")
