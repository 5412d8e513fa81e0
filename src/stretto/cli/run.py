"""`stretto run` and `stretto demo`."""

import sys
from pathlib import Path
from typing import Any

import click

from stretto.cli.carry import Output, carry
from stretto.cli.help import Command, option
from stretto.cli.options import (
    build,
    chosen_models,
    configured,
    output_options,
    same_store,
    store_option,
    store_path,
    workflow_options,
)
from stretto.cli.progress import Progress
from stretto.config import Configuration, Source, read_preset
from stretto.errors import TaskError

LEAP_YEARS = "Write a program that prints the next 20 leap years."
_BRISK = Source("the demo", None, {"providers": {"sim": {"ttft": 0.2, "tokens_per_second": 300}}})
"""A pace at which one can see what happens, without waiting for it."""


@click.command(
    cls=Command,
    examples=(
        'stretto run "Compare Postgres and SQLite for a job queue"',
        "stretto run -m together:openai/gpt-oss-120b -f task.md -o answer.md",
        "git log -20 | stretto run -m workers=groq:openai/gpt-oss-20b -",
        'stretto run -w solve -m sim:fast "Write a program that prints the next 20 leap years."',
        'stretto run --json "Name three uses of a brick" | jq -r .kind',
    ),
)
@click.argument("task", required=False)
@option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Read the task from a file.",
)
@workflow_options
@output_options
def run(
    task: str | None,
    file: Path | None,
    named: str | None,
    models: tuple[str, ...],
    store: Path | None,
    output: Path | None,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Answer TASK: an orchestrator plans it, workers do the parts in parallel, a synthesizer writes the answer.

    Without TASK, or with -, it is read from standard input. The answer goes to stdout, streamed on a terminal and whole
    into a pipe; everything else goes to stderr.
    """
    text = read_task(task, file)
    progress = Progress(quiet=quiet)
    workflow = build(configured(named), chosen_models(models), flags, store_path(store), progress.model)
    return carry(workflow.stream(text), Output(output, as_json, same_store()), progress)


@click.command(cls=Command, examples=("stretto demo", "stretto demo -q -o answer.md"))
@click.argument("task", default=LEAP_YEARS)
@store_option
@output_options
def demo(task: str, store: Path | None, output: Path | None, quiet: bool, as_json: bool) -> int:
    """The main job on the built-in simulator: no key, no network, no configuration, no language model.

    It carries a full script for its own task, the next 20 leap years; for any other TASK its texts are made up.
    """
    progress = Progress(quiet=quiet)
    # Nobody's configuration: what is recommended when that is broken must not read it.
    solve = Configuration([_BRISK, read_preset("solve")])
    workflow = build(solve, chosen_models(["sim:default"]), {}, store_path(store), progress.model)
    return carry(workflow.stream(_checked(task, "TASK")), Output(output, as_json, same_store()), progress)


def read_task(task: str | None, file: Path | None) -> str:
    """The task's text; raises `TaskError` if it cannot be read or is no text."""
    if file is not None and task is not None:
        raise TaskError("a task and -f FILE exclude each other; give one")
    if file is not None and str(file) != "-":
        try:
            return _decoded(file.read_bytes(), str(file))
        except OSError as error:
            raise TaskError(f"{file}: cannot be read: {error.strerror or error}") from error
    if task is not None and task != "-":
        return _checked(task, "TASK")
    if task is None and file is None and sys.stdin.isatty():
        raise TaskError('no task; say it ("stretto run TASK"), name a file (-f FILE), or pipe it in')
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(data: bytes, place: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (byte {error.start}); a task is text") from error
    return _checked(text, place)


def _checked(text: str, place: str) -> str:
    try:
        text.encode()  # an argument that is not UTF-8 arrives with lone surrogates
    except UnicodeEncodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (character {error.start}); a task is text") from None
    if "\0" in text:
        raise TaskError(f"{place}: binary data; a task is text")
    if not text.strip():
        raise TaskError(f"{place}: the task is empty; say what is to be done")
    return text
