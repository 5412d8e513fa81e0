"""`stretto prune` and `stretto backup`."""

from pathlib import Path

import click
import msgspec

from stretto.cli.help import command, option
from stretto.cli.moments import moment
from stretto.cli.stored import store_option, store_path
from stretto.errors import TaskError
from stretto.ground.text import many
from stretto.store.carriers import any_carried
from stretto.store.copying import copy
from stretto.store.locations import Location
from stretto.store.pruning import Pruned, compact, condemned, prune, size_of, weigh


@command("stretto prune --older 30d --dry-run", "stretto prune --older 30d --keep 1000", "stretto prune --keep 0")
@option("--older", metavar="WHEN", callback=moment, help="Runs last begun or ended before: 30d, 8w ago, or a date.")
@option("--keep", type=click.IntRange(min=0), metavar="N", help="Never the newest N runs.")
@option("--dry-run", is_flag=True, help="Only list the runs that would be removed.")
@option(
    "--vacuum/--no-vacuum",
    default=None,
    help="Make the file smaller afterwards, or leave the room to new runs.  [default: if no run is being carried]",
)
@option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
@store_option
def prune_command(
    older: str | None, keep: int | None, dry_run: bool, vacuum: bool | None, as_json: bool, store: Location | None
) -> None:
    """Remove recorded runs that are older than --older and not among the newest --keep; one of the two is enough.

    A run that is being carried stays. Other processes may write meanwhile; only making the file smaller keeps them
    waiting, and takes room for a copy of it.
    """
    if older is None and keep is None:
        raise TaskError("say what to remove: --older 30d, --keep 1000, or both")
    path = store_path(store)
    old = condemned(path, before=older, keep=keep)
    if dry_run:
        _say_what_would_go(old, weigh(path, old), as_json=as_json)
        return
    before = size_of(path)
    done = prune(path, old, before=older)
    in_use = any_carried(path)
    vacuumed = not in_use if vacuum is None else vacuum
    if vacuumed:
        try:
            compact(path)
        finally:
            _say_what_went(done, before, size_of(path), as_json=as_json, vacuumed=vacuumed)
    else:
        why = "a run is being carried; --vacuum does it all the same" if vacuum is None else "--no-vacuum"
        _say_what_went(done, before, size_of(path), as_json=as_json, vacuumed=vacuumed, why=why)


def _say_what_would_go(runs: list[str], size: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"dry_run": True, "runs": runs, "bytes": size}))
        return
    for run in runs:
        click.echo(run)
    click.echo(f"{many(len(runs), 'run')} would be removed, about {megabytes(size)}", err=True)


def _say_what_went(done: Pruned, before: int, after: int, *, as_json: bool, vacuumed: bool, why: str = "") -> None:
    if as_json:
        facts = {"dry_run": False, "removed": done.removed, "kept": done.kept, "vacuumed": vacuumed}
        click.echo(msgspec.json.encode({**facts, "bytes_before": before, "bytes_after": after}))
        return
    kept = f"; {many(done.kept, 'run')} stayed, because they are being carried or went on" if done.kept else ""
    click.echo(f"removed {many(done.removed, 'run')}{kept}")
    if vacuumed:
        click.echo(
            f"{megabytes(max(before - after, 0))} given back: {megabytes(before)} before, {megabytes(after)} now"
        )
    else:
        click.echo(f"the file is not smaller ({why}); new runs use its free room")


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1e6:,.1f} MB"


@command("stretto backup runs-2026-01-31.db", "stretto backup --force /mnt/backup/runs.db")
@click.argument("file", type=click.Path(path_type=Path))
@option("--force", is_flag=True, help="Replace FILE if it exists.")
@store_option
def backup(file: Path, force: bool, store: Location | None) -> None:
    """Copy the store to FILE, as it is at one moment, while other processes write to it.

    The copy is checked, and only you can read it: it holds prompts and replies. It is a store: --store FILE reads it.
    """
    kept = store_path(store)
    if not isinstance(kept, Path):
        raise TaskError(f"{kept}: a database is copied by its own means (pg_dump); `stretto export` copies single runs")
    size = copy(kept, file, replace=force)
    click.echo(f"{file}: {megabytes(size)}, whole", err=True)
