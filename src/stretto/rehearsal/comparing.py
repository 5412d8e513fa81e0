"""Two variations carried with the same chances, run by run: what the one surely changes against the other."""

from collections.abc import Callable, Sequence
from math import comb
from statistics import median

from msgspec import Struct

from stretto.rehearsal.trial import Trial

_SURE = 0.05  # the chance of a finding where there is none, over all rows of a table
_WORTH = 0.03  # the part by which time or cost must differ to be told
_FULLNESS = {"none": 0, "part": 1, "full": 2}


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
    chance = 2 * sum(comb(count, each) for each in range(fewer + 1)) / 2**count
    return count > 0 and chance <= _SURE / max(1, rows)
