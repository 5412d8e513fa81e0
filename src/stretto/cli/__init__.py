"""The command line: `stretto COMMAND`. A command's module is loaded when it is called."""

import importlib
import sys

import click

from stretto import __version__, errors

# name: (module, attribute, one line of help) - so that `--help` loads none of them
_COMMANDS = {
    "run": ("run", "run", "Answer a task: plan it, work in parallel, write one answer."),
    "demo": ("run", "demo", "The main job on the built-in simulator; no key needed."),
    "runs": ("log", "runs", "List recorded runs."),
    "show": ("log", "show", "Show a run: plan, calls, prompts, replies, answer."),
    "resume": ("resume", "resume", "Go on with a run that was stopped; nothing complete is asked again."),
    "sim": ("sim", "sim", "Serve the simulator as an OpenAI-compatible endpoint."),
}

ANSWERED, FAILED, USAGE, CONFIG, PARTIAL, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 130, 141


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"stretto.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="stretto %(version)s")
def cli() -> None:
    r"""Answer one task with many language-model calls that overlap.

    \b
    Exit codes: 0 answered; 1 failed; 2 usage; 3 configuration or key;
    4 answered, but something is missing; 130 interrupted.
    """


def main() -> None:
    """The entry point: every error of ours is one message and an exit code, never a traceback."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    except errors.StrettoError as error:
        click.echo(f"stretto: {error}", err=True)
        code = exit_code(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = BROKEN_PIPE
    sys.stderr.flush()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    if code == BROKEN_PIPE:
        sys.stdout = None  # nobody reads it, and Python would complain at exit
    sys.exit(code if isinstance(code, int) else ANSWERED)


def exit_code(error: errors.StrettoError) -> int:
    """What an error means to a shell."""
    if isinstance(error, errors.TaskError):
        return USAGE
    if isinstance(error, errors.ConfigError | errors.AuthError) or isinstance(error.__cause__, errors.AuthError):
        return CONFIG
    return FAILED
