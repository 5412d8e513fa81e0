"""`stretto run` and `stretto demo`."""

import sys
from pathlib import Path
from typing import Any

import click

from stretto.cli.carry import Output, carry
from stretto.cli.options import (
    build_workflow,
    check_writable,
    output_options,
    store_option,
    store_path,
    workflow_options,
)
from stretto.errors import TaskError

LEAP_YEARS = "Write a program that prints the next 20 leap years."


@click.command()
@click.argument("task", required=False)
@click.option(
    "-f",
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
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
    r"""Answer TASK: an orchestrator plans it, workers do the parts in parallel, a synthesizer writes the answer.

    Without TASK, or with -, it is read from standard input. The answer goes to stdout, everything else to stderr.

    \b
    stretto run "Compare Postgres and SQLite for a job queue"
    stretto run -m together:meta-llama/Llama-3.3-70B-Instruct-Turbo -f task.md -o answer.md
    stretto run -w solve -m sim:default "Write a program that prints the next 20 leap years."
    """
    text = _read_task(task, file)
    check_writable(output)
    workflow = build_workflow(named, models, flags, store_path(store))
    return carry(workflow.stream(text), Output(output, as_json, quiet))


@click.command()
@click.argument("task", default=LEAP_YEARS)
@store_option
@output_options
def demo(task: str, store: Path | None, output: Path | None, quiet: bool, as_json: bool) -> int:
    """The main job on the built-in simulator: no key, no network, no language model.

    It carries a full script for its own task, the next 20 leap years; for any other TASK its texts are made up.
    """
    check_writable(output)
    workflow = build_workflow("solve", ("sim:default",), {}, store_path(store))
    return carry(workflow.stream(task), Output(output, as_json, quiet))


def _read_task(task: str | None, file: Path | None) -> str:
    """The task's text; raises `TaskError` if it cannot be read or is no text."""
    if file is not None:
        if task is not None:
            raise TaskError("a task and -f FILE exclude each other; give one")
        try:
            data = file.read_bytes()
        except OSError as error:
            raise TaskError(f"{file}: cannot be read: {error.strerror or error}") from error
        return _decoded(data, str(file))
    if task is not None and task != "-":
        return _checked(task, "TASK")
    if task is None and sys.stdin.isatty():
        raise TaskError('no task; say it ("stretto run TASK"), name a file (-f FILE), or pipe it in')
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(data: bytes, place: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(f"{place}: not UTF-8 text (byte {error.start}); a task is text") from error
    return _checked(text, place)


def _checked(text: str, place: str) -> str:
    if "\0" in text:
        raise TaskError(f"{place}: binary data; a task is text")
    if not text.strip():
        raise TaskError(f"{place}: the task is empty; say what is to be done")
    return text
