"""`stretto plan`, and reading the plan it writes."""

from pathlib import Path
from typing import Any

from stretto.cli.carry import Output, carry
from stretto.cli.help import command
from stretto.cli.live import progress as progress_for
from stretto.cli.local import prepare
from stretto.cli.meaning import build, chosen_models, configured
from stretto.cli.options import fresh_option, input_options, output_options, task_options, workflow_options
from stretto.cli.stored import same_store, store_path
from stretto.cli.task import not_a_file, read_named, read_task, reads_stdin
from stretto.errors import TaskError
from stretto.ground.files import read_bytes
from stretto.plan.given import PlanFile, read_plan
from stretto.store.locations import Location


@command(
    'stretto plan "Compare Postgres and SQLite for a job queue" -o plan.json',
    "stretto run --plan plan.json",
    "stretto resume --last",
)
@task_options
@input_options
@fresh_option
@workflow_options
@output_options
def plan(
    task: str | None,
    file: Path | None,
    inputs: tuple[str, ...],
    max_input: float | None,
    fresh: tuple[str, ...],
    named: str | None,
    models: tuple[str, ...],
    store: Location | None,
    output: Path | None,
    quiet: bool,
    plain: bool,
    as_json: str | None,
    **flags: Any,
) -> int:
    """Write the plan for TASK and stop: as JSON to edit and to run with `stretto run --plan FILE`.

    The plan is recorded as a run, which `stretto resume` carries out as it is.
    """
    not_a_file(task, inputs)
    progress = progress_for(quiet=quiet, as_json=bool(as_json), plain=plain)
    texts = read_named(inputs, max_input, progress.input, stdin=not reads_stdin(task, file))
    text = read_task(task, file)
    workflow = build(configured(named), chosen_models(models), flags, store_path(store), progress.model)
    prepare(workflow, progress.model)
    return carry(workflow.plan(text, fresh=fresh, inputs=texts), Output(output, as_json, same_store()), progress)


def plan_file(path: Path) -> PlanFile:
    """The plan in a file; raises `TaskError` if it is none."""
    try:
        return read_plan(read_bytes(path), str(path))
    except OSError as error:
        why = f"{path}: cannot be read: {error.strerror or error}"
        raise TaskError(f"{why}; `stretto plan TASK -o {path}` writes one") from error
