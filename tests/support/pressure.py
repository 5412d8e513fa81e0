"""Many calls at once on a simulated provider with limits, in virtual time, and what came of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from models import call, listen
from stretto import Simulator, Usage
from stretto.calls import Call, Chunk, Done, Model, Sent, Text
from stretto.errors import CallError, RateLimited, ServerError
from stretto.models.simulator import SimulatedProvider
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.limit import Limit
from stretto.policies.retry import Retry
from stretto.types import Allowance
from virtual import clock, virtually


class Distant:
    """A model so many seconds away, there and back; with `whole`, headers come with the end of a reply."""

    def __init__(self, model: Model, trip: float = 0.05, *, whole: bool = True) -> None:
        self._model = model
        self._trip = trip
        self._whole = whole
        self.accepted: list[float] = []

    async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
        await asyncio.sleep(self._trip / 2)
        told: list[Chunk] = []
        at = clock()
        try:
            async with aclosing(self._model.stream(asked)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Allowance) and self._whole:
                        told.append(chunk)
                        continue
                    for earlier in told:
                        yield earlier
                    told.clear()
                    yield chunk
        except CallError:
            await asyncio.sleep(self._trip / 2)
            raise
        self.accepted.append(at)


class Seen(Struct):
    """When the last request was let in, how many were, and the share of refused ones."""

    last: float
    accepted: int
    refused: float
    ended: float
    tokens: float


def limited(model: Model, gate: Gate | None = None, key: Gate | None = None, *, slow_start: bool = True) -> Limit:
    """A model with a governor of its own, as if in a process of its own."""
    return Limit(model, Queue(Governor(), gate or Gate(), Lane(key or Gate(), slow_start=slow_start)), 900)


def pressed(
    count: int = 300,
    *,
    trip: float = 0.05,
    first: bool = True,
    gate: Gate | None = None,
    key: Gate | None = None,
    **settings: Any,
) -> Seen:
    """So many calls at once, after a first one that is through."""
    settings = {"tokens_per_second": float("inf"), "ttft": 1.0, "ttft_spread": 0.0, **settings}
    provider = SimulatedProvider(Simulator(**settings))

    async def main() -> Seen:
        model = Distant(provider.connect("x"), trip)
        polite = limited(model, gate, key, slow_start=key is None)
        if first:
            await listen(polite, call("the plan", role="orchestrator"))
            await asyncio.sleep(2 + 60 * (settings.get("bucket") or 20) / (settings.get("rpm") or 600))
        start = clock()
        refused = provider.refused
        heard = await asyncio.gather(*(listen(polite, call(f"number {n}")) for n in range(count)))
        usages = [chunk.usage for chunks in heard for chunk in chunks if isinstance(chunk, Done) and chunk.usage]
        tokens = sum(usage.input_tokens + usage.output_tokens for usage in usages)
        refused = provider.refused - refused
        return Seen(max(model.accepted) - start, count, refused / (count + refused), clock() - start, tokens)

    return virtually(main())


class Shared(Struct):
    """Several processes on one key: when the last request was let in and could have been, refusals, shares."""

    last: float
    ideal: float
    refused: float
    shares: list[int]
    """Of the time in which all had something to send."""


def together(processes: int, each: int, *, late: float, **settings: Any) -> Shared:
    """So many governors that know nothing of one another, one starting `late` seconds after the other."""
    simulator = Simulator(**{"tokens_per_second": float("inf"), **settings})
    provider = SimulatedProvider(simulator)

    async def process(number: int) -> list[float]:
        await asyncio.sleep(number * late)
        model = Distant(provider.connect("x"))
        polite = limited(model)
        await listen(polite, call(f"the plan of {number}", role="orchestrator"))
        await asyncio.gather(*(listen(polite, call(f"number {n} of {number}")) for n in range(each)))
        return model.accepted

    async def main() -> Shared:
        accepted = await asyncio.gather(*(process(number) for number in range(processes)))
        since, until = max(min(times) for times in accepted) + 1, min(max(times) for times in accepted)
        shares = [sum(since <= at <= until for at in times) for times in accepted]
        requests = processes * (each + 1)
        assert simulator.rpm
        ideal = (requests - (simulator.bucket or 1)) / simulator.rpm * 60
        return Shared(max(max(times) for times in accepted), ideal, provider.refused / requests, shares)

    return virtually(main())


class Crowded:
    """A provider that has room for `most` requests and refuses more."""

    def __init__(self, most: int, *, takes: float, status: int = 429, tells: Allowance | None = None) -> None:
        self._most = most
        self._takes = takes
        self._status = status
        self._tells = tells
        self._in_flight = 0
        self.refused = 0
        self.mean_in_flight = 0.0

    async def stream(self, _: Call) -> AsyncGenerator[Chunk, None]:
        yield Sent()
        await asyncio.sleep(0.025)
        if self._in_flight >= self._most:
            self.refused += 1
            await asyncio.sleep(0.025)
            kind = RateLimited if self._status == 429 else ServerError
            raise kind(str(self._status), status=self._status, allowance=self._tells)
        self._in_flight += 1
        try:
            await asyncio.sleep(self._takes)
        finally:
            self._in_flight -= 1
        await asyncio.sleep(0.025)
        if self._tells:
            yield self._tells
        yield Text("Hello")
        yield Done("stop", Usage(10, 10))

    def press(self, count: int) -> None:
        """So many calls at once, until all are done."""

        async def main() -> None:
            model = Retry(limited(self), 100)
            await asyncio.gather(*(listen(model, call(f"number {n}")) for n in range(count)))
            self.mean_in_flight = count * self._takes / clock()

        virtually(main())
