"""Budgets under random prices, lengths, faults, alphabets and kills, in virtual time: nobody ever charges more."""

import random
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from bench.killed import killed
from bench.table import Part, Row, Setting
from stretto.errors import BudgetError
from stretto.models.simulator import SimulatedProvider, Simulator, parse_fault
from stretto.pool import Pool
from stretto.types import Limits, Price, Role
from stretto.virtual import virtually
from stretto.workflow import Workflow

_FAULTS = (
    "disconnect rate=0.1", "500 rate=0.1", "truncated rate=0.05", "429 rate=0.05", "empty rate=0.05",
    "malformed rate=0.5", "truncated role=orchestrator", "disconnect role=orchestrator once", "silence rate=0.05",
)  # fmt: skip
_SUBJECTS = ("tea", "το τσάι", "お茶の歴史と作法", "☕🍵🧋", "чай и самовар")


class Figures(Struct, frozen=True):
    """One run: what it cost by the provider's count and by ours, as shares of the budget; what of it was answered."""

    share: float
    counted: float
    answered: str


def rows(setting: Setting) -> Part:
    """1,000 runs, and as many that are killed up to three times and resumed."""
    for kills, what in ((0, "with random prices, lengths and faults"), (3, "killed up to 3 times and resumed")):
        runs = [virtually(one_run(seed, kills)) for seed in range(setting.rounds(100, 1000))]
        yield from _rows(runs, what)


def _rows(runs: list[Figures], what: str) -> Part:
    over = sum(run.share > 1 for run in runs)
    yield Row(f"runs above their budget, of {len(runs):,} {what}", str(over), "", over, 0)
    yield Row("  most of a budget that was spent, by the provider's count", "", "", max(run.share for run in runs), 1)
    worst = max((run.share / run.counted for run in runs if run.counted), default=0.0)
    yield Row("  the provider's count over ours, at most", "", "", worst, 1)
    for part in ("in full", "in part", "not at all"):
        yield Row(f"  answered {part}", f"{sum(run.answered == part for run in runs) / len(runs):.0%}", "", None)


async def one_run(seed: int, kills: int = 0) -> Figures:
    """A run whose budget is somewhere between far too small and plenty; killed up to so often, it goes on."""
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
    pool = Pool(flow.providers, limits, flow.prices)
    needs = lot.choice(["", " with needs"])
    run, error = await killed(
        flow,
        pool,
        f"Describe {lot.choice(_SUBJECTS)}{needs} in {lot.randint(2, 40)} subtasks.",
        lot,
        lot.randint(0, kills),
    )
    if error and limits.deadline is None and not simulator.faults and not isinstance(error, BudgetError):
        raise error
    answered = "not at all" if error else "in full" if run.coverage.complete else "in part"
    charged, used = _charged(pool.simulated["sim"], prices)
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
