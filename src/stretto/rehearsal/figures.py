"""What many trials come to: distributions, why things are missing; and run by run, what one variation changes."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from statistics import median
from typing import TypeVar

from msgspec import Struct

from stretto.rehearsal.trial import Answered, Trial

_N = TypeVar("_N", float, Decimal)
_COUNTED = ("requests", "rejected", "retried", "duplicates", "subtasks")
_PERCENTILES = (5, 10, 25, 50, 75, 90, 95, 99)
_SURE = 0.05  # the chance of a finding where there is none, over all rows of a table
_WORTH = 0.03  # the part by which time or cost must differ to be told
_FULLNESS = {"none": 0, "part": 1, "full": 2}

Spread = dict[str, float]
"""`min`, `p5`, … `p99`, `max`, each a value that was met (nearest rank), and `mean`."""


class Reason(Struct, frozen=True):
    """Why something is missing: in so many runs, altogether so often."""

    reason: str
    runs: int
    times: int


class Figures(Struct, frozen=True):
    """What so many runs of one variation came to.

    `makespan` (seconds) is that of the runs with an answer, None if there are none; `cost` (US dollars) that of all,
    None if a price is unknown; `requests`, `rejected` are a run's. `rejected_share` is that of all requests. `answered`
    are shares of the runs.
    """

    runs: int
    answered: dict[Answered, float]
    makespan: Spread | None
    cost: dict[str, Decimal] | None
    requests: Spread
    rejected: Spread
    rejected_share: float
    retried: Spread
    duplicates: Spread
    tokens: Spread
    subtasks: Spread
    missing: tuple[Reason, ...]


def figures(trials: Sequence[Trial]) -> Figures:
    """The figures of trials, one at least."""
    seconds = [trial.seconds for trial in trials if trial.answered != "none"]
    costs = [trial.cost for trial in trials if trial.cost is not None]
    sent = sum(trial.requests for trial in trials)
    states = Counter(trial.answered for trial in trials)
    return Figures(
        runs=len(trials),
        answered={state: states[state] / len(trials) for state in ("full", "part", "none")},
        makespan=_spread(seconds) if seconds else None,
        cost=_money(costs) if len(costs) == len(trials) else None,
        rejected_share=round(sum(trial.rejected for trial in trials) / sent, 6) if sent else 0.0,
        tokens=_spread([trial.usage.input_tokens + trial.usage.output_tokens for trial in trials]),
        **{name: _spread([getattr(trial, name) for trial in trials]) for name in _COUNTED},
        missing=_reasons(trials),
    )


def _reasons(trials: Sequence[Trial]) -> tuple[Reason, ...]:
    """All reasons, those of most runs first."""
    runs, times = Counter[str](), Counter[str]()
    for trial in trials:
        runs.update(trial.missing.keys())
        times.update(trial.missing)
    ordered = sorted(runs, key=lambda reason: (-runs[reason], -times[reason], reason))
    return tuple(Reason(reason, runs[reason], times[reason]) for reason in ordered)


def _spread(values: Sequence[float]) -> Spread:
    met = {name: round(value, 6) for name, value in _ranks(values).items()}
    return {**met, "mean": round(math.fsum(values) / len(values), 6)}


def _money(values: Sequence[Decimal]) -> dict[str, Decimal]:
    mean = sum(values, Decimal(0)) / len(values)
    return {**_ranks(values), "mean": round(mean, 8)}


def _ranks(values: Sequence[_N]) -> dict[str, _N]:
    ordered = sorted(values)
    ranks = {f"p{p}": ordered[math.ceil(p * len(ordered) / 100) - 1] for p in _PERCENTILES}
    return {"min": ordered[0], **ranks, "max": ordered[-1]}


class Change(Struct, frozen=True):
    """How one figure differs: better in so many runs, worse in so many, and by which part in the median (`by`).

    `sure`: whether that could hardly be chance (a sign test, divided by the number of rows), and is worth telling.
    """

    better: int = 0
    worse: int = 0
    by: float = 0.0
    sure: bool = False

    @property
    def sign(self) -> int:
        """1 if it is surely better, -1 if surely worse, else 0."""
        return ((self.better > self.worse) - (self.better < self.worse)) if self.sure else 0


class Comparison(Struct, frozen=True):
    """What a variation changes against the first, over the `runs` that both were carried for with the same seeds.

    `same`: not one of them came out differently. `fullness`: whether all was answered; `seconds` and `cost` are
    compared where that is alike.
    """

    runs: int
    same: bool
    fullness: Change
    seconds: Change
    cost: Change

    @property
    def worth(self) -> tuple[int, float, float] | None:
        """The rank of a setting that is better; None if it is not, or has its price.

        What makes more answers whole is better whatever it costs.
        """
        signs = self.fullness.sign, self.seconds.sign, self.cost.sign
        if signs[0] < 0 or (signs[0] == 0 and (min(signs) < 0 or max(signs) == 0)):
            return None
        return self.fullness.better - self.fullness.worse if signs[0] else 0, -self.seconds.by, -self.cost.by


def compared(first: Sequence[Trial], other: Sequence[Trial], rows: int) -> Comparison:
    """Another variation's trials beside the first's, seed by seed; `rows`: how many are compared with it."""
    pairs = list(zip(first, other, strict=False))
    fuller = [_FULLNESS[b.answered] - _FULLNESS[a.answered] for a, b in pairs]
    alike = [(a, b) for (a, b), more in zip(pairs, fuller, strict=True) if not more and a.answered != "none"]
    better, worse = sum(more > 0 for more in fuller), sum(more < 0 for more in fuller)
    fullness = Change(better, worse, 0.0, _sure(better, worse, rows))
    priced = all(trial.cost is not None for pair in pairs for trial in pair)
    cost = _less(alike, lambda trial: float(trial.cost or 0), rows) if priced else Change()
    same = all(a == b for a, b in pairs)
    return Comparison(len(pairs), same, fullness, _less(alike, lambda trial: trial.seconds, rows), cost)


def _less(pairs: Sequence[tuple[Trial, Trial]], figure: Callable[[Trial], float], rows: int) -> Change:
    """How a figure differs of which less is better."""
    told = [(figure(b) - figure(a)) / figure(a) for a, b in pairs if figure(a)]
    better, worse = sum(by < 0 for by in told), sum(by > 0 for by in told)
    by = median(told) if told else 0.0
    return Change(better, worse, by, abs(by) >= _WORTH and _sure(better, worse, rows))


def _sure(better: int, worse: int, rows: int) -> bool:
    """Whether so many one way and so many the other are hardly those of a coin."""
    count, fewer = better + worse, min(better, worse)
    chance = 2 * sum(math.comb(count, each) for each in range(fewer + 1)) / 2**count
    return count > 0 and chance <= _SURE / max(1, rows)
