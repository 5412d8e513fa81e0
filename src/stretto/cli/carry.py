"""Carrying a run from the command line: events to the screen, Ctrl-C, the answer, the exit code."""

import asyncio
import contextlib
import os
import shlex
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec import Struct

from stretto import events as e
from stretto.calls import KEPT
from stretto.cli import ANSWERED, BROKEN_PIPE, INTERRUPTED, PARTIAL, report
from stretto.cli.live import progress as progress_for
from stretto.cli.local import prepare
from stretto.cli.progress import Progress
from stretto.cli.proposal_table import how_good, would_take
from stretto.cli.rows import RowFile
from stretto.cli.screen import drawing_on, say
from stretto.cli.stored import same_store
from stretto.cli.totals import cited, uncited
from stretto.errors import BudgetError, DeadlineError, PlanError, StoreError, StrettoError
from stretto.ground.files import failing_as
from stretto.ground.signals import obey
from stretto.plan.given import write_plan
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.workflow import Workflow

_KEPT = "what is complete is kept"


class Output(Struct, frozen=True):
    """Where the answer goes: a file, stdout as it is written (a terminal), or stdout once it is whole.

    `flags` is what `stretto resume` needs beside the run's id to find it. `cite`: with footnotes, so only once it is
    whole. `as_json`: `events`, each as it happens, or `final`, the run once it is over, in the answer's place. Of a map
    the rows go into the file, or onto stdout if there is no answer; `as_completed`: not in the order of its list.
    """

    file: Path | None = None
    as_json: str | None = None
    flags: str = ""
    cite: bool = False
    as_completed: bool = False


def shown_by(flags: dict[str, Any], *, as_completed: bool = False) -> tuple[Output, Progress]:
    """Where the answer goes, and what shows the run meanwhile, as -o, -q, --plain, --json and --cite say."""
    file, as_json = flags["output"], flags["as_json"]
    output = Output(file, as_json, same_store(), cite=flags.get("cite", False), as_completed=as_completed)
    return output, progress_for(quiet=flags["quiet"], as_json=bool(as_json), plain=flags["plain"])


def carry(stream: RunStream, output: Output, progress: Progress, workflow: Workflow | None = None) -> int:
    """Carry a run (of a `workflow` whose models are asked) to its end; the exit code. Every error is reported then."""
    if workflow is not None:
        prepare(workflow, progress.model)
    return asyncio.run(_Carrier(stream, output, progress).carry())


def _remedy(error: StrettoError) -> str:
    """What to say beside `resume`, so that the same does not happen again."""
    match error:
        case PlanError():  # the same orchestrator has said already what it says
            return " -m orchestrator=MODEL"
        case BudgetError():
            flags = {"budget": " --budget MONEY", "tokens": " --tokens N"}
            return "".join(flags[name] for name in error.binding) + ", with more than before" if error.binding else ""
        case DeadlineError():
            return " --deadline TIME, with more than before"
    return ""


