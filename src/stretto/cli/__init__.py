"""The command line: `stretto COMMAND`. A command's module is loaded when it is called."""

import codecs
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.shell_completion import CompletionItem

from stretto import __version__, errors
from stretto.cli.help import write_examples
from stretto.cli.screen import guard, say

# name: (module, attribute, one line of help) - so that `--help` loads none of them
_COMMANDS = {
    "run": ("run", "run", "Answer a task: plan it, work in parallel, write one answer."),
    "show": ("log", "show", "Show a run: plan, calls, prompts, replies, answer."),
    "resume": ("rerun", "resume", "Go on with a run that was stopped; nothing complete is asked again."),
    "rerun": ("rerun", "rerun", "Run a task again, asking only what has changed."),
    "init": ("init", "init", "Write a workflow of your own into a file, from a preset."),
    "doctor": ("doctor", "doctor", "See what is installed, configured and reachable, and whether the store is whole."),
    "demo": ("run", "demo", "The main job on the built-in simulator; no key needed."),
    "runs": ("runs", "runs", "List recorded runs."),
    "batch": ("batch", "batch", "Do many tasks out of a file, each as a run; a second start goes on."),
    "plan": ("plan", "plan", "Write the plan for a task, to look at or to edit, and stop."),
    "rehearse": ("rehearse", "rehearse", "See what a workflow would take, on the simulator, before it is paid."),
    "models": ("models", "models", "List the models that providers have, and what they cost."),
    "presets": ("presets", "presets_command", "List the workflows that come with Stretto, or print one."),
    "allow": ("allow", "allow", "Trust the stretto.toml of a folder with addresses, keys and files."),
    "diff": ("diff", "diff", "Compare two runs: plan, results, answer, cost."),
    "replay": ("replay", "replay", "Carry a run out once more from its records: no key, no network."),
    "export": ("travel", "export_run", "Write a run into one file, for a bug report or a test."),
    "import": ("travel", "import_runs", "Take runs from such files into the store."),
    "prune": ("prune", "prune_command", "Remove old runs."),
    "backup": ("prune", "backup", "Copy the store, whole, while it is written."),
    "ui": ("ui", "ui", "Open a page on which runs are watched, started and steered."),
    "serve": ("serve", "serve", "Serve workflows as models, behind an OpenAI-compatible endpoint."),
    "submit": ("submit", "submit", "Hand tasks to workers on other machines."),
    "worker": ("worker", "worker", "Carry runs that were handed over, next to other workers."),
    "cancel": ("submit", "cancel", "Stop a run on whichever machine it is."),
    "sim": ("sim", "sim", "Serve the simulator as an OpenAI-compatible endpoint."),
    "completion": ("completion", "completion", "Print the script that completes commands in bash, zsh or fish."),
}
_FIRST = 6
"""So many of them are what a newcomer needs."""
_EXAMPLES = (
    "stretto demo",
    'stretto run "Compare Postgres and SQLite for a job queue"',
    "git log -20 | stretto run -m workers=groq:openai/gpt-oss-20b -",
    "stretto resume --last",
)
_EXIT_CODES = [
    ("0", "answered"),
    ("1", "failed"),
    ("2", "usage: an argument or a task that cannot be used"),
    ("3", "configuration or key"),
    ("4", "answered, but something is missing"),
    ("5", "the budget or the deadline left no answer"),
    ("130", "interrupted; `stretto resume` goes on"),
]

NOT_THERE = [
    ("tools", "workers call none yet, and no MCP: what they need comes as input (-i) or from Python functions"),
    ("Windows", "untested"),
]
"""What people look for and do not find."""

NAME, COMPLETE = "stretto", "_STRETTO_COMPLETE"
"""What the program is called, and the variable with which a shell asks for completions."""

