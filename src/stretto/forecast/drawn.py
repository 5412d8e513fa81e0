"""A model in the place of all others, whose calls take what calls like them took: drawn from what is recorded."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from random import Random

from msgspec import Struct

from stretto import events as e
from stretto.calls import Call, Chunk, Done, Sent, Text
from stretto.engine.caller import PLAN
from stretto.engine.condensing import CONDENSE, THOUGHT
from stretto.forecast.history import ENOUGH, History, Kind
from stretto.models.functions import PROVIDER
from stretto.models.providers import PROMISED, QUIET
from stretto.models.simulator.shaped import shaped
from stretto.policies.estimate import BYTES, USUAL, most_output, tokens_asked
from stretto.store.efforts import Effort
from stretto.types import Price, Usage

SCALE = 0.75
"""Tokens of a prompt for each that `policies.estimate` tells of, which is rather more: four bytes make one."""

_TTFT, _SPREAD = 1.0, 0.3  # seconds to the first token where nothing is known, and the sigma of its logarithm
_SPEED = 60.0  # tokens a second
_USUAL = 0.25  # of its limit, that half of all replies stay within
_SIGMA = math.log(1 / _USUAL) / 1.645  # so that 19 of 20 stay within the limit itself
_FEW = 0.35  # how much calls differ of which few are known, as the sigma of the logarithm
_VERDICT = 512  # tokens of what a checker says, at most
_RETURNED = 300  # tokens of what a function returns: it says nothing of them
_SUBTASKS = 4  # that a workflow within a subtask plans
_CHECKS = frozenset({"check", "second check"})
_HOLDS, _BEST = '{"remark": "", "verdict": "holds"}', '{"why": "", "best": 1}'


class Grounds(Struct, frozen=True):
    """What a forecast rests on: recorded calls, prices by model, and `scale`: tokens for each estimated one.

    `assumed`: the models whose price was found by their name alone, and whose it is. `batches`: those that have a
    Batch API, with the part of their price that it costs.
    """

    history: History
    prices: Mapping[str, Price | None]
    scale: float = SCALE
    assumed: tuple[str, ...] = ()
    batches: Mapping[str, float] = {}


class Taken(Struct, frozen=True):
    """What one call took: from when to when it was under way, and `known`, the recorded calls that tell of it.

    `plain`: it was a function's, which takes no tokens. `part`: which part of its price it costs.
    """

    call: Call
    usage: Usage
    sent: float
    ended: float
    known: Sequence[Effort]
    plain: bool
    part: float = 1.0

    @property
    def name(self) -> str:
        """The subtask of the run's own plan that it was made for, or its role."""
        return self.call.subtask.partition("/")[0] if self.call.subtask else self.call.role

    @property
    def tokens(self) -> int:
        """Those it read and those it wrote."""
        return self.usage.input_tokens + self.usage.output_tokens


