"""A heavy tail of latencies, simulated in virtual time: what asking stragglers a second time does for the makespan."""

import asyncio
import math
from statistics import median, quantiles

from msgspec import Struct

from bench.table import Part, Row, Setting, sec
from stretto.models.simulator import Simulator
from stretto.types import Limits
from stretto.virtual import virtually
from stretto.workflow import Workflow

_SHARE = 0.05
_WORKERS = 100
_PLAIN = Simulator(ttft=1.0, ttft_spread=1.0, tokens_per_second=math.inf, length=150, length_spread=0.0)


class Figures(Struct, frozen=True):
    """One run: virtual seconds, requests sent, those of them that were duplicates, tokens, and those without a reply.

    The request of a duplicate that lost counts whole, its reply as long as replies were on the average.
    """

    makespan: float
    requests: int
    duplicates: int
    tokens: int
    lost: int


def rows(setting: Setting) -> Part:
    """200 runs of 100 workers, with and without."""
    runs = setting.rounds(40, 200)
    without = [virtually(_run(seed, 0.0)) for seed in range(runs)]
    hedged = [virtually(_run(seed, _SHARE)) for seed in range(runs)]
    name = f"makespan, {runs} runs of {_WORKERS} workers, lognormal latency of sigma 1, hedge 5 %"
    before, after = (quantiles([run.makespan for run in each], n=20)[-1] for each in (without, hedged))
    yield Row(f"{name}: p95 (bare: no hedge)", sec(after), sec(before), after / before, 0.75)
    before, after = (median(run.makespan for run in each) for each in (without, hedged))
    yield Row("  median", sec(after), sec(before), after / before)
    yield _share("  requests that were duplicates", [run.duplicates / run.requests for run in hedged], None)
    yield _share("  tokens that duplicates cost", [run.lost / run.tokens for run in hedged], 5)


def _share(what: str, shares: list[float], target: float | None) -> Row:
    """Its mean, and the most of any run as the ratio."""
    mean = 100 * sum(shares) / len(shares)
    return Row(f"{what}, mean (ratio: most of any run, in %)", f"{mean:.1f} %", "", 100 * max(shares), target)


async def _run(seed: int, share: float) -> Figures:
    """One run from scratch: nothing is known of any latency before it."""
    limits = Limits(parallel=2 * _WORKERS, max_subtasks=_WORKERS, hedge=share)
    simulator = Simulator(**{name: getattr(_PLAIN, name) for name in _PLAIN.__struct_fields__} | {"seed": seed})
    flow = Workflow("sim:tail", {"part": "sim:tail"}, "sim:tail", limits=limits, providers={"sim": simulator})
    run = await flow.run(f"Describe tea in {_WORKERS} subtasks.")
    assert len(run.results) == _WORKERS
    assert run.coverage.complete
    finished = [call.finished for call in run.calls if call.finished]
    duplicates = sum(retry.duplicate for call in run.calls for retry in call.retries)
    lost = sum(call.lost.input_tokens + call.lost.output_tokens for call in finished)
    tokens = run.usage.input_tokens + run.usage.output_tokens
    return Figures(asyncio.get_running_loop().time(), len(finished) + duplicates, duplicates, tokens, lost)
