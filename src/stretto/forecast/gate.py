"""What a plan will take: the run carried to its answer many times, in virtual time, its replies drawn."""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import TypeVar

from msgspec import Struct

from stretto import events as e
from stretto.calls import Model
from stretto.forecast.drawn import DrawnBatch, DrawnModel, Grounds, Taken
from stretto.forecast.history import Kind
from stretto.forecast.walk import Walk
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Queue, governor
from stretto.policies.limit import Limit
from stretto.proposal import Line, Proposal, Range, Source
from stretto.store.efforts import Effort
from stretto.types import Basis, Definition, Input, Plan, Price, Result, Role, Subtask
from stretto.types.definitions import waiting
from stretto.virtual import virtually

_DRAWS, _FEWEST, _OTHER = 200, 3, 4
_CALLS, _BESIDE = 800, 5  # drawn in all, so that no forecast takes a time that is felt; a walk costs as much as 5 more
_SEED = 1
_ANSWER = "answer"
_Amount = TypeVar("_Amount", int, float, Decimal)


class Work(Struct, frozen=True):
    """What a plan is for: the run's task and inputs, the results it has already, and those that are not computed."""

    task: str
    inputs: tuple[Input, ...] = ()
    results: Mapping[str, Result] = {}
    given: Mapping[str, Result] = {}


class _Draw(Struct, frozen=True):
    """One walk to the answer: its calls by whose they are, its seconds, and the subtasks that ended last in turn."""

    calls: Mapping[str, Sequence[Taken]]
    seconds: float
    chain: tuple[str, ...]


def forecast(definition: Definition, plan: Plan, work: Work, grounds: Grounds, run: str = "") -> Proposal:
    """The plan with what is left to be done of it; the same arguments make the same forecast.

    Not in it: prompts that a provider has cached, limits that it does not tell, and who else uses its key. Budget and
    deadline hold nothing back: it is what the whole would take.
    """
    return virtually(_forecast(definition, plan, work, grounds, run))


async def _forecast(definition: Definition, plan: Plan, work: Work, grounds: Grounds, run: str) -> Proposal:
    draws = await _drawn(definition, plan, work, grounds)
    total = _total(draws, grounds)
    chain = set(Counter(draw.chain for draw in draws).most_common(1)[0][0])
    lines = [
        _line(subtask, [draw.calls.get(subtask.id, ()) for draw in draws], grounds, critical=subtask.id in chain)
        for subtask in (*plan.subtasks, Subtask(_ANSWER, "", ""))
    ]
    live, batch = await _ways(definition, plan, work, grounds, total)
    known = [len(grounds.history.batches(model)) for model in grounds.batches] if batch else []
    batches = min(known, default=0)
    return Proposal(run, work.task, plan, tuple(lines[:-1]), lines[-1], total, grounds.assumed, live, batch, batches)