class _Carrier:
    def __init__(self, stream: RunStream, output: Output, progress: Progress) -> None:
        self._stream = stream
        self._output = output
        self._progress = progress
        progress.listen(stream.heard)
        whole = output.as_json is not None or output.cite or output.file is not None
        self._live = sys.stdout.isatty() and not whole
        self._began = False
        self._open_line = False
        self._stopped = False
        self._rows: RowFile | None = None

    async def carry(self) -> int:
        """Carry the run, and close what was written to."""
        try:
            code = await self._carry()
        finally:
            if self._rows is not None:
                self._rows.close()
        if self._output.as_json == "final" and (self._began or code not in {INTERRUPTED, BROKEN_PIPE}):
            self._put(self._stream.run.to_json() + "\n")
        return code

    async def _carry(self) -> int:
        obey(self._stop, asyncio.current_task())
        try:
            with self._progress.shown():
                async with self._stream as events:
                    async for event in events:
                        self._take(event)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            await self._rest()
            self._end_line()
            self._say_how_to_go_on("stopped")
            return INTERRUPTED
        except BrokenPipeError:
            self._say_how_to_go_on("nobody reads the output any more")
            return BROKEN_PIPE
        except StrettoError as error:
            self._end_line()
            code = report(error)
            self._say_how_to_go_on(_KEPT, _remedy(error))
            return code
        run = self._stream.run
        if run.status == "interrupted" and run.code == "stopped":
            self._say_how_to_go_on(run.error or "")
            return INTERRUPTED
        if run.status == "interrupted":  # by itself: only its plan was asked for
            await self._plan(run)
            return ANSWERED
        self._progress.summary(run)
        if self._output.cite and (why := uncited(run)):
            say(why)
        if approved := self._stream.approved:
            self._progress.tell("forecast", how_good(approved, run, asyncio.get_running_loop().time() - approved.at))
        return ANSWERED if run.coverage.complete else PARTIAL

    def _take(self, event: e.AnyEvent) -> None:
        if not self._began:
            self._open_rows(self._stream.run)
        self._began = True  # what is shown is on the disk
        if isinstance(event, e.RunResumed):
            self._progress.resumed(self._stream.run)
        self._progress.show(event)
        self._write(event)

    async def _rest(self) -> None:
        """What the run still said when it was stopped, up to its last event."""
        with contextlib.suppress(asyncio.CancelledError):
            async for event in self._stream:
                self._write(event)

    def _write(self, event: e.AnyEvent) -> None:
        """What belongs on stdout, or into the file."""
        if self._output.as_json == "events":
            self._put(e.encode(event).decode() + "\n")
        if self._rows is not None:
            with self._kept(f"{self._output.file}: cannot be written"):
                self._rows.take(event)
        match event:
            case e.AnswerDelta() if self._live:
                if event.restart:
                    self._end_line()
                self._put(self._progress.rendered(event.text), drawn=True)
            case e.RunFinished():
                self._answer(cited(self._stream.run) if self._output.cite else event.answer)

    def _open_rows(self, run: Run) -> None:
        """If this is a map, its rows are written."""
        if (each := run.basis.each) is None:
            return
        output = self._output
        if output.file is None and (each.then or output.as_json):
            return
        with self._kept(f"{output.file}: cannot be written"):
            self._rows = RowFile(run, output.file, self._put_rows, as_completed=output.as_completed)

    def _put_rows(self, lines: str) -> None:
        """Rows on stdout; on a terminal, above what is drawn there."""
        self._put(self._progress.above(lines) if self._live else lines, drawn=self._live)

    async def _plan(self, run: Run) -> None:
        self._deliver(write_plan(run.task, run.plan).decode(), "plan")
        file = self._output.file
        try:
            if proposal := await self._stream.forecast():
                for line in would_take(proposal):
                    self._progress.tell("forecast", line)
        except StoreError as error:  # the plan is there all the same
            self._progress.tell("forecast", f"none: {error}")
        edit = f"; or edit it, then: `stretto run --plan {shlex.quote(str(file))}`" if file else ""
        self._progress.tell("planned", f"carry it out with: `stretto resume {self._run}`{edit}")

    def _answer(self, answer: str) -> None:
        each = self._stream.run.basis.each
        if each is not None and self._output.file is not None:
            self._progress.tell("rows", f"written to {self._output.file}")
        if each is not None and not each.then:
            self._end_line()
            return
        if self._live:  # it was shown while it was written
            self._end_line()
        else:
            self._deliver(answer if answer.endswith("\n") else answer + "\n", "answer")

    def _deliver(self, text: str, what: str) -> None:
        if (file := self._output.file) is not None and self._rows is None:
            with self._kept(f"{file}: cannot be written"):
                file.write_text(text, encoding="utf-8")
            self._progress.tell(what, f"written to {file}")
        elif not self._output.as_json:
            self._put(text)

    def _put(self, text: str, *, drawn: bool = False) -> None:
        with self._kept("cannot write the output"):
            (drawing_on(sys.stdout) if drawn else sys.stdout.write)(text)
            sys.stdout.flush()
        if text:
            self._open_line = self._live and not text.endswith("\n")

    def _kept(self, what: str) -> AbstractContextManager[None]:
        """An `OSError` meanwhile is told with where the run is kept."""
        kept = f"; the run is kept: stretto show {self._run}" if self._stream.recorded else ""
        return failing_as(StrettoError, what, kept)

    def _end_line(self) -> None:
        """On a terminal, what comes next begins on a line of its own."""
        if self._live:
            self._put(self._progress.rest(), drawn=True)
        if self._open_line:
            self._put("\n")

    @property
    def _run(self) -> str:
        file = f" -o {shlex.quote(str(self._output.file))}" if self._rows is not None and self._output.file else ""
        return self._stream.run_id + self._output.flags + file

    def _stop(self, task: asyncio.Task[int]) -> None:
        if self._stopped:
            self._progress.close()
            self._say_how_to_go_on("stopped at once")
            os._exit(INTERRUPTED)  # twice means now; what was shown is on the disk
        self._stopped = True
        task.cancel()
        self._progress.tell("stopping", "calls in flight are cancelled (Ctrl-C again stops at once)")

    def _say_how_to_go_on(self, why: str, with_flags: str = "") -> None:
        if not self._began or not self._stream.recorded or self._stream.run.status == "finished":
            return
        if _is_begun(self._stream.run):
            flags, comma, words = with_flags.partition(",")
            say(f"{why}; go on with: `stretto resume {self._run}{flags}`{comma}{words}")
        elif not why.startswith(_KEPT):
            say(f"{why}, before anything was complete: the same command begins anew")


def _is_begun(run: Run) -> bool:
    """Whether there is anything that would not be asked again."""
    planned = run.plan.subtasks and run.basis.plan is None
    return bool(planned) or any(call.finished and call.finished.finish in KEPT for call in run.calls)
