"""`stretto plan`, and reading the plan it writes."""

from pathlib import Path
from typing import Any

from stretto.cli.carry import carry, shown_by
from stretto.cli.help import command
from stretto.cli.meaning import wanted
from stretto.cli.options import fresh_option, input_options, output_options, task_options, workflow_options
from stretto.cli.task import not_a_file, read_named, read_task, reads_stdin
from stretto.errors import TaskError
from stretto.ground.files import failing_as, read_bytes
from stretto.plan.given import PlanFile, read_plan


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
    **flags: Any,
) -> int:
    """Write the plan for TASK and stop: as JSON to edit and to run with `stretto run --plan FILE`.

    The plan is recorded as a run, which `stretto resume` carries out as it is.
    """
    not_a_file(task, inputs)
    output, progress = shown_by(flags)
    texts = read_named(inputs, max_input, progress.input, stdin=not reads_stdin(task, file))
    text = read_task(task, file)
    workflow = wanted(flags, progress.model)
    return carry(workflow.plan(text, fresh=fresh, inputs=texts), output, progress, workflow)


def plan_file(path: Path) -> PlanFile:
    """The plan in a file; raises `TaskError` if it is none."""
    with failing_as(TaskError, f"{path}: cannot be read", f"; `stretto plan TASK -o {path}` writes one"):
        return read_plan(read_bytes(path), str(path))
