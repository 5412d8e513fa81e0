"""`stretto submit` and `stretto cancel`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stretto.cli import ANSWERED, FAILED, PARTIAL
from stretto.cli.help import command, option
from stretto.cli.live import progress as progress_for
from stretto.cli.local import prepare
from stretto.cli.meaning import name_of, wanted
from stretto.cli.options import input_options, priority_option, quiet_option, task_options, workflow_options
from stretto.cli.run import example
from stretto.cli.screen import say
from stretto.cli.stored import find_run, store_option, store_path
from stretto.cli.task import not_a_file, read_named, read_task, reads_stdin
from stretto.errors import TaskError
from stretto.ground.files import failing_as
from stretto.inputs import MOST
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.store.locations import Location, Server
from stretto.store.sqlite import Store
from stretto.types import Input
from stretto.workflow import Workflow

_LINES = frozenset({".jsonl", ".ndjson"})


@command(
    'stretto submit "Compare Postgres and SQLite for a job queue"',
    "stretto submit --priority 10 --wait -f task.txt",
    "stretto submit -w solve -f tasks.jsonl",
)
@task_options
@priority_option
@option("--wait", is_flag=True, section="Workers", help="Wait until all are over; of one task, print the answer.")
@quiet_option
@input_options
@workflow_options
def submit(
    task: str | None,
    file: Path | None,
    priority: int | None,
    wait: bool,
    quiet: bool,
    inputs: tuple[str, ...],
    max_input: float | None,
    **flags: Any,
) -> int:
    """Hand TASK to a worker on whichever machine (`stretto worker`), and print the id of its run.

    The store must be one that workers reach: --store postgresql://…. With -f FILE.jsonl each line is a task
    ({"id": …, "task": …, "inputs": […]}) or a request, as `stretto batch` takes them, and so a run; a line that was
    handed over before is not again. `stretto batch --submit` writes down what comes out, too.
    """
    from stretto.cluster.queue import server_of

    server, progress = server_of(store_path(flags["store"])), progress_for(quiet=quiet, plain=True)
    workflow = wanted(flags, progress.model)
    prepare(workflow, progress.model)
    lines = file is not None and file.suffix in _LINES and task is None
    texts = read_named(inputs, max_input, progress.input, stdin=not lines and not reads_stdin(task, file))
    if lines and file is not None:
        streams = _of_lines(workflow, file, texts, int(max_input or MOST), flags["named"])
    else:
        not_a_file(task, inputs)
        streams = [workflow.stream(read_task(task, file, example(flags["named"])), inputs=texts)]
    return asyncio.run(_submit(server, streams, priority, wait=wait, quiet=quiet))


def _of_lines(
    workflow: Workflow[Any], file: Path, inputs: Sequence[Input], most: int, named: str | None
) -> list[RunStream[Any]]:
    """A run for each line of a file, whose id is made of the file, the line's id and its content."""
    from stretto.batch.jobs import Jobs, batch_name
    from stretto.batch.lines import raw_lines, read_line

    jobs = Jobs(workflow, name_of(named), batch_name(file), inputs, most)
    streams = []
    with failing_as(TaskError, f"{file}: cannot be read", "; name a file of JSON lines"), file.open("rb") as data:
        for number, line in raw_lines(data, str(file)):
            job = jobs.of(read_line(number, line, str(file)), f"{file}: line {number}")
            streams.append(jobs.stream(job, jobs.inputs(job)))
    if not streams:
        raise TaskError(f'{file}: no line in it; write {{"id": …, "task": …}}')
    return streams


async def _submit(
    server: Server, streams: list[RunStream[Any]], priority: int | None, *, wait: bool, quiet: bool
) -> int:
    from stretto.cluster import Cluster

    async with Cluster(server) as cluster:
        for stream in streams:
            run = await cluster.submit(stream, priority)
            if not (wait and len(streams) == 1):
                click.echo(run)
        if not wait:
            return ANSWERED
        if not quiet:
            if hint := await cluster.lacking():
                say(hint)
            what = streams[0].run_id if len(streams) == 1 else f"{len(streams):,} runs"
            say(f"waiting for {what}; Ctrl-C leaves them")
        runs = [await cluster.finished(stream.run_id) for stream in streams]
    if len(runs) == 1 and runs[0].status == "finished":
        click.echo(runs[0].answer)
    for each in runs:
        if each.status != "finished":
            say(f"{each.id} {each.status}: {each.error or 'stretto resume goes on'}")
    if all(each.status == "finished" and not each.coverage.missing for each in runs):
        return ANSWERED
    return PARTIAL if any(each.status == "finished" for each in runs) else FAILED


@command("stretto cancel 01KXYZ", "stretto cancel --last")
@click.argument("run", required=False)
@option("--last", is_flag=True, help="The newest run.")
@store_option
def cancel(run: str | None, last: bool, store: Location | None) -> None:
    """Stop RUN on whichever machine it is, or before one begins it; `stretto resume` goes on with it.

    Its calls in flight are cancelled, what is complete is kept. RUN is a run's id, or the beginning or end of it.
    """
    from stretto.cluster.queue import server_of

    server = server_of(store_path(store))
    run_id = find_run(Store(server, tell=say), run, last=last)
    say(f"{run_id} is {asyncio.run(_cancel(server, run_id)).status}")


async def _cancel(server: Server, run: str) -> Run:
    from stretto.cluster import Cluster

    async with Cluster(server) as cluster:
        return await cluster.cancel(run)
