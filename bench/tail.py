"""A heavy tail of latencies, simulated in virtual time: what asking stragglers a second time does for the makespan."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from statistics import median, quantiles

from msgspec import Struct

from bench.table import Part, Row, Setting, sec
from bench.virtual import virtually
from stretto.calls import Call, Chunk, Done, Model, Sent
from stretto.engine import Execution
from stretto.events import RunStarted
from stretto.models.simulator import SimulatedProvider, Simulator
from stretto.policies.fallback import Fallback
from stretto.policies.hedge import Hedge
from stretto.policies.latency import Latencies
from stretto.policies.memo import Memo
from stretto.policies.retry import Retry
from stretto.store.journal import Journal
from stretto.types import Definition, Limits, Reply, Role

_SHARE = 0.05
_TOKENS = 150  # of a worker's reply
_MOST_TOKENS = 2 * _TOKENS  # of what is set aside for it


class Figures(Struct, frozen=True):
    """One run: virtual seconds, requests sent, those of them that were duplicates, and tokens of both.

    A duplicate that lost is charged as if it had said all it might.
    """

    makespan: float
    requests: int
    duplicates: int
    tokens: int
    doubled: int


class Purse:
    """What one run spent, in tokens, and what of it on duplicates; a policy, to see each request, and an account."""

    def __init__(self, model: Model, share: float) -> None:
        self._model = model
        self._share = share
        self.requests = self.duplicates = self.tokens = self.doubled = 0

    def may_hedge(self, calls: Sequence[Call]) -> bool:
        """Whether duplicates of these fit, at their worst, into the share of what was spent up to now."""
        return self.doubled + sum(map(_worst, calls)) <= self._share * self.tokens

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The model's reply, noted down."""
        reserved = spent = 0
        try:
            async with aclosing(self._model.stream(call)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Sent):
                        reserved = spent = _worst(call)
                        self.requests += 1
                        self.duplicates += call.duplicate
                        self.doubled += reserved * call.duplicate
                    elif isinstance(chunk, Done) and chunk.usage:
                        spent = chunk.usage.input_tokens + chunk.usage.output_tokens
                    yield chunk
        finally:
            self.tokens += spent
            self.doubled += (spent - reserved) * call.duplicate


def rows(setting: Setting) -> Part:
    """200 runs of 100 workers, with and without."""
    runs, workers = setting.rounds(40, 200), 100
    without = [virtually(_run(seed, workers, 0.0)) for seed in range(runs)]
    hedged = [virtually(_run(seed, workers, _SHARE)) for seed in range(runs)]
    name = f"makespan, {runs} runs of {workers} workers, lognormal latency of sigma 1, hedge 5 %"
    before, after = (quantiles([run.makespan for run in each], n=20)[-1] for each in (without, hedged))
    yield Row(f"{name}: p95 (bare: no hedge)", sec(after), sec(before), after / before, 0.75)
    before, after = (median(run.makespan for run in each) for each in (without, hedged))
    yield Row("  median", sec(after), sec(before), after / before)
    yield _share("  requests that were duplicates", [run.duplicates / run.requests for run in hedged], None)
    yield _share("  tokens spent on duplicates, losers at their worst", [run.doubled / run.tokens for run in hedged], 5)


def _share(what: str, shares: list[float], target: float | None) -> Row:
    """Its mean, and the most of any run as the ratio."""
    mean = 100 * sum(shares) / len(shares)
    return Row(f"{what}, mean (ratio: most of any run, in %)", f"{mean:.1f} %", "", 100 * max(shares), target)


async def _run(seed: int, workers: int, share: float) -> Figures:
    """One run from scratch: nothing is known of any latency before it."""
    simulator = Simulator(
        seed=seed, ttft=1.0, ttft_spread=1.0, tokens_per_second=math.inf, length=_TOKENS, length_spread=0.0
    )
    role = Role("sim:tail", options={"max_tokens": _MOST_TOKENS})
    definition = Definition(Role("sim:tail"), {"part": role}, Role("sim:tail"), Limits(max_subtasks=workers))
    purse = Purse(SimulatedProvider(simulator).connect("tail"), share)
    model: Model = Fallback([("sim:tail", Retry(purse, 4))])
    if share:
        model = Hedge(model, Latencies(), lambda: True, purse)
    replies: dict[str, Reply] = {}
    asking: dict[str, asyncio.Event] = {}
    async with Journal("r1", path=None, show=lambda _: None) as journal:
        journal.append(RunStarted(task=f"Describe tea in {workers} subtasks.", workflow={}))
        await Execution(definition, journal, lambda _: Memo(model, replies, asking), replies).execute()
        assert len(journal.run.results) == workers
        assert journal.run.coverage.complete
    return Figures(asyncio.get_running_loop().time(), purse.requests, purse.duplicates, purse.tokens, purse.doubled)


def _worst(call: Call) -> int:
    """Tokens of a call at most."""
    prompt = sum(len(message.content) for message in call.request.messages)
    return prompt // 4 + int(call.request.options.get("max_tokens") or _MOST_TOKENS)