ANSWERED, FAILED, USAGE, CONFIG, PARTIAL, SHORT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 5, 130, 141


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, attribute, _ = _COMMANDS[cmd_name]
            command: click.Command = getattr(importlib.import_module(f"stretto.cli.{module}"), attribute)
            if not ctx.resilient_parsing:
                return command
            from stretto.cli.offers import attach  # a shell asks what could be written

            return attach(command)
        if cmd_name.startswith("-") or ctx.resilient_parsing:
            return None  # click says which option it does not know; a TAB is told nothing
        from stretto.cli.usage_errors import unknown

        raise click.UsageError(unknown(cmd_name, _COMMANDS), ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and options; click would load every command for it."""
        named = [(name, line) for name, (_, _, line) in _COMMANDS.items() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=line) for name, line in named), *options]

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Here it is that --help is printed."""
        with _nobody_reads():
            return super().make_context(*args, **kwargs)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Until the command is loaded a Ctrl-C ends everything; in the midst of an import it may be lost."""
        found = super().resolve_command(ctx, args)
        if ctx.obj is not None:
            ctx.obj()
        return found

    def invoke(self, ctx: click.Context) -> Any:
        with _nobody_reads():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rows = [(name.ljust(max(map(len, _COMMANDS))), line) for name, (_, _, line) in _COMMANDS.items()]
        for heading, some in (("Commands", rows[:_FIRST]), ("More", rows[_FIRST:])):
            with formatter.section(heading):
                formatter.write_dl(some)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        write_examples(formatter, _EXAMPLES)
        with formatter.section("Exit codes"):
            formatter.write_dl(_EXIT_CODES)
        with formatter.section("Not there"):
            formatter.write_dl(NOT_THERE)


@contextlib.contextmanager
def _nobody_reads() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # click would make it a failure
        raise click.exceptions.Exit(BROKEN_PIPE) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="stretto %(version)s")
@click.option(
    "--log",
    type=click.Path(dir_okay=False),
    envvar="STRETTO_LOG",
    metavar="FILE",
    help="Add a line for every event of a run to FILE, for whoever watches it.  [default: $STRETTO_LOG, else none]",
)
def cli(log: str | None) -> None:
    """Answer one task with many language-model calls that overlap.

    An orchestrator plans the task, workers do its parts in parallel, a synthesizer writes one answer. What a command
    takes: stretto COMMAND --help.
    """
    if log:
        from pathlib import Path

        from stretto.cli.logfile import log_into

        log_into(Path(log))


def main(begin: Callable[[], object] | None = None) -> None:
    """Carry out a command: every error of ours is one message and an exit code, never a traceback.

    `begin` is called once the command line is understood, before anything is done.
    """
    _open_streams()
    try:
        code = _run(begin)
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        say(f"{error.filename or 'cannot write the output'}: {error.strerror or error}")
        code = FAILED
    _drop_unwritable()
    sys.exit(code)


def _run(begin: Callable[[], object] | None) -> int:
    try:
        if COMPLETE in os.environ:
            from stretto.cli.offers import prepare

            prepare()
        code = cli.main(prog_name=NAME, complete_var=COMPLETE, standalone_mode=False, obj=begin)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = USAGE
    except click.ClickException as error:
        from stretto.cli.usage_errors import refusal

        say(refusal(error))
        code = error.exit_code
    except errors.StrettoError as error:
        code = report(error)
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    return code if isinstance(code, int) else ANSWERED


def report(error: errors.StrettoError) -> int:
    """Say what went wrong; the exit code that means it to a shell."""
    say(str(error))
    if isinstance(error, errors.TaskError):
        return USAGE
    if isinstance(error, errors.ConfigError | errors.AuthError) or isinstance(error.__cause__, errors.AuthError):
        return CONFIG
    return SHORT if isinstance(error, errors.BudgetError | errors.DeadlineError) else FAILED


def _open_streams() -> None:
    """Give every standard stream that was closed an empty one, so that no file of ours takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - open until the end
    for stream, unknown in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        # An answer must not fail at a terminal that is not UTF-8; ASCII is what Python is told where nothing is set.
        plain = codecs.lookup(stream.encoding or "ascii").name == "ascii"
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8" if plain else stream.encoding, errors=unknown)
    guard()


def _drop_unwritable() -> None:
    """What cannot be written any more is dropped, or Python would complain about it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
