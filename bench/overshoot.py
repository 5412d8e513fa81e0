"""Budgets under random prices, lengths, faults and needs, in virtual time: the provider never charges more."""

import random
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from bench.table import Part, Row, Setting
from stretto.errors import BudgetError, StrettoError
from stretto.models.simulator import SimulatedProvider, Simulator, parse_fault
from stretto.types import Limits, Price, Role
from stretto.virtual import virtually
from stretto.workflow import Workflow

_FAULTS = ("disconnect rate=0.1", "500 rate=0.1", "truncated rate=0.05", "429 rate=0.05", "empty rate=0.05")


class Figures(Struct, frozen=True):
    """One run: what it cost by the provider's count and by ours, as shares of the budget; what of it was answered."""

    share: float
    counted: float
    answered: str


def rows(setting: Setting) -> Part:
    """1,000 runs."""
    runs = [virtually(one_run(seed)) for seed in range(setting.rounds(100, 1000))]
    over = sum(run.share > 1 for run in runs)
    yield Row(
        f"runs above their budget, of {len(runs):,} with random prices, lengths and faults", str(over), "", over, 0
    )
    yield Row("  most of a budget that was spent, by the provider's count", "", "", max(run.share for run in runs), 1)
    worst = max((run.share / run.counted for run in runs if run.counted), default=0.0)
    yield Row("  the provider's count over ours, at most", "", "", worst, 1)
    for what in ("in full", "in part", "not at all"):
        yield Row(f"  answered {what}", f"{sum(run.answered == what for run in runs) / len(runs):.0%}", "", None)


async def one_run(seed: int) -> Figures:
    """A run whose budget is somewhere between far too small and plenty."""
    lot = random.Random(seed)
    simulator = Simulator(
        seed=seed,
        length=lot.uniform(20, 400),
        length_spread=lot.uniform(0, 1.5),
        faults=tuple(parse_fault(fault) for fault in lot.sample(_FAULTS, lot.randint(0, 3))),
    )
    prices = {f"sim:{name}": _price(lot) for name in "pwvs"}
    money, tokens = lot.random() < 0.7, lot.random() < 0.5
    limits = Limits(
        parallel=lot.choice([4, 16, 64]),
        budget=Decimal(str(round(10 ** lot.uniform(-3, 0.3), 6))) if money else None,
        tokens=int(10 ** lot.uniform(3, 5.5)) if tokens or not money else None,
        hedge=lot.choice([0.0, 0.1]),
        deadline=lot.choice([None, None, lot.uniform(3, 30)]),
    )
    worker = Role(("sim:w", "sim:v"), options=lot.choice([{}, {"max_tokens": lot.randint(50, 600)}]))
    synthesizer = lot.choice([None, "sim:s", "sim:s"])
    flow = Workflow("sim:p", {"part": worker}, synthesizer, limits=limits, providers={"sim": simulator}, prices=prices)
    answered = "not at all"
    async with flow.stream(f"Describe tea in {lot.randint(2, 40)} subtasks.") as events:
        try:
            answered = "in full" if (await events.finished()).coverage.complete else "in part"
        except StrettoError as error:
            if limits.deadline is None and not simulator.faults and not isinstance(error, BudgetError):
                raise
        run = events.run
    charged, used = _charged(flow.pool.simulated["sim"], prices)
    shares, counted = [], []
    if limits.budget is not None:
        shares.append(float(charged / limits.budget))
        counted.append(float((run.cost or 0) / limits.budget))
    if limits.tokens is not None:
        shares.append(used / limits.tokens)
        counted.append((run.usage.input_tokens + run.usage.output_tokens) / limits.tokens)
    return Figures(max(shares), max(counted), answered)


def _price(lot: random.Random) -> Price:
    return Price(Decimal(str(round(lot.uniform(0.05, 5), 3))), Decimal(str(round(lot.uniform(0.1, 30), 3))))


def _charged(provider: SimulatedProvider, prices: Mapping[str, Price]) -> tuple[Decimal, int]:
    """Money and tokens of everything the provider did."""
    money = sum((prices[f"sim:{name}"].of(usage) for name, usage in provider.billed.items()), Decimal(0))
    return money, sum(usage.input_tokens + usage.output_tokens for usage in provider.billed.values())