async def _ways(
    definition: Definition, plan: Plan, work: Work, grounds: Grounds, total: Line
) -> tuple[Line | None, Line | None]:
    """The total if no worker goes out with a batch, and if all do that can; nothing if none can.

    `total` is that of the workers as they are.
    """

    def can(role: Role) -> bool:
        return bool(role.all_models) and all(model in grounds.batches for model in role.all_models)

    live, batch = waiting(definition, lambda _: False), waiting(definition, can)
    if live == batch:
        return None, None
    found = [
        total if way == definition else _total(await _drawn(way, plan, work, grounds, _CALLS // _OTHER), grounds)
        for way in (live, batch)
    ]
    return found[0], found[1]


def _total(draws: Sequence[_Draw], grounds: Grounds) -> Line:
    everything = [[taken for calls in draw.calls.values() for taken in calls] for draw in draws]
    return _line(Subtask("total", "", ""), everything, grounds, [draw.seconds for draw in draws])


async def _drawn(definition: Definition, plan: Plan, work: Work, grounds: Grounds, most: int = _CALLS) -> list[_Draw]:
    """As many walks as it takes to see how much they differ, and as can be made in a moment."""
    done = {id_: result for id_, result in work.results.items() if result.outcome == "done"}
    log, given = _log(plan, work), {**done, **work.given}
    like, chance = dict[Kind, Sequence[Effort]](), Random(_SEED)
    draws: list[_Draw] = []
    wanted = 1
    while len(draws) < wanted:
        draws.append(await _walked(definition, log, given, DrawnModel(grounds, chance, like), plan))
        calls = sum(map(len, draws[0].calls.values()))
        wanted = max(_FEWEST, min(_DRAWS, most // (calls + _BESIDE)))
    return draws


def _log(plan: Plan, work: Work) -> list[e.AnyEvent]:
    """The log of a run that has this plan, and has begun nothing of it."""
    start = e.RunStarted(task=work.task, workflow={}, simulated=True, basis=Basis(inputs=work.inputs))
    state = "bounded" if plan.state == "incomplete" else plan.state or "complete"  # nothing more of it is asked for
    over = e.PlanFinished(state=state, subtasks=len(plan.subtasks), round=max(1, plan.rounds))
    return [start, *map(e.planned, plan.subtasks), over]


async def _walked(
    definition: Definition, log: Sequence[e.AnyEvent], given: Mapping[str, Result], drawn: DrawnModel, plan: Plan
) -> _Draw:
    loop, limits, ended = asyncio.get_running_loop(), definition.limits, dict[str, float]()

    def heard(event: e.AnyEvent) -> None:
        drawn.know(event)
        if isinstance(event, e.SubtaskFinished):
            ended[event.subtask] = loop.time()

    queue = Queue(governor(), Gate(limits.parallel, limits.rpm, limits.tpm), Lane(Gate()))
    for event in log:
        drawn.know(event)
    began = loop.time()
    live, batch = Limit(drawn, queue, math.inf), DrawnBatch(drawn)

    def model(role: Role) -> Model:
        return batch if role.batch and role.candidates[0] in drawn.batches else live

    await Walk(definition, log, model, given=given, show=heard).carry()
    calls = defaultdict[str, list[Taken]](list)
    for taken in drawn.taken:
        calls[_ANSWER if taken.call.role == "synthesizer" else taken.name].append(taken)
    return _Draw(calls, loop.time() - began, _chain(plan, ended, calls))


def _chain(plan: Plan, ended: Mapping[str, float], calls: Mapping[str, Sequence[Taken]]) -> tuple[str, ...]:
    """The answer, the subtask that ended last, the one of its needs that did, and so on, as far as they took calls."""
    needs = {subtask.id: subtask.needs for subtask in plan.subtasks}
    chain, of = [_ANSWER], tuple(needs)
    while of := tuple(need for need in of if need in ended):
        last = max(of, key=ended.__getitem__)
        chain.append(last)
        of = needs[last]
    return tuple(name for name in reversed(chain) if name in calls)


def _line(
    subtask: Subtask,
    draws: Sequence[Sequence[Taken]],
    grounds: Grounds,
    seconds: Sequence[float] | None = None,
    *,
    critical: bool = False,
) -> Line:
    told = [taken.known for calls in draws for taken in calls]
    pools = {id(known): known for known in told}.values()
    costs = [_cost(calls, grounds.prices) for calls in draws]
    known = [cost for cost in costs if cost is not None]
    return Line(
        name=subtask.id,
        type=subtask.type,
        description=subtask.description,
        needs=subtask.needs,
        calls=_typical([len(calls) for calls in draws])[0],
        tokens=Range(*_typical([sum(taken.tokens for taken in calls) for calls in draws])),
        cost=_money(known) if len(known) == len(costs) else None,
        seconds=_range([_busy(calls) for calls in draws] if seconds is None else seconds),
        source=_source(told),
        known=len({id(effort) for pool in pools for effort in pool}),  # each once, whatever was drawn from it
        critical=critical,
    )


def _busy(calls: Sequence[Taken]) -> float:
    """Seconds in which one of the calls at least was under way."""
    total, until = 0.0, -math.inf
    for sent, ended in sorted((taken.sent, taken.ended) for taken in calls):
        total += max(0.0, ended - max(sent, until))
        until = max(until, ended)
    return total


def _cost(calls: Iterable[Taken], prices: Mapping[str, Price | None]) -> Decimal | None:
    """Dollars; None if a price is unknown."""
    total = Decimal(0)
    for taken in calls:
        if not taken.plain:
            price = prices.get(taken.call.request.model)
            if price is None:
                return None
            total += price.times(taken.part).of(taken.usage) if taken.part != 1 else price.of(taken.usage)
    return total


def _source(told: Sequence[Sequence[Effort]]) -> Source:
    known = sum(bool(efforts) for efforts in told)
    if not told:
        return "none"
    return "history" if known == len(told) else "mixed" if known else "defaults"


def _typical(draws: Sequence[_Amount]) -> tuple[_Amount, _Amount]:
    """What half of them come to at most, and 19 of 20."""
    ordered = sorted(draws)
    last = len(ordered) - 1
    return ordered[last // 2], ordered[math.ceil(0.95 * last)]


def _range(draws: Sequence[float]) -> Range[float]:
    return Range(*(round(each, 3) for each in _typical(draws)))


def _money(draws: Sequence[Decimal]) -> Range[Decimal]:
    """Dollars, to the millionth."""
    return Range(*(Decimal(f"{each:.6f}") for each in _typical(draws)))
