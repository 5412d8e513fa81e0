"""How fast models were, and how much they said, in recorded runs."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import combinations
from statistics import median, quantiles

from msgspec import Struct

from stretto.calls import KEPT
from stretto.models.simulator import Profile
from stretto.runs import CallRecord, Run

ENOUGH = 5
"""Calls of a model from which its profile can be told."""
_NEWEST = 200  # calls of a model that are looked at: pairs grow with the square
_TENTH = 1.2816  # the 90th percentile of a normal distribution, in sigmas
_LEAST = 0.001


class _Measured(Struct, frozen=True):
    """One call: seconds from request to finish, tokens of its reply, and whether it was a worker's."""

    seconds: float
    tokens: int
    worker: bool


class Recorded(Struct, frozen=True):
    """What recorded runs say: profiles of models as written, and from how many calls of how many runs.

    `calls` also has the models of which too little is known for a profile. `subtasks` is the median of the plans.
    """

    profiles: dict[str, Profile]
    calls: dict[str, int]
    runs: int
    subtasks: int | None
    simulated: bool


def recorded(runs: Sequence[Run]) -> Recorded:
    """What these runs say of their models; calls that were asked again, cut or reused tell nothing of speed."""
    measured = defaultdict[str, list[_Measured]](list)
    for run in runs:
        for call in run.calls:
            if one := _measured(call):
                asked = call.finished and call.finished.asked
                measured[asked or call.model].append(one)  # by the model that answered, as written
    plans = [len(run.plan.subtasks) for run in runs if run.plan.state == "complete" and run.plan.subtasks]
    return Recorded(
        {model: profile_of(calls[:_NEWEST]) for model, calls in measured.items() if len(calls) >= ENOUGH},
        {model: len(calls) for model, calls in measured.items()},
        len(runs),
        round(median(plans)) if plans else None,
        any(run.simulated for run in runs),
    )


def profile_of(calls: Sequence[_Measured]) -> Profile:
    """The profile that fits: `seconds = ttft + tokens / tokens_per_second`.

    The speed is the median slope between two calls (Theil-Sen, which outliers do not bend); what it leaves over is the
    time to the first token. Spreads are those of a lognormal through the median and the 90th percentile.
    """
    slope = _slope(calls)
    waits = [max(_LEAST, call.seconds - slope * call.tokens) for call in calls]
    lengths = [float(call.tokens) for call in calls if call.worker and call.tokens]
    told = len(lengths) >= ENOUGH
    return Profile(
        ttft=round(median(waits), 6),
        tokens_per_second=round(1 / slope, 6) if slope > 0 else math.inf,
        ttft_spread=_sigma(waits),
        length=median(lengths) if told else None,
        length_spread=_sigma(lengths) if told else None,
    )


def _slope(calls: Iterable[_Measured]) -> float:
    """Seconds for one token more; 0 if more tokens did not take longer."""
    slopes = [
        (one.seconds - other.seconds) / (one.tokens - other.tokens)
        for one, other in combinations(calls, 2)
        if one.tokens != other.tokens
    ]
    return max(0.0, median(slopes)) if slopes else 0.0


def _sigma(values: Sequence[float]) -> float:
    ninetieth = quantiles(values, n=10, method="inclusive")[-1]
    return round(math.log(ninetieth / median(values)) / _TENTH, 6)


def _measured(call: CallRecord) -> _Measured | None:
    done = call.finished
    if done is None or not call.started_at or not call.finished_at or done.usage is None:
        return None
    if done.finish not in KEPT or done.reused or call.retries:
        return None
    took = datetime.fromisoformat(call.finished_at) - datetime.fromisoformat(call.started_at)
    return _Measured(took.total_seconds(), done.usage.output_tokens, call.role == "worker")
