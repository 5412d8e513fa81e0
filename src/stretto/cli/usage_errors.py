"""What to say of a command line that cannot be understood."""

from collections.abc import Iterable

import click

from stretto.ground.regex import regex
from stretto.ground.text import nearest

_ELSEWHERE = {
    "help": "stretto --help",
    "version": "stretto --version",
    **dict.fromkeys(("list", "ls", "log", "logs", "history"), "stretto runs"),
    **dict.fromkeys(("ask", "chat", "prompt"), "stretto run TASK"),
    **dict.fromkeys(("check", "config", "status"), "stretto doctor"),
}
"""What other tools call it, and what it is here."""
_RANGE = regex(r"(\S+) is not in the range x>=(\d+)")
_WORDS = "Got unexpected extra argument"  # click's, for which it has no class


def unknown(command: str, known: Iterable[str]) -> str:
    """There is no such command: which may be meant."""
    if command in _ELSEWHERE:
        return f"no command {command!r}; did you mean `{_ELSEWHERE[command]}`?"
    if near := nearest(command, known := list(known), 0.6):
        return f"no command {command!r}; did you mean {near!r}?"
    return f"no command {command!r}; there are {', '.join(known)}; a task goes to `stretto run TASK`"


def refusal(error: click.ClickException) -> str:
    """The error in our form: what, where, remedy."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = _said(error, context)
    hint = f"\n(`{context.command_path} --help` says what it takes)" if context else ""
    return f"{message[:1].lower()}{message[1:].rstrip('.')}{hint}"


def _said(error: click.ClickException, context: click.Context | None) -> str:
    if isinstance(error, click.NoSuchOption):
        near = nearest(error.option_name, error.possibilities or (), 0.6)
        return f"no option {error.option_name!r}" + (f"; did you mean {near!r}?" if near else "")
    message = error.format_message()
    if message.startswith(_WORDS) and context and any(each.name == "task" for each in context.command.params):
        words = message.removeprefix(_WORDS).lstrip("s ")
        return f'the task is one argument, and there are more {words}; put it into quotes: "…"'
    message = _RANGE.sub(r"must be at least \2, not \1", message)
    return message.replace("is not a valid integer range", "is no whole number")
