"""What the code costs and what it makes of time: CPU, wall, makespan, a provider's limit, memory."""

from collections.abc import Callable, Mapping, Sequence

from bench import ideal
from bench.job import Job
from bench.peers.scene import Scene
from bench.peers.setting import Part, Row, Setting
from bench.peers.trial import Ask, Told, Trial

_PARALLEL = 8
RPM, BUCKET = 600.0, 20
_LIMIT = 90.0
_LIMIT_LIMITED = 120.0
NO_TIME = "not measured: out of time"


def speed(setting: Setting) -> Part:
    """CPU a call and wall at an endpoint that answers at once, the best of five rounds."""
    workers = setting.count(300, 100)
    ask = Ask(workers, repeat=1 if setting.quick else 2)
    found = setting.trials("speed", Scene(), ask, _LIMIT, rounds=1 if setting.quick else 5)
    yield Row(f"CPU a call, {workers} workers, zero latency", _best(found, lambda t: t.cpu / (workers + 2), _ms))
    if bare := [told.cpu for told in _told(found.get("bare", []))]:
        yield Row("  over the bare loop's", _best(found, lambda t: t.cpu / min(bare), "{:.1f}".format))
    yield Row(f"wall of the run, {workers} workers, zero latency", _best(found, lambda t: t.wall, "{:.2f} s".format))


def uneven(setting: Setting) -> Part:
    """Uneven workers, eight calls in flight, a plan that takes its time."""
    scale = 0.25 if setting.quick else 1.0
    job = Job(setting.workers or 40, span=6 * scale, delay=2 * scale, spread=0.8, join=1 * scale)
    best = ideal.makespan(job, _PARALLEL)
    found = setting.trials("uneven", Scene(job), Ask(job.workers, parallel=_PARALLEL), _LIMIT)
    what = f"makespan over the ideal ({best:.1f} s): {job.workers} workers of {job.delay:g} s ± 80 %, 8 in flight"
    yield Row(what, _best(found, lambda t: t.wall / best, "{:.2f}".format))


def limited(setting: Setting) -> Part:
    """A provider that permits 600 requests a minute and says `Retry-After: 1`; nothing is configured."""
    job = Job(setting.count(300, 60), span=4, delay=1, join=0.2)
    # The last worker leaves when everything before it has had its token; there is one for the synthesis by then.
    sent = max((job.workers + 1 - BUCKET) / (RPM / 60), job.span)
    best = sent + job.delay + job.join
    found = setting.trials("limited", Scene(job, rpm=RPM, bucket=BUCKET), Ask(job.workers), _LIMIT_LIMITED)
    what = f"{job.workers} subtasks at {RPM:.0f} requests/min (ideal {best:.1f} s)"
    tried = {name: trials[0] if trials else None for name, trials in found.items()}
    yield Row(f"{what}: answer", _each(tried, lambda trial: _outcome(trial, job.workers)))
    yield Row("  workers' calls done", _each(tried, lambda trial: f"{_workers(trial)} of {job.workers}"))
    yield Row("  rejected requests", _each(tried, lambda trial: str(trial.seen.rejected)))
    yield Row("  tokens paid", _each(tried, _paid))


def memory(setting: Setting) -> Part:
    """Peak memory of the process, with all of its workers in flight."""
    job = Job(setting.count(1000, 300), delay=2.0 if setting.quick else 6.0)
    found = setting.trials("memory", Scene(job), Ask(job.workers), _LIMIT)
    cells = _best(found, lambda t: t.memory / 2**20, "{:.0f} MB".format)
    peaks = {name: min(trial.seen.peak for trial in trials) for name, trials in found.items() if trials}
    short = {name: peak for name, peak in peaks.items() if peak < job.workers}
    cells |= {name: f"{cells[name]} ({peak} in flight)" for name, peak in short.items()}
    yield Row(f"peak memory, {job.workers:,} workers of {job.delay:g} s", cells)


def _outcome(trial: Trial, workers: int) -> str:
    if trial.told and trial.answered:
        return f"{trial.seen.results} of {workers}, {trial.told.wall:.1f} s"
    return none_after(trial)


def none_after(trial: Trial) -> str:
    """That there is no answer, after how long, and why."""
    after = f" after {trial.told.wall:.1f} s" if trial.told else ""
    return f"**none**{after}: {trial.failure}"


def _workers(trial: Trial) -> int:
    seen = trial.seen
    return seen.completed - seen.plans - seen.twice - trial.answered


def _paid(trial: Trial) -> str:
    return f"{trial.seen.tokens / 1000:.0f}k" + ("" if trial.answered else ", for nothing")


def _told(trials: Sequence[Trial]) -> list[Told]:
    return [trial.told for trial in trials if trial.told and trial.answered]


def _best(
    found: Mapping[str, Sequence[Trial]], figure: Callable[[Told], float], say: Callable[[float], str]
) -> dict[str, str]:
    """Of each peer the least of its trials' figures, what else runs being noise; or why there is none."""
    cells = {}
    for name, trials in found.items():
        failed = next((f"**none**: {trial.failure}" for trial in trials if not trial.answered), None)
        told = _told(trials)
        cells[name] = failed or (say(min(map(figure, told))) if told else NO_TIME)
    return cells


def _each(tried: Mapping[str, Trial | None], say: Callable[[Trial], str]) -> dict[str, str]:
    return {name: say(trial) if trial else NO_TIME for name, trial in tried.items()}


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
