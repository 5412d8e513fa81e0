"""`stretto completion`."""

import click
from click.shell_completion import get_completion_class

from stretto.cli import COMPLETE, NAME, cli
from stretto.cli.help import command
from stretto.cli.offers import prepare

_SHELLS = ("bash", "zsh", "fish")


@command(
    "stretto completion bash > ~/.local/share/bash-completion/completions/stretto",
    'stretto completion zsh > "${fpath[1]}/_stretto"',
    "stretto completion fish > ~/.config/fish/completions/stretto.fish",
    'eval "$(stretto completion bash)"',
)
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
def completion(shell: str) -> None:
    """Print the script with which SHELL (bash, zsh or fish) completes commands, options, run ids, presets and models.

    Put it where the shell looks for such, or evaluate it in the shell's start file.
    """
    prepare()
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    completer = found(cli, {}, NAME, COMPLETE)
    click.echo(completer.source_template % completer.source_vars())
