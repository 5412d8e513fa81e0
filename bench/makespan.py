"""Makespan over the critical path, in real time: what is lost to waiting that nothing made necessary."""

from functools import partial
from statistics import median
from typing import Any

from bench import ideal
from bench.job import Job
from bench.meter import Spec
from bench.processes import endpoint, measure, middle, stats, turns
from bench.table import Part, Row, Setting, sec

_PARALLEL = 8
_RPM = 300.0
_RPM_LONG = 600.0


def uneven(setting: Setting) -> Part:
    """Forty workers of uneven length, eight calls in flight."""
    scale = 0.25 if setting.quick else 1.0
    job = Job(40, span=6 * scale, delay=2 * scale, spread=0.8, join=1 * scale)
    name = f"makespan, 40 workers of {job.delay:g} s +-80 %, parallel 8"
    best = ideal.makespan(job, _PARALLEL)
    yield _against(setting, job, name, best, 1.03, parallel=_PARALLEL)
    yield _barrier(ideal.plan_first(job, _PARALLEL), best)


def orders(setting: Setting) -> Part:
    """Thirty workers of three types, six calls in flight, their lengths in every order; of several seeds the worst."""
    for order in ("any", "typed", "falling", "rising"):
        name = f"makespan, 30 workers of 1 s +-80 %, 3 types, lengths {order}"
        rows = []
        for seed in range(1, setting.rounds(2, 4) + 1):
            job = Job(30, span=1.5, delay=1, spread=0.8, join=0.25, seed=seed, types=3, order=order)
            rows.append(_once(setting, job, name, 6))
        yield max(rows, key=lambda row: row.ratio or 0.0)


def _once(setting: Setting, job: Job, name: str, parallel: int) -> Row:
    best = ideal.makespan(job, parallel)
    with endpoint() as url:
        wall = measure("ours", Spec(url, job, store=str(setting.folder / "orders.db"), parallel=parallel)).wall
    return Row(name, sec(wall), sec(best), wall / best, 1.03)


def limited(setting: Setting) -> Part:
    """Thirty workers at 300 requests a minute."""
    job = Job(30, span=4, delay=1, join=0.5)
    best = ideal.limited(job, _RPM / 60)
    yield _against(setting, job, "makespan, 30 workers of 1 s, 300 requests/min", best, 1.03, rpm=_RPM)
    yield _barrier(ideal.limited(job, _RPM / 60, barrier=True), best)


def even(setting: Setting) -> Part:
    """Hundreds of even workers at once; the bare loop does the same, since with these a barrier costs nothing."""
    for workers, target in ((300, 1.02), (1000, 1.08)):
        job = Job(workers, span=1, delay=2, join=0.5) if setting.quick else Job(workers, span=2, delay=4, join=1)
        name = f"makespan, {workers:,} even workers of {job.delay:g} s"
        best = ideal.makespan(job, workers + 2)
        yield _against(setting, job, name, best, target)
        with endpoint() as url:
            wall = measure("bare", Spec(url, job)).wall
        yield Row("  the bare loop, for comparison", sec(wall), sec(best), wall / best)


def long_limited(setting: Setting) -> Part:
    """300 subtasks at 600 requests a minute, at an endpoint that refuses whoever is faster; takes half a minute."""
    if setting.quick:
        return
    job = Job(300, span=4, delay=1, join=0.2)
    best = ideal.limited(job, _RPM_LONG / 60)
    with endpoint("--rpm", str(_RPM_LONG), "--bucket", "20") as url:
        wall = measure("ours", Spec(url, job, store=str(setting.folder / "long.db"), rpm=_RPM_LONG)).wall
        seen = stats(url)
    yield Row("makespan, 300 subtasks at 600 requests/min", sec(wall), sec(best), wall / best, 1.05)
    share = seen.rejected / (seen.requests + seen.rejected)
    yield Row("  rejected, in % of the requests", f"{100 * share:.1f} %", "", 100 * share, 1.0)


def _against(setting: Setting, job: Job, name: str, best: float, target: float, **limits: Any) -> Row:
    with endpoint() as url:
        spec = Spec(url, job, store=str(setting.folder / "makespan.db"), **limits)
        figures = turns(setting.rounds(1, 3), {"ours": partial(measure, "ours", spec)})["ours"]
    wall = middle(figures, "wall")
    return Row(f"{name} (bare: ideal)", sec(wall), sec(best), median(each.wall / best for each in figures), target)


def _barrier(wall: float, best: float) -> Row:
    return Row("  planning first and then running, at its best", sec(wall), sec(best), wall / best)
