"""What a user gets when something goes wrong with one worker of ten, or with the plan."""

from collections.abc import Callable, Mapping
from functools import partial

from bench.job import Job
from bench.peers.figures import NO_TIME
from bench.peers.scene import UNLUCKY, Fault, Scene
from bench.peers.setting import Part, Row, Setting
from bench.peers.trial import Ask, Trial

_WORKERS = 10
_LIMIT = 60.0
_FOR_GOOD = 10**6

_MISHAPS: dict[str, tuple[str, Fault]] = {
    "429-once": ("one worker: 429 once, Retry-After 2", Fault("429", 1, 2.0)),
    "429-five": ("one worker: 429 five times, Retry-After 2", Fault("429", 5, 2.0)),
    "500-twice": ("one worker: 500 twice", Fault("500", 2)),
    "disconnect": ("one worker: disconnect in the body, once", Fault("disconnect")),
    "lost": ("one worker: 500 for good", Fault("500", _FOR_GOOD)),
    "malformed": ("plan: malformed JSON, once", Fault("malformed")),
    "cut": ("plan: cut off, once", Fault("cut")),
    "fenced": ("plan: fenced in Markdown, once", Fault("fenced")),
}


def _row(name: str, setting: Setting) -> Part:
    what, fault = _MISHAPS[name]
    job = Job(max(setting.count(_WORKERS, _WORKERS), UNLUCKY + 1), span=0.2, delay=0.3, join=0.1)
    found = setting.trials(name, Scene(job, fault=fault), Ask(job.workers), _LIMIT)
    tried = {peer: trials[0] for peer, trials in found.items() if trials}
    cells: Mapping[str, str] = {peer: _gets(trial, job.workers) for peer, trial in tried.items()}
    yield Row(what, {peer: cells.get(peer, NO_TIME) for peer in found})


PARTS: dict[str, Callable[[Setting], Part]] = {name: partial(_row, name) for name in _MISHAPS}
"""A row for each mishap."""


def _gets(trial: Trial, workers: int) -> str:
    """What the user gets: with how many of the results, whether what is missing is said, what was paid again."""
    seen, told = trial.seen, trial.told
    if not told or not trial.answered:
        return f"**none**: {trial.failure}"
    words = [f"{seen.results} of {workers}"]
    if seen.results < workers:
        words.append("says so" if told.missing else "**silently**")
    words.append(f"{told.wall:.1f} s")
    if seen.plans > 1:
        words.append(f"{seen.plans} plans")
    if seen.twice:
        words.append(f"{seen.twice} paid twice")
    return ", ".join(words)
