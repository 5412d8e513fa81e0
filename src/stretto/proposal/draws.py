"""Drawing what single calls, and the jobs they are a part of, may take."""

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from msgspec import Struct

from stretto.proposal.expected import RETURNED, Expected, Job
from stretto.proposal.history import ENOUGH, History, Kind
from stretto.store.efforts import Effort
from stretto.types import Price

_TTFT, _SPREAD = 1.0, 0.3  # seconds to the first token where nothing is known, and the sigma of its logarithm
_SPEED = 60.0  # tokens a second
_USUAL = 0.25  # of its limit, that half of all replies stay within
_SIGMA = math.log(1 / _USUAL) / 1.645  # so that 19 of 20 stay within the limit itself
_FEW = 0.35  # how much calls differ of which few are known, as the sigma of the logarithm
SCALE = 0.75
"""Tokens of a prompt for each that `policies.estimate` tells of, which is rather more: four bytes make one."""

Draws = list[float]
"""An amount, once for each draw."""


class Grounds(Struct, frozen=True):
    """What a forecast rests on: recorded calls, prices by model, and `scale`: tokens for each estimated one.

    `assumed`: the models whose price was found by their name alone, and whose it is.
    """

    history: History
    prices: Mapping[str, Price | None]
    scale: float = SCALE
    assumed: tuple[str, ...] = ()


class Drawn(Struct, frozen=True):
    """One job: its tokens, its dollars (None: a price is unknown), and the tokens of its result.

    `stages` has the seconds of each of its calls, `told` the recorded calls that each was drawn from.
    """

    tokens: Draws
    cost: Draws | None
    result: Draws
    stages: tuple[tuple[Draws, ...], ...] = ()
    told: tuple[Sequence[Effort], ...] = ()


class Drawing:
    """Draws jobs, `draws` times each; drawn in the same order they come to the same."""

    def __init__(self, grounds: Grounds, draws: int, seed: int) -> None:
        self._grounds = grounds
        self._draws = draws
        self._random = Random(seed)
        self._like: dict[Kind, Sequence[Effort]] = {}
        self._costs: dict[str, Callable[[float, float], float] | None] = {}

    def job(self, job: Job, needed: Sequence[Drawn]) -> Drawn:
        """One job, each call of which reads the results of those it needs and what its stage before said."""
        read = _sum([drawn.result for drawn in needed], self._draws)
        tokens, said, result = [0.0] * self._draws, read, [self._grounds.scale * job.told] * self._draws
        cost: Draws | None = [0.0] * self._draws
        stages: list[tuple[Draws, ...]] = []
        told: list[Sequence[Effort]] = []
        for number, stage in enumerate(job.stages):
            outputs: list[Draws] = []
            seconds: list[Draws] = []
            for call in stage:
                output, took, efforts = self._call(call)
                asked = [0.0] * self._draws if call.plain else [self._grounds.scale * call.prompt + of for of in said]
                spent = [0.0] * self._draws if call.plain else output
                tokens = [sum(each) for each in zip(tokens, asked, spent, strict=True)]
                cost = self._paid(call, cost, asked, spent)
                outputs.append(output)
                seconds.append(took)
                told.append(efforts)
            stages.append(tuple(seconds))
            if number == job.result % len(job.stages):
                result = outputs[0]
            said = _sum([read, *outputs], self._draws)
        return Drawn(tokens, cost, result, tuple(stages), tuple(told))

    def _call(self, call: Expected) -> tuple[Draws, Draws, Sequence[Effort]]:
        """Output tokens and seconds, drawn together from recorded calls; else what is usual."""
        if call.kind not in self._like:
            self._like[call.kind] = self._grounds.history.like(call.kind)
        chance = self._random
        if efforts := self._like[call.kind]:
            return *self._recorded(call, efforts), efforts
        if call.plain:
            return [float(RETURNED)] * self._draws, [0.0] * self._draws, ()
        most, middle = float(call.limit), math.log(_USUAL * call.limit)
        outputs = [min(most, math.exp(chance.gauss(middle, _SIGMA))) for _ in range(self._draws)]
        waits = [_TTFT * math.exp(chance.gauss(0.0, _SPREAD)) for _ in range(self._draws)]
        return outputs, [wait + output / _SPEED for wait, output in zip(waits, outputs, strict=True)], ()

    def _recorded(self, call: Expected, efforts: Sequence[Effort]) -> tuple[Draws, Draws]:
        """Output tokens and seconds of recorded calls; of few, the one or the other by as much more or less."""
        chance, sigma = self._random, 0.0 if len(efforts) >= ENOUGH else _FEW
        chosen = chance.choices(efforts, k=self._draws)
        factors = [math.exp(chance.gauss(0.0, sigma)) for _ in chosen] if sigma else [1.0] * self._draws
        seconds = [each.seconds * factor for each, factor in zip(chosen, factors, strict=True)]
        if call.plain:
            return [float(RETURNED)] * self._draws, seconds
        return [each.output_tokens * factor for each, factor in zip(chosen, factors, strict=True)], seconds

    def _paid(self, call: Expected, cost: Draws | None, asked: Draws, spent: Draws) -> Draws | None:
        """What it has cost with this call, too."""
        model = call.kind.model
        if model not in self._costs:
            self._costs[model] = _cost(self._grounds.prices.get(model))
        price = self._costs[model]
        if call.plain or cost is None:
            return cost
        if price is None:
            return None
        return [before + price(*usage) for before, *usage in zip(cost, asked, spent, strict=True)]


def _cost(price: Price | None) -> Callable[[float, float], float] | None:
    """Dollars of a call by the tokens it reads and writes, as `Price.of` has them, and quicker."""
    if price is None:
        return None
    tiers = [(0, price), *price.above]
    rates = [(least, float(each.input) / 1e6, float(each.output) / 1e6) for least, each in tiers]
    if len(rates) == 1:
        _, per_input, per_output = rates[0]
        return lambda asked, spent: asked * per_input + spent * per_output

    def tiered(asked: float, spent: float) -> float:
        _, per_input, per_output = [rate for rate in rates if asked >= rate[0]][-1]
        return asked * per_input + spent * per_output

    return tiered


def _sum(each: Sequence[Draws], draws: int) -> Draws:
    return [sum(one) for one in zip(*each, strict=True)] if each else [0.0] * draws
