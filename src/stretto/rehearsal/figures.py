"""What many trials come to: distributions, and the reasons for what is missing."""

import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from msgspec import Struct

from stretto.rehearsal.trial import Answered, Trial

_N = TypeVar("_N", float, Decimal)
_PERCENTILES = (5, 10, 25, 50, 75, 90, 95, 99)

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
        requests=_spread([trial.requests for trial in trials]),
        rejected=_spread([trial.rejected for trial in trials]),
        rejected_share=round(sum(trial.rejected for trial in trials) / sent, 6) if sent else 0.0,
        retried=_spread([trial.retried for trial in trials]),
        duplicates=_spread([trial.duplicates for trial in trials]),
        tokens=_spread([trial.usage.input_tokens + trial.usage.output_tokens for trial in trials]),
        subtasks=_spread([trial.subtasks for trial in trials]),
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
