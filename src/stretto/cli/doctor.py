"""`stretto doctor`."""

from pathlib import Path

import click

from stretto.cli.help import Command, option
from stretto.cli.meaning import store_path
from stretto.cli.options import store_option
from stretto.cli.prune import counted, megabytes
from stretto.store.checkup import facts, findings


@click.command(
    name="doctor", cls=Command, examples=("stretto doctor", "stretto doctor --quick", "stretto doctor --store copy.db")
)
@option("--quick", is_flag=True, help="Only the file's structure and the logs, not what calls asked and were answered.")
@store_option
def command(quick: bool, store: Path | None) -> int:
    """Check that everything in the store is there and is what was written.

    Says for each damaged run what is lost. The exit code is 0 if nothing is, else 1. Nothing is changed.
    """
    told = facts(store_path(store))
    click.echo(f"{told.path}: format {told.form}, {megabytes(told.size)}, {megabytes(told.free)} of it free")
    count, damaged = 0, set[str]()
    for finding in findings(told.path, quick=quick):
        count += 1
        if finding.run:
            damaged.add(finding.run)
        click.echo(f"{f'run {finding.run}' if finding.run else 'file'}: {finding.lost}")
    if not count:
        click.echo(f"{counted(told.runs)}, nothing amiss{' as far as a quick look tells' if quick else ''}")
        return 0
    click.echo(
        f"{counted(told.runs)}, {len(damaged):,} of them damaged; move a damaged file away and go on with a backup, or "
        "keep it for the runs that are whole"
    )
    return 1
