"""Rate limits that nobody configured: told by headers, learned from refusals, shared by two processes."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from statistics import median

from bench import ideal
from bench.endpoint import TOKENS
from bench.job import Job
from bench.meter import Spec
from bench.processes import endpoint, measure, stats
from bench.table import Part, Row, Setting, sec
from stretto.calls import Call, Chunk, Done, Model, Sent, Text, Urgency, fingerprint
from stretto.policies.account import Account
from stretto.policies.breaker import Circuit
from stretto.policies.budget import Budget
from stretto.policies.composition import Composition, Opened
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.latency import Latencies
from stretto.policies.limit import Limit
from stretto.policies.memo import Replies
from stretto.policies.prices import Prices
from stretto.types import Allowance, Limits, Message, Price, Quota, Request, Role, Usage

_RPM = 600.0
_LIMITS = {"requests": ("--rpm", _RPM), "tokens": ("--tpm", _RPM * TOKENS)}
_FORMS = {
    "configured": ("configured", 1.05, 1.0),
    "headers": ("headers only", 1.05, 1.0),
    "retry_after": ("learned, Retry-After only", 1.25, 3.0),
    "nothing": ("learned from nothing", 1.25, 3.0),
}


def rows(setting: Setting) -> Part:
    """300 subtasks under limits of requests or of tokens, and two processes on one key; takes minutes."""
    if setting.quick:
        return
    for what, forms in (("requests", [*_FORMS][1:]), ("tokens", _FORMS)):  # `long` has the configured requests
        for tells in forms:
            yield from _alone(setting, what, tells)
    yield from _two(setting)


def _alone(setting: Setting, what: str, tells: str) -> Part:
    """One run at an endpoint that says this much of its limit."""
    job = Job(300, span=4, delay=1, join=0.2)
    best = ideal.limited(job, _RPM / 60)
    name, longest, most = _FORMS[tells]
    flag, limit = _LIMITS[what]
    told, tpm = ("nothing", limit) if tells == "configured" else (tells, None)
    with endpoint(flag, str(limit), "--bucket", "20", "--tells", told) as url:
        wall = measure("ours", Spec(url, job, store=str(setting.folder / f"{what}-{tells}.db"), tpm=tpm)).wall
        seen = stats(url)
    yield Row(f"makespan, 300 subtasks, {limit:,.0f} {what}/min, {name}", sec(wall), sec(best), wall / best, longest)
    share = 100 * seen.rejected / (seen.requests + seen.rejected)
    yield Row("  rejected, in % of the requests", f"{share:.1f} %", "", share, most)


def _two(setting: Setting) -> Part:
    """Two processes with 1,500 subtasks each at 3,000 requests a minute, told by headers."""
    jobs = [Job(1500, span=4, delay=1, join=0.2, seed=seed) for seed in (1, 2)]
    per_second, bucket = 50, 100
    best = 4 / 1504 + (2 * 1502 - bucket) / per_second + 1 + 0.2
    with endpoint("--rpm", str(60 * per_second), "--bucket", str(bucket), "--tells", "headers") as url:
        specs = [Spec(url, job, store=str(setting.folder / f"two-{job.seed}.db")) for job in jobs]
        with ThreadPoolExecutor(2) as both:
            first, last = sorted(figures.wall for figures in both.map(lambda spec: measure("ours", spec), specs))
        seen = stats(url)
    yield Row("two processes, 3,000 requests at 3,000/min, headers only", sec(last), sec(best), last / best, 1.10)
    # While both were at it, the first had 1,500 and the other the rest of what was permitted.
    share = (first - 1.2) * per_second + bucket - 1500
    yield Row("  the larger share over the smaller", f"{1500:.0f}", f"{share:.0f}", max(1500, share) / share, 1.25)
    rejected = 100 * seen.rejected / (seen.requests + seen.rejected)
    yield Row("  rejected, in % of the requests", f"{rejected:.1f} %", "", rejected)


class _Instant:
    """A model that answers at once and tells its limits."""

    async def stream(self, _: Call) -> AsyncGenerator[Chunk, None]:
        """A reply with everything a reply has."""
        yield Sent()
        yield Allowance(Quota(6e6, 5.9e6, 1.0), Quota(6e8, 5.9e8, 1.0))
        await asyncio.sleep(0)
        yield Text("Hello")
        yield Done("stop", Usage(10, 10))


def governor(setting: Setting) -> Part:
    """CPU of admission, of the budget and of the rest for each of a thousand calls that wait behind 16 in flight."""
    rounds = setting.rounds(5, 15)
    asked: dict[str, Callable[[], Model]] = {
        "nothing": _Instant,
        "governor": _governed,
        "and budget": lambda: _budgeted(_governed()),
        "and breaker, retry, fallback": lambda: _composed(hedge=0.0),
        "and hedge": lambda: _composed(hedge=0.05),
    }
    seconds = {name: [_cpu(model) for _ in range(rounds)] for name, model in asked.items()}
    bare = median(seconds.pop("nothing"))
    for name, times in seconds.items():
        micro = (median(times) - bare) * 1e6
        target = 30.0 if name in {"governor", "and budget"} else None
        what = "CPU a call of the governor, 1,000 waiting, headers" if name == "governor" else f"  {name}"
        yield Row(what, f"{micro:.1f} us", "", micro, target)


def _governed() -> Model:
    return Limit(_Instant(), Queue(Governor(), Gate(parallel=16), Lane(Gate())), 900)


def _prices() -> Prices:
    prices = Prices()
    prices.known["x:y"] = Price(Decimal(1), Decimal(10))
    return prices


def _budgeted(model: Model) -> Model:
    return Budget(model, "x:y", Account(Limits(budget=Decimal(10_000))), _prices(), 64)


def _composed(hedge: float) -> Model:
    """Everything but the memo, with room for a duplicate but no reason for one."""
    limits = Limits(budget=Decimal(10_000), hedge=hedge)
    opened = Opened("x:y", _governed(), lambda: True, Circuit("x:y"), Latencies())
    composition = Composition(lambda _: opened, limits, Account(limits), _prices(), Replies())
    return composition.model(Role("x:y"))


def _cpu(build: Callable[[], Model]) -> float:
    text = "A prompt of the usual length, of which the budget must know how long it is. " * 20
    requests = [Request("x:y", (Message("user", f"{text}{number}"),)) for number in range(1000)]
    calls = [
        Call(f"c{n}", "r", "worker", None, each, fingerprint(each), True, Urgency(2)) for n, each in enumerate(requests)
    ]

    async def listen(model: Model, call: Call) -> None:
        async for _ in model.stream(call):
            pass

    async def main() -> float:
        model = build()
        began = time.process_time()
        await asyncio.gather(*(listen(model, call) for call in calls))
        return (time.process_time() - began) / len(calls)

    return asyncio.run(main())
