"""`stretto allow`."""

from pathlib import Path

import click

from stretto.cli.help import command, option
from stretto.cli.meaning import HERE
from stretto.cli.screen import say
from stretto.cli.trusting import told, words
from stretto.config import claims, read_file


@command("stretto allow", "stretto allow clones/tea/stretto.toml", "stretto allow --forget")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=HERE)
@option("--forget", is_flag=True, help="Take your word for FILE back.")
def allow(file: Path, forget: bool) -> None:
    """Give your word for FILE (./stretto.toml): what it names of addresses, keys and files may be used from now on.

    A stretto.toml in the current folder may have come with somebody else's repository. What it says of providers'
    addresses, of variables that hold keys, of headers, of prices, and of files outside of its folder counts only once
    you have allowed it, and is asked about again when that changes. What -w names needs no such word.
    """
    if forget:
        say(f"{file}: {'is not allowed any more' if words().withdraw(file) else 'was not allowed'}")
        return
    claimed = claims(read_file(file))
    if not claimed:
        say(f"{file}: says nothing that needs your word; it counts as it is")
        return
    words().give(file, claimed)
    for line in [f"{file}: allowed, for you, as long as it says just this:", *told(claimed)]:
        say(line)
