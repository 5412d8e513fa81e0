"""`stretto runs`."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import click
import msgspec

from stretto.cli.help import command, option
from stretto.cli.moments import local, minutes, moment, zones
from stretto.cli.stored import store_option, store_path
from stretto.cli.words import columns_of, fitting, short
from stretto.store.listing import Wanted
from stretto.store.locations import Location
from stretto.store.sqlite import Store
from stretto.store.summary import Standing, Summary

_TASK = 60  # characters of a task where nothing says how wide a line may be
_LEAST = 14  # columns of a task on however narrow a terminal
_NARROW = 72
_DONE = 3  # the column of numbers


@command(
    "stretto runs",
    'stretto runs --task "job queue" --since 2d',
    "stretto runs --status failed --since 2026-01-31 -n 5 --json | jq -r .run",
)
@option("--task", metavar="TEXT", default="", help="Only runs whose task has this text, in any case.")
@option(
    "--status",
    type=click.Choice(get_args(Standing)),
    metavar="STATUS",
    help=f"Only runs in this status: {', '.join(get_args(Standing))}.",
)
@option("--since", metavar="WHEN", callback=moment, help="Only runs begun since: 30m, 2d, 1w ago, or a date.")
@option("-n", "--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="How many.")
@option("--json", "as_json", is_flag=True, help="One JSON object a line; times are in UTC.")
@store_option
def runs(
    task: str, status: Standing | None, since: str | None, limit: int, as_json: bool, store: Location | None
) -> None:
    """List recorded runs, the newest first: id, start in local time, status, subtasks done, task.

    On a terminal an id is as much of its end as tells it from all others; every command takes that for the run, or the
    beginning of its id.

    A run that began, did not end and is carried by no process was killed. One whose log is damaged is unreadable; that
    is looked for in lists of up to 100 runs, in longer ones with --status unreadable, and by `stretto doctor`.
    """
    kept = Store(store_path(store))
    listed = kept.listing(Wanted(task=task, status=status, since=since or "", limit=limit))
    if as_json:
        for run in listed:
            click.echo(_as_json(run))
    elif sys.stdout.isatty():
        for line in _as_table(listed, kept.short_ids([run.run for run in listed]), shutil.get_terminal_size().columns):
            click.echo(line)
    else:
        for run in listed:
            click.echo(_as_line(run))


def _as_json(run: Summary) -> bytes:
    told = ("run", "status", "started_at", "simulated", "task", "subtasks", "missing", "usage", "cost", "error_type")
    return msgspec.json.encode({name: getattr(run, name) for name in (*told, "error", "done", "last_at", "origin")})


def _as_line(run: Summary) -> str:
    """For a pipe: the whole id, and the zone in every line."""
    flag = " (simulated)" if run.simulated else ""
    began = local(run.started_at, minutes) if run.started_at else ""
    return f"{run.run}  {began:<20}  {run.status:<11} {_done(run):>7}  {short(run.task, _TASK)}{flag}"


def _as_table(listed: Sequence[Summary], ids: Mapping[str, str], columns: int) -> Iterator[str]:
    """For a terminal: a line a run, as wide as that, under a heading that names the zone if it is one for all."""
    named = zones([run.started_at for run in listed])
    began = [local(run.started_at, minutes, zone=len(named) > 1) if run.started_at else "" for run in listed]
    heading = ("run", f"started ({named[0]})" if len(named) == 1 else "started", "status", "done")
    rows: list[tuple[str, ...]] = [
        heading,
        *((ids[run.run], at, run.status, _done(run)) for run, at in zip(listed, began, strict=True)),
    ]
    if columns < _NARROW:  # then the task is worth more than the year, and than how many subtasks are done
        rows = [(id_, at.partition("-")[2] or at, status) for id_, at, status, *_ in rows]
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    room = max(_LEAST, columns - sum(widths) - 2 * len(widths))
    tasks = ["task", *(f"{'(simulated) ' if run.simulated else ''}{run.task}" for run in listed)]
    if listed:
        for cells, task in zip(rows, tasks, strict=True):
            told = [f"{cell:>{width}}" if at == _DONE else f"{cell:<{width}}"
                    for at, (cell, width) in enumerate(zip(cells, widths, strict=True))]  # fmt: skip
            yield f"{'  '.join(told)}  {fitting(task, room)}"


def _done(run: Summary) -> str:
    return f"{run.done}/{run.subtasks}"