class DrawnModel:
    """Answers each call as one that goes well, after a time and at a length drawn from recorded calls of its kind.

    Of what it says only the length tells anything; a plan is a few subtasks, which depend on nothing, and a further
    round has none. `taken` is all that it was asked.
    """

    def __init__(self, grounds: Grounds, chance: Random, like: dict[Kind, Sequence[Effort]]) -> None:
        self.taken: list[Taken] = []
        self.batches = grounds.batches
        self._grounds = grounds
        self._chance = chance
        self._like = like
        self._open: dict[str, tuple[float, float]] = {}  # by model, when the batch that calls join closes, and ends
        self._types: dict[str, str] = {}
        self._planned = set[str]()

    def know(self, event: e.AnyEvent) -> None:
        """An event of the run: it tells of what type a subtask is."""
        if isinstance(event, e.SubtaskPlanned):
            self._types[event.subtask] = event.type

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Something as long as a reply to this call would be."""
        async for chunk in self.answered(call):
            yield chunk

    async def answered(self, call: Call, *, batched: bool = False) -> AsyncGenerator[Chunk, None]:
        """The same; `batched`: it goes out with a batch, and is answered when that ends."""
        loop = asyncio.get_running_loop()
        yield Sent()
        sent, request, plain = loop.time(), call.request, call.request.model.startswith(f"{PROVIDER}:")
        kind = Kind(request.model, call.role, self._types.get(call.subtask or "", ""), call.part)
        if kind not in self._like:
            self._like[kind] = self._grounds.history.like(kind)
        tokens, seconds = self._drawn(call, self._like[kind], plain=plain)
        await asyncio.sleep(self._until_answered(request.model) if batched else seconds)
        part = self._grounds.batches[request.model] if batched else 1.0
        usage = Usage() if plain else Usage(round(self._grounds.scale * tokens_asked(request)), tokens)
        self.taken.append(Taken(call, usage, sent, loop.time(), self._like[kind], plain, part))
        yield Text(self._said(call, tokens))
        yield Done("stop", usage, request.model)

    def _until_answered(self, model: str) -> float:
        """Seconds until the batch ends that a call joins now: as long as one of its provider's took, else promises."""
        now = asyncio.get_running_loop().time()
        closes, ends = self._open.get(model, (-math.inf, 0.0))
        if now > closes:
            known = self._grounds.history.batches(model)
            few = math.exp(self._chance.gauss(0.0, _FEW)) if 0 < len(known) < ENOUGH else 1.0
            took = few * self._chance.choice(known) if known else QUIET + PROMISED
            self._open[model] = now + QUIET, (ends := now + took)
        return max(0.0, ends - now)

    def _drawn(self, call: Call, known: Sequence[Effort], *, plain: bool) -> tuple[int, float]:
        """Output tokens and seconds of a call, drawn together from recorded calls; else what is usual."""
        chance = self._chance
        if known:  # of few, the one or the other by as much more or less
            effort, factor = chance.choice(known), 1.0 if len(known) >= ENOUGH else math.exp(chance.gauss(0.0, _FEW))
            return _RETURNED if plain else round(effort.output_tokens * factor), effort.seconds * factor
        if plain:
            return _RETURNED, 0.0
        limit = most_output(call.request.options) or (_VERDICT if call.part in _CHECKS else USUAL)
        tokens = min(float(limit), math.exp(chance.gauss(math.log(_USUAL * limit), _SIGMA)))
        return round(tokens), _TTFT * math.exp(chance.gauss(0.0, _SPREAD)) + tokens / _SPEED

    def _said(self, call: Call, tokens: int) -> str:
        """What a call is answered; no two replies are the same."""
        if call.plans:
            return self._plan(call)
        if call.part in _CHECKS:
            return _HOLDS
        if call.part == CONDENSE:  # it keeps to what it is told
            asked = (most_output(call.request.options) or 0) - THOUGHT
            tokens = min(tokens, int(self._grounds.scale * asked / 2))
        schema = call.request.schema
        if call.part == "merge" and schema is not None and "best" in schema["properties"]:
            return _BEST
        text = call.id + " " + "x" * max(0, round(tokens * BYTES / self._grounds.scale) - len(call.id))
        return text if schema is None else json.dumps(shaped(schema, text, self._chance))

    def _plan(self, call: Call) -> str:
        """A plan for a workflow within a subtask: some subtasks at once for its first round, and none for others."""
        if call.part != PLAN or call.subtask in self._planned or call.request.schema is None:
            return '{"tasks": []}'
        self._planned.add(call.subtask or "")
        tasks = call.request.schema["properties"]["tasks"]["items"]
        types: list[str] = tasks["properties"]["type"]["enum"]
        return json.dumps(
            {"tasks": [{"type": types[n % len(types)], "description": f"part {n + 1}"} for n in range(_SUBTASKS)]}
        )


class DrawnBatch:
    """The same for calls that go out with a batch: all that join one are answered when it ends."""

    def __init__(self, drawn: DrawnModel) -> None:
        self._drawn = drawn

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Something as long as a reply to this call would be."""
        async for chunk in self._drawn.answered(call, batched=True):
            yield chunk
