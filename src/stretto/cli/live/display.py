"""Progress as a picture that is drawn again ten times a second, with the answer below it as rendered Markdown."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

from stretto import events as e
from stretto.cli.live.drawing import drawn, status_line, summary_lines
from stretto.cli.live.lines import painted
from stretto.cli.live.page import Page
from stretto.cli.live.region import Region
from stretto.cli.progress import Progress
from stretto.cli.totals import totals
from stretto.cli.words import hung, short
from stretto.ground.text import seemly
from stretto.runs import Run
from stretto.views.timeline.timeline import Timeline

_EVERY = 0.1  # seconds between two drawings
_LINES, _SUBTASKS, _LETTERS = 30, 500, 3000  # what can be drawn so often: of more, less often
_WIDEST_PAGE = 100  # columns of running text that can still be read


class Live(Progress):
    """Draws what a run is doing at the foot of the terminal that stderr is; all lines of `Progress` stand above."""

    def __init__(self) -> None:
        super().__init__(quiet=False)
        self._region = Region(sys.stderr)
        self._timeline = Timeline()
        self._page: Page | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._start = 0.0
        self._settled_at = 0.0
        self._drawn_at = 0.0
        self._letters = 0
        self._loaded = False
        self._lines = 0
        self._above = ""

    # -- what is shown

    def show(self, event: e.AnyEvent) -> None:
        """One event: into the picture, and a line above it for what no row of the picture says."""
        now = self._now()
        self._timeline.take(event, now)
        match event:
            case e.RunStarted() | e.PlanWithdrawn() | e.RunDegraded() | e.SubtaskReopened():
                super().show(event)
            case e.RunResumed():
                self._since = event.at
            case e.SubtaskPlanned():
                self._remark(event)
            case e.PlanFinished():
                for remark in self._remarks_on(event):
                    self._now_and_then("plan", short(remark, 300), freely=10)
            case e.CallStarted() if self._unplanned and event.role == "synthesizer" and not event.subtask:
                super().show(event)
            case e.AnswerDelta() if event.restart and self._page is not None:
                self._page.restart()
                self._letters = 0
                super().show(event)

    def listen(self, heard: Callable[[str], int]) -> None:
        """As `Progress.listen`."""
        super().listen(heard)
        self._timeline.heard = heard

    def resumed(self, run: Run) -> None:
        """A run goes on: what it has already."""
        super().resumed(run)
        self._timeline.go_on(run)

    def rendered(self, text: str) -> str:
        """The answer goes on; what of it will not change any more, as rendered Markdown."""
        if not text:
            return ""
        if self._page is None:
            self._timeline.answer = None  # it follows
            if self._loop is not None:
                self._draw(last=True)
                self._region.keep()
            self._region.write("\n")
            self._page = Page()
        self._page.take(seemly(text))
        self._letters += len(text)
        now = self._now()
        if now - self._settled_at < self._patience():
            return ""
        self._settled_at = now
        settled = self._page.settled(self._width_of_page())
        if settled:
            self._make_room()
        return settled

    def above(self, lines: str) -> str:
        """Lines of output, which stand above the picture; those that come close together are written together."""
        self._above += seemly(lines)
        now = self._now()
        return self._settled_lines() if now - self._settled_at >= self._patience() else ""

    def _settled_lines(self) -> str:
        lines, self._above, self._settled_at = self._above, "", self._now()
        self._make_room()
        return lines

    def rest(self) -> str:
        """What is left of the answer, which goes no further."""
        if self._above:
            return self._settled_lines()
        if self._page is None or not self._page.size:
            return ""
        self._region.clear()
        return self._page.end(self._width_of_page())

    # -- when it is shown

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """As long as this is open the picture is drawn; afterwards it stays as it is, below what was said."""
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._wake()
        with contextlib.suppress(NotImplementedError, AttributeError):
            self._loop.add_signal_handler(signal.SIGTSTP, self._pause)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError, AttributeError):
                self._loop.remove_signal_handler(signal.SIGTSTP)
            self.close()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """As long as this is open, the terminal belongs to somebody else."""
        self._sleep()
        self._region.clear()
        self._region.release()
        try:
            yield
        finally:
            self._wake()

    def close(self) -> None:
        """Draw for the last time, and leave the terminal as it was."""
        if self._loop is None:
            return
        self._sleep()
        self._timeline.end(self._now())
        if self._page is None and list(self._timeline.rows()):
            self._draw(last=True)
            self._region.keep()
        else:  # nothing was begun, or the answer stands in its place
            self._region.clear()
        self._region.release()
        self._loop = None

    def _wake(self) -> None:
        assert self._loop is not None  # noqa: S101 - it is shown
        self._timer = self._loop.call_later(_EVERY, self._tick)

    def _sleep(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._wake()
        self._draw()
        if not self._loaded:
            self._loaded = True
            Page().open(80, 1)  # loads what it needs while the first request is under way, not when the answer is there

    def _make_room(self) -> None:
        """What is written now stands above the region, which comes back as soon as that is done."""
        self._region.clear()
        self._drawn_at = float("-inf")
        if self._loop is not None:
            self._loop.call_soon(self._draw)

    def _pause(self) -> None:
        """Ctrl-Z: the shell gets its terminal back until it says that we go on."""
        with self.suspended():
            os.kill(os.getpid(), signal.SIGSTOP)

    # -- how it is shown

    def _draw(self, *, last: bool = False) -> None:
        columns, height = self._region.size()
        width, now = columns - 1, self._now()
        if not last and (self._timer is None or now - self._drawn_at < self._patience()):
            return
        self._drawn_at = now
        if self._page is None:
            lines = drawn(self._timeline, now, width, height - 1, moving=not last)
            self._lines = len(lines)
            self._region.draw([painted(line) for line in lines])
        else:
            status = painted(status_line(now, self._letters, width))
            block = self._page.open(self._width_of_page(), max(0, height - 3))
            self._region.draw([*block, "", status] if height > 3 else [status])

    def _patience(self) -> float:
        """Seconds between two drawings: the more there is to draw, the longer each takes."""
        if self._page is not None:
            return _EVERY * max(0.9, self._page.size / _LETTERS)
        return _EVERY * max(0.9, self._lines / _LINES, len(self._timeline.subtasks) / _SUBTASKS)

    def _width_of_page(self) -> int:
        return min(_WIDEST_PAGE, self._region.size()[0] - 1)

    def _now(self) -> float:
        """Seconds since the display began."""
        return self._loop.time() - self._start if self._loop else 0.0

    def tell(self, word: str, text: str) -> None:
        """One line, above what is drawn."""
        self._make_room()
        said = hung(text, self._region.size()[0] - 1)
        self._region.write(f"\x1b[2m{self._age():6.1f}s\x1b[0m  \x1b[1m{word:<9}\x1b[0m{said}\n")

    def summary(self, run: Run) -> None:
        """The last lines: what is missing, and what it took."""
        if self._page is not None:
            self._region.write("\n")
        super().summary(run)

    def _total(self, run: Run) -> None:
        width = self._region.size()[0] - 1
        for line in summary_lines(totals(run, self._since), run, width):
            self._region.write(painted(line) + "\n")
