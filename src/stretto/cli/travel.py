"""`stretto export` and `stretto import`."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from stretto import events as e
from stretto.cli.help import command, option
from stretto.cli.screen import say
from stretto.cli.stored import find_run, run_options, store_option, store_path, write_whole
from stretto.cli.words import short
from stretto.errors import TaskError
from stretto.ground.files import failing_as
from stretto.models.providers import KNOWN
from stretto.store.locations import Location
from stretto.store.parcel import Parcel, read_parcel
from stretto.store.sqlite import Store
from stretto.store.travel import exported, imported

_STANDARD = "-"


@command("stretto export --last -o run.jsonl", "stretto export 01K9ZQ4T | gzip > run.jsonl.gz", name="export")
@run_options
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Write to a file, not to stdout.",
)
@store_option
def export_run(run: str | None, last: bool, output: Path | None, store: Location | None) -> None:
    """Write RUN into one file: its events, and what every call asked and was answered.

    RUN is a run's id, or the beginning or end of it; without one it is the newest. The file holds all prompts and
    replies, but no key. `stretto import` takes it into another store; a test replays it without (stretto.testing).
    """
    path = store_path(store)
    lines = exported(path, find_run(Store(path), run, last=last))
    if output is None or str(output) == _STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(lines)
    else:
        write_whole(output, lines, "-o")
        say(f"written to {output}")


@command(
    "stretto import run.jsonl",
    "stretto import --store bug.db run.jsonl && stretto show --last --store bug.db",
    "gunzip -c run.jsonl.gz | stretto import -",
    name="import",
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
)
@store_option
def import_runs(files: tuple[Path, ...], store: Location | None) -> None:
    """Take the run in each FILE into the store, whole or not at all; - is standard input.

    A run that is there already stays as it is. stdout gets the run's id.
    """
    path = store_path(store)
    for file in files:
        parcel = _read(file)
        new = imported(path, parcel)
        click.echo(parcel.run)
        say(f"{file}: {_told(parcel)}{'' if new else '; it was here already'}")
        for warning in _elsewhere(parcel):
            say(f"{file}: {warning}")


def _read(file: Path) -> Parcel:
    if str(file) == _STANDARD:
        return read_parcel(sys.stdin.buffer, "standard input")
    with failing_as(TaskError, f"{file}: cannot be read"), file.open("rb") as opened:
        return read_parcel(opened, str(file))


def _told(parcel: Parcel) -> str:
    (started, *_, last) = (parcel.entries[0].event, parcel.entries[-1].event)
    task = short(started.task, 60) if isinstance(started, e.RunStarted) else ""
    return f"run {parcel.run}, {len(parcel.entries)} events up to {last.kind}: {task}"


def _elsewhere(parcel: Parcel) -> Iterable[str]:
    """Where a key would go if a run that somebody else recorded were gone on with."""
    seen: set[tuple[str, str]] = set()
    for entry in parcel.entries:
        if not isinstance(entry.event, e.RunStarted | e.RunResumed):
            continue
        for name, table in entry.event.workflow["providers"].items():
            url, key = str(table.get("base_url", "")), table.get("key_env")
            usual = KNOWN[name].base_url if name in KNOWN else None
            if table.get("kind") == "endpoint" and url != usual and (name, url) not in seen:
                seen.add((name, url))
                with_key = f" with the key in {short(str(key))}" if key else ""
                yield f"to resume or rerun it asks provider {short(name)} at {short(url)}{with_key}; is it yours?"
