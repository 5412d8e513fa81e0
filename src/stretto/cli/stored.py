"""What commands have in common that show what is kept: the store, the run that is meant, and as plain text.

Commands that only read import this and neither a workflow nor what carries one: that takes longer than most of them.
"""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from platformdirs import user_state_path

from stretto.cli.help import option, together
from stretto.errors import RunNotFound, StrettoError, TaskError
from stretto.ground.files import failing_as, write_private
from stretto.store.locations import Location, location_of
from stretto.store.sqlite import Store


class _Location(click.Path):
    """A file, or the address of a database."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The location that was written."""
        found = location_of(os.fspath(value)) if isinstance(value, str | os.PathLike) else value
        return super().convert(found, param, ctx) if isinstance(found, Path) else found


store_option = option(
    "--store",
    type=_Location(),
    envvar="STRETTO_STORE",
    metavar="FILE",
    help="Where runs are kept: a file, or postgresql://….  [default: $STRETTO_STORE, else the user's state folder]",
)

plain_option = option(
    "--plain",
    is_flag=True,
    section="Output",
    help="On a terminal, lines and the answer as plain text that breaks between words, not the live picture.  "
    "[default: $STRETTO_PROGRESS]",
)

run_options = together(
    click.argument("run", required=False),
    option("--last", is_flag=True, help="The newest run; so it is if none is named."),
)


def store_path(store: Location | None) -> Location:
    """The store that was named, or the user's."""
    return store or user_state_path("stretto") / "runs.db"


def write_whole(output: Path, data: Iterable[bytes], option: str) -> None:
    """What holds a run into the file that an option names: all of it or nothing.

    A pipe or device is written to as it is: a file in its place would be the end of `/dev/null`.
    """
    with failing_as(StrettoError, f"{output}: cannot be written", f"; name another file with {option}"):
        if not output.exists() or output.is_file():
            write_private(output, data)
            return
        with output.open("wb") as opened:
            opened.writelines(data)


def same_store() -> str:
    """What a further command needs to look into the store of this one."""
    context = click.get_current_context()
    if context.get_parameter_source("store") is not ParameterSource.COMMANDLINE:
        return ""
    return f" --store {shlex.quote(str(context.params['store']))}"


def find_run(store: Store, run: str | None, *, last: bool) -> str:
    """The id that a command's arguments mean: the newest run's, if they name none."""
    if last and run is not None:
        raise TaskError(f"--last is the newest run, and {run!r} another; leave one of them out")
    if run is not None:
        return store.find(run)
    newest = store.recent(1)
    if not newest:
        raise RunNotFound(f"{store.location}: no runs in this store yet")
    return newest[0].id
