"""`stretto presets`."""

import click

from stretto.cli.help import command
from stretto.cli.screen import say, tell
from stretto.config import presets
from stretto.config.preset import preset


@command("stretto presets", "stretto presets review > review.toml && stretto run -w ./review.toml -f change.diff")
@click.argument("name", required=False)
def presets_command(name: str | None) -> None:
    """List the workflows that come with Stretto, or print the one called NAME: a file to be read, or to be edited.

    Each is used with `-w NAME`; `stretto init --preset NAME` makes it your own.
    """
    if name is not None:
        click.echo(preset(name).text, nl=False)
        return
    names = presets()
    width = max(map(len, names))
    for found in map(preset, names):
        tell(f"{found.name:<{width}}  {found.about}")
        tell(f"{'':<{width}}  {found.roles}")
    say("used with -w NAME; `stretto presets NAME` prints one, `stretto init --preset NAME` makes it your own")
