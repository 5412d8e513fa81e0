"""Editing one prompt of a run of 100 subtasks: what is asked again, and how long that takes."""

import asyncio
import time
from pathlib import Path

from bench.table import Part, Row, Setting
from stretto.models.simulator import Simulator
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.types import Limits, Role
from stretto.workflow import Workflow

_SUBTASKS, _TYPES = 100, 10
_TASK = f"Describe the ports of the North Sea in exactly {_SUBTASKS} subtasks."
_SIMULATOR = Simulator(ttft=0.5, ttft_spread=0.2, tokens_per_second=1000, length=60)


def rows(setting: Setting) -> Part:
    """A run from the first call to the answer, then with the prompt of one of ten types changed, then with nothing."""
    first, changed, same = asyncio.run(_measured(setting.folder / "rerun.db"))
    seconds, calls = first
    yield Row(f"a run of {_SUBTASKS} subtasks of {_TYPES} types: seconds", f"{seconds:.2f} s", "")
    yield Row("  calls", str(calls), "")
    for what, (later, asked), most in (
        ("rerun with the prompt of one type changed", changed, _SUBTASKS // _TYPES + 1),
        ("rerun with nothing changed", same, 0),
    ):
        yield Row(f"{what}: seconds (bare: the run)", f"{later:.2f} s", f"{seconds:.2f} s", later / seconds)
        yield Row("  calls made (bare: those that had to be)", str(asked), str(most), float(asked), float(most))


async def _measured(store: Path) -> list[tuple[float, int]]:
    """Seconds and calls of each of the three."""
    flow = _workflow(store, None)
    seconds, run = await _timed(flow.stream(_TASK))
    figures = [(seconds, _made(run))]
    for prompt in ("In one sentence. {task_description}", None):
        again = _workflow(store, prompt)
        seconds, later = await _timed(again.rerun(run.id))
        figures.append((seconds, _made(later)))
    return figures


def _workflow(store: Path, prompt: str | None) -> Workflow:
    workers = {f"w{number}": Role("sim:default") for number in range(_TYPES)} | {"w3": Role("sim:default", prompt)}
    limits = Limits(parallel=128, max_subtasks=_SUBTASKS)
    return Workflow("sim:default", workers, "sim:default", limits=limits, providers={"sim": _SIMULATOR}, store=store)


async def _timed(stream: RunStream) -> tuple[float, Run]:
    began = time.perf_counter()
    async with stream as events:
        run = await events.finished()
    return time.perf_counter() - began, run


def _made(run: Run) -> int:
    """How many of its calls were asked and not taken from the records."""
    return sum(call.finished is not None and not call.finished.reused for call in run.calls)
