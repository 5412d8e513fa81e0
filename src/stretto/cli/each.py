"""The same task for each item of a list, from the command line."""

from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from stretto.cli.help import option, together
from stretto.errors import TaskError
from stretto.inputs.lists import FORMS, ListForm

_SECTION = "The same for each item of a list"


class List(Struct, frozen=True):
    """What the flags say of a list: where it is, how it is written, who does it, and what is made of the results."""

    source: str
    form: ListForm | None
    worker: str | None
    then: str
    as_completed: bool


each_options = together(
    option(
        "--each",
        "source",
        type=click.Path(dir_okay=False, allow_dash=True),
        metavar="LIST",
        section=_SECTION,
        help="Do TASK for each item of LIST: lines of text ({item}), rows of CSV or TSV, JSON (their fields: {name}, "
        "{user.name}), or - for standard input. Rows come out: JSON lines, or a table with -o FILE.csv.",
    ),
    option(
        "--each-format",
        "form",
        type=click.Choice(FORMS),
        metavar="FORM",
        section=_SECTION,
        help=f"How LIST is written: {', '.join(FORMS)}.  [default: as its name ends, else text]",
    ),
    option("--worker", metavar="NAME", section=_SECTION, help="Which worker does it, if there are several."),
    option(
        "--then",
        metavar="TASK",
        section=_SECTION,
        help="Write one answer to this from all results; rows go to -o FILE then.  [default: none, rows alone]",
    ),
    option("--as-completed", is_flag=True, section=_SECTION, help="Rows as they are done, not in the order of LIST."),
)


def list_of_flags(flags: dict[str, Any]) -> List | None:
    """What the flags say of a list, taken out of them; None without --each. Raises `TaskError` if they cannot be."""
    said = {name: flags.pop(name) for name in ("source", "form", "worker", "then", "as_completed")}
    if said["source"] is None:
        if others := [name for name, value in said.items() if value]:
            flag = {"form": "each-format"}.get(others[0], others[0].replace("_", "-"))
            raise TaskError(f"--{flag} says something of a list; name one with --each LIST")
        return None
    if said["then"] is not None and not said["then"].strip():
        raise TaskError("--then: it is empty; say what is to be made of all results, or leave it out")
    return List(**{**said, "then": said["then"] or ""})


def check(wanted: List | None, *, plan: Path | None, output: Path | None, cite: bool, stdin: bool) -> None:
    """Raise `TaskError` for what does not go with a list; `stdin`: whether standard input is free for it."""
    if wanted is None:
        return
    if plan is not None:
        raise TaskError("--each and --plan exclude each other: a list is a plan")
    if cite and not wanted.then:
        raise TaskError("--cite is for one answer, and --each gives rows; say what to make of them with --then")
    if output is not None and output.exists() and Path(wanted.source).exists() and output.samefile(wanted.source):
        raise TaskError(f"-o {output}: that is the list itself, which would be lost; name another file")
    if wanted.source == "-" and not stdin:
        raise TaskError("--each -: standard input is read already; say the task as TASK, or with -f FILE")
