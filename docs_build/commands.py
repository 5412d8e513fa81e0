"""The page of the command line: every command's own help."""

import click

from docs_build.page import filled
from stretto.cli import cli

_WIDTH = 88


def page() -> str:
    """`docs/reference/cli.md`."""
    outer = click.Context(cli, info_name="stretto", terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    parts = [_help("stretto", cli, outer)]
    for name in cli.list_commands(outer):
        command = cli.get_command(outer, name)
        assert command is not None  # noqa: S101 - it was listed
        parts.append(_help(f"stretto {name}", command, click.Context(command, outer, name, terminal_width=_WIDTH)))
    return filled("cli.md", commands="\n".join(parts))


def _help(name: str, command: click.Command, context: click.Context) -> str:
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    return f"## `{name}`\n\n```text\n" + "\n".join(lines) + "\n```\n"
