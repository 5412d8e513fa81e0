"""Carrying a run from the command line: events to the screen, Ctrl-C, the answer, the exit code."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import click
from msgspec import Struct

from stretto import events as e
from stretto.cli import ANSWERED, BROKEN_PIPE, INTERRUPTED, PARTIAL
from stretto.cli.progress import Progress
from stretto.errors import StoreError
from stretto.workflow import RunStream

_SIGTERM = 143


class Output(Struct, frozen=True):
    """Where the answer goes: a file, stdout as it is written (a terminal), or stdout once it is whole."""

    file: Path | None = None
    as_json: bool = False
    quiet: bool = False


def carry(stream: RunStream, output: Output) -> int:
    """Carry a run to its end and return the exit code; raises what made an answer impossible."""
    return asyncio.run(_Carrier(stream, output).carry())


class _Carrier:
    def __init__(self, stream: RunStream, output: Output) -> None:
        self._stream = stream
        self._output = output
        self._progress = Progress(quiet=output.quiet)
        self._live = sys.stdout.isatty() and not output.as_json and output.file is None
        self._stopped_by: int | None = None
        self._task: asyncio.Task[int] | None = None

    async def carry(self) -> int:
        self._task = asyncio.create_task(self._carry())
        self._obey_signals()
        try:
            return await self._task
        except asyncio.CancelledError:
            if self._stopped_by is None:
                raise
            self._say_how_to_go_on()
            return _SIGTERM if self._stopped_by == signal.SIGTERM else INTERRUPTED
        except BrokenPipeError:
            return BROKEN_PIPE
        except StoreError:
            raise
        except Exception:
            self._say_how_to_go_on()
            raise

    async def _carry(self) -> int:
        async with self._stream as events:
            async for event in events:
                self._progress.show(event)
                self._write(event)
        run = self._stream.run
        self._progress.summary(run)
        return ANSWERED if run.coverage.complete else PARTIAL

    def _write(self, event: e.AnyEvent) -> None:
        """What belongs on stdout, or into the file."""
        if self._output.as_json:
            sys.stdout.write(e.encode(event).decode() + "\n")
            sys.stdout.flush()
        match event:
            case e.AnswerDelta() if self._live:
                sys.stdout.write("\n\n" if event.restart else event.text)
                sys.stdout.flush()
            case e.RunFinished():
                self._answer(event.answer)

    def _answer(self, answer: str) -> None:
        end = "" if answer.endswith("\n") else "\n"
        if self._output.file is not None:
            self._output.file.write_text(answer + end, encoding="utf-8")
            self._progress.say(f"answer    written to {self._output.file}")
        elif self._live:
            sys.stdout.write(end)
        elif not self._output.as_json:
            sys.stdout.write(answer + end)
        sys.stdout.flush()

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Where the loop takes no signal handlers (Windows), Ctrl-C raises KeyboardInterrupt as everywhere.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: int) -> None:
        if self._stopped_by is not None:
            os._exit(INTERRUPTED)  # twice means now; what was shown is on the disk
        self._stopped_by = number
        if self._task is not None:
            self._task.cancel()
        self._progress.say("stopping; calls in flight are cancelled (Ctrl-C again stops at once)")

    def _say_how_to_go_on(self) -> None:
        if self._stream.recorded:
            click.echo(f"stretto: go on with: stretto resume {self._stream.run_id}", err=True)
