"""Many calls at once on a simulated provider with limits, in virtual time, and what came of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from models import call, listen
from stretto.calls import Call, Chunk, Done, Model
from stretto.errors import CallError
from stretto.models.simulator import SimulatedProvider, Simulator
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.line import Governor, Line
from stretto.policies.limit import Limit
from stretto.types import Allowance
from virtual import clock, virtually


class Distant:
    """A model so many seconds away, there and back. `whole`: headers come with the end of a reply, as usual for workers.

    A provider that has no room for more than `most` in flight refuses with 429 and tells nothing else.
    """

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
    return Limit(model, Line(Governor(), gate or Gate(), Lane(key or Gate(), slow_start=slow_start)), 900)


def pressed(
    count: int = 300, *, trip: float = 0.05, first: bool = True, gate: Gate | None = None, key: Gate | None = None, **settings: Any
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
