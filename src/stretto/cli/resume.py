"""`stretto resume`."""

from pathlib import Path
from typing import Any

import click

from stretto.cli.carry import Output, carry
from stretto.cli.options import (
    build_workflow,
    check_writable,
    layers,
    limit_flags,
    output_options,
    store_path,
    workflow_options,
)
from stretto.config import Configuration, from_record
from stretto.errors import RunNotFound, TaskError
from stretto.store.sqlite import Store


@click.command()
@click.argument("run", required=False)
@click.option("--last", is_flag=True, help="The newest run.")
@workflow_options
@output_options
def resume(
    run: str | None,
    last: bool,
    named: str | None,
    models: tuple[str, ...],
    store: Path | None,
    output: Path | None,
    quiet: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Go on with RUN where it stopped: what is complete is taken from its records, only the rest is asked.

    RUN is a run's id or the beginning or end of it. The workflow is the one the run was started with, unless -w or -m
    names another.
    """
    check_writable(output)
    path = store_path(store)
    run_id = find_run(Store(path), run, last=last)
    if named or models:
        workflow = build_workflow(named, models, flags, path)
    else:
        before = Store(path).run(run_id)
        workflow = from_record(before.workflow, Configuration(layers(None)), limit_flags(flags), path)
    return carry(workflow.resume(run_id), Output(output, as_json, quiet))


def find_run(store: Store, run: str | None, *, last: bool) -> str:
    """The id that a command's arguments mean."""
    if last == (run is not None):
        raise TaskError("name a run, or say --last for the newest; `stretto runs` lists them")
    if run is not None:
        return store.find(run)
    newest = store.recent(1)
    if not newest:
        raise RunNotFound(f"{store.path}: no runs in this store yet")
    return newest[0].id
