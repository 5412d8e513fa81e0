"""CPU a call and wall time, at an endpoint that answers at once: what the code itself costs."""

from collections.abc import Callable
from functools import partial
from statistics import median

from bench.job import Job
from bench.meter import Figures, Spec
from bench.processes import What, endpoint, measure, middle, ratio, turns
from bench.table import Part, Row, Setting, ms

_SIZES = (3, 30, 300, 1000)
# figure, its name, what it is divided by (0: the calls), targets by number of workers
_FIGURES: tuple[tuple[What, str, int, dict[int, float]], ...] = (
    ("cpu", "CPU a call", 0, {300: 3.0}),
    ("wall", "wall", 1, {1000: 3.0}),
)

_ADDED = {300: 0.1}
"""Milliseconds of CPU that the log on the disk may add to a call, by number of workers."""


def rows(setting: Setting) -> Part:
    """For each number of workers: CPU and wall with the log on the disk, and without a log."""
    with endpoint() as url:
        for workers in _SIZES:
            yield from _compared(setting, url, Job(workers), f"{workers:,} workers")
        # As models write it: a token an event, which at this endpoint come all at once.
        yield from _compared(setting, url, Job(300, pieces=36), "300 workers, plan of 36 events a subtask", goals=False)
        # What is spread over time is written in many small commits, each with its fsync.
        yield from _compared(setting, url, Job(300, delay=0.5, spread=0.5), "300 workers of 0.5 s ± 50 %", goals=False)


def _compared(setting: Setting, url: str, job: Job, name: str, *, goals: bool = True) -> Part:
    """Our process with and without a log, and the bare one."""
    spec = Spec(url, job, max(1, 300 // job.workers))
    logged = Spec(url, job, spec.repeat, str(setting.folder / f"cpu-{job.workers}.db"))
    variants: dict[str, Callable[[], Figures]] = {
        "bare": partial(measure, "bare", spec),
        "logged": partial(measure, "ours", logged),
        "plain": partial(measure, "ours", spec),
    }
    figures = turns(setting.rounds(3, 9), variants)
    calls = job.workers + 2
    for variant, log in (("logged", "log on disk"), ("plain", "no log")):
        ours, bare = figures[variant], figures["bare"]
        for what, label, unit, targets in _FIGURES:
            each = unit or calls
            target = targets.get(job.workers) if goals and variant == "logged" else None
            figure, other = (ms(middle(measured, what) / each) for measured in (ours, bare))
            yield Row(f"{label}, {name}, {log}", figure, other, ratio(ours, bare, what), target)
    added = 1e3 * median(a.cpu - b.cpu for a, b in zip(figures["logged"], figures["plain"], strict=True)) / calls
    most = _ADDED.get(job.workers) if goals else None
    yield Row(f"CPU a call that the log adds, {name}, in ms", f"{added:.3f} ms", "", added, most)
