"""`stretto backup`."""

from pathlib import Path

import click

from stretto.cli.help import command, option
from stretto.cli.prune import megabytes
from stretto.cli.stored import store_option, store_path
from stretto.errors import TaskError
from stretto.store.copying import copy
from stretto.store.locations import Location


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
