"""The page of the command line: every command's own help, and the pages that show it at work."""

import tomllib
from pathlib import Path

import click

from docs_build.page import filled
from stretto.cli import cli

_WIDTH = 80
_SHOWN = Path(__file__).with_name("shown.toml")


def page() -> str:
    """`docs/reference/cli.md`; raises `ValueError` where `shown.toml` and the commands differ."""
    shown = tomllib.loads(_SHOWN.read_text(encoding="utf-8"))
    outer = click.Context(cli, info_name="stretto", terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    parts = [_help("stretto", cli, outer)]
    names = cli.list_commands(outer)
    if differing := set(shown) ^ set(names):
        raise ValueError(f"docs_build/shown.toml and the commands differ in {', '.join(sorted(differing))}")
    for name in names:
        command = cli.get_command(outer, name)
        assert command is not None  # noqa: S101 - it was listed
        context = click.Context(command, outer, name, terminal_width=_WIDTH)
        parts.append(_help(f"stretto {name}", command, context, f"Shown in: {shown[name]}.\n\n"))
    return filled("cli.md", commands="\n".join(parts))


def _help(name: str, command: click.Command, context: click.Context, shown: str = "") -> str:
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    return f"## `{name}`\n\n{shown}```text\n" + "\n".join(lines) + "\n```\n"
