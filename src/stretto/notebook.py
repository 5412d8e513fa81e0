"""A run in a notebook, shown while it is under way: `run = await stretto.notebook.show(flow.stream(task))`.

How it looks afterwards is the run's own (`Run._repr_html_`). Importing this module does nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from stretto.errors import ConfigError, cause_of
from stretto.events import AnswerDelta, AnyEvent, now
from stretto.run.stream import RunStream
from stretto.runs import Parsed, Run
from stretto.views.page import run_page
from stretto.views.summary import summary

EVERY = 0.5
"""Seconds between two pictures, or more: drawing takes a tenth of the time at most."""

Draw = Callable[[str, str], object]
"""Takes a picture, as HTML and as the one line that stands for it where there can be none."""


async def show(stream: RunStream[Parsed]) -> Run[Parsed]:
    """Carry a run (of `stream`, `plan`, `resume`, `rerun`, `replay`), show it in the cell, and give it finished.

    One output of the cell is drawn anew twice a second: plan, timeline, costs, and the answer as it is written; in
    IPython on a terminal only the last line of it is. Interrupting the cell stops the run, as leaving the stream does.
    Raises what made an answer impossible, and `ConfigError` outside of IPython.
    """
    draw, live = _cell()
    return await watched(stream, draw, every=EVERY if live else None)


async def watched(stream: RunStream[Parsed], draw: Draw, *, every: float | None = EVERY) -> Run[Parsed]:
    """Carry a run and draw it every so many seconds (None: never) and at its end, whatever that is."""
    picture = _Picture(stream, draw)
    try:
        async with stream, asyncio.TaskGroup() as group:
            drawing = None if every is None else group.create_task(picture.keep(every))
            async for event in stream:
                picture.take(event)
            if drawing is not None:
                drawing.cancel()
    except BaseExceptionGroup as errors:
        cause = cause_of(errors)
        raise cause from cause.__cause__
    finally:  # the stream is left: the log says how the run ended
        picture.draw()
    return stream.run


class _Picture:
    """What there is to see of a run so far; nothing before its first event."""

    def __init__(self, stream: RunStream, draw: Draw) -> None:
        self._stream = stream
        self._draw = draw
        self._begun = False
        self._answer: list[str] = []

    def take(self, event: AnyEvent) -> None:
        """Take in the next event, and the answer so far."""
        self._begun = True
        if isinstance(event, AnswerDelta):
            if event.restart:
                self._answer.clear()
            self._answer.append(event.text)

    def draw(self) -> None:
        """The run as it is."""
        if self._begun:
            run = self._stream.run
            self._draw(run_page(run, writing="".join(self._answer), now=now()), summary(run))

    async def keep(self, every: float) -> None:
        """Draw it again and again."""
        time = asyncio.get_running_loop().time
        while True:
            began = time()
            self.draw()
            await asyncio.sleep(max(every, 9 * (time() - began)))


def _cell() -> tuple[Draw, bool]:
    """What draws into an output of the running cell, and whether it can do so more than once."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import DisplayHandle
        from IPython.terminal.interactiveshell import TerminalInteractiveShell
    except ImportError as error:
        raise ConfigError(f"{_ELSEWHERE} IPython is not installed (pip install ipython).") from error
    shell = get_ipython()
    if shell is None:
        raise ConfigError(f"{_ELSEWHERE} IPython does not run here.")
    return _into(DisplayHandle()), not isinstance(shell, TerminalInteractiveShell)


def _into(handle: Any) -> Draw:
    """One output of a cell, drawn again and again."""
    put = handle.display

    def draw(html: str, line: str) -> None:
        nonlocal put
        put({"text/html": html, "text/plain": line}, raw=True)
        put = handle.update

    return draw


_ELSEWHERE = "stretto.notebook.show draws in a notebook; elsewhere `await workflow.run(task)` does the same unseen."
