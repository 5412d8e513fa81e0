"""What a plan will take: its calls, drawn some hundred times from what calls like them took."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

from stretto.proposal.decisions import Line, Proposal, Range, Source
from stretto.proposal.draws import Drawing, Drawn, Draws, Grounds
from stretto.proposal.expected import Job, Work, jobs_of
from stretto.proposal.schedule import Item, schedule
from stretto.store.efforts import Effort
from stretto.types import Definition, Limits, Plan, Subtask

_DRAWS, _FEWEST = 400, 60
_CALLS = 26_000  # drawn in all, so that no forecast takes a time that is felt
_SEED = 1


def forecast(definition: Definition, plan: Plan, work: Work, grounds: Grounds, run: str = "") -> Proposal:
    """The plan with what is left to be done of it; the same arguments make the same forecast.

    Not in it: prompts that a provider has cached, limits that it does not tell, and who else uses its key.
    """
    before, answer = jobs_of(definition, plan, work)
    jobs = [*before, answer]
    draws = max(_FEWEST, min(_DRAWS, _CALLS // max(1, sum(job.calls for job in jobs))))
    drawing, drawn = Drawing(grounds, draws, _SEED), list[Drawn]()
    for job in jobs:
        drawn.append(drawing.job(job, [drawn[need] for need in job.needs]))
    ends, chain = _carried(jobs, drawn, draws, definition.limits)
    critical = {place for place in chain if jobs[place].calls}
    subtasks = [*plan.subtasks, Subtask("answer", "", "")]
    lines = [
        _line(subtask, jobs[place], drawn[place], draws, critical=place in critical)
        for place, subtask in enumerate(subtasks)
    ]
    total = _total(jobs, drawn, ends)
    return Proposal(run, work.task, plan, tuple(lines[:-1]), lines[-1], total, grounds.assumed)


def _carried(jobs: Sequence[Job], drawn: Sequence[Drawn], draws: int, limits: Limits) -> tuple[Draws, tuple[int, ...]]:
    """When everything has ended, by draw, and the chain of jobs that ended last most often."""
    each = [_by_draw(one, draws) for one in drawn]
    ends, chains = list[float](), Counter[tuple[int, ...]]()
    for draw in range(draws):
        items = [Item(job.needs, stages[draw]) for job, stages in zip(jobs, each, strict=True)]
        ended = schedule(items, limits)
        ends.append(max(ended.at))
        chains[ended.chain()] += 1
    return ends, chains.most_common(1)[0][0]


def _by_draw(drawn: Drawn, draws: int) -> Sequence[tuple[tuple[float, ...], ...]]:
    """The seconds of the calls of each stage, draw by draw."""
    stages = [list(zip(*stage, strict=True)) for stage in drawn.stages]
    return list(zip(*stages, strict=True)) if stages else [()] * draws


def _line(subtask: Subtask, job: Job, drawn: Drawn, draws: int, *, critical: bool) -> Line:
    return Line(
        name=subtask.id,
        type=subtask.type,
        description=subtask.description,
        needs=subtask.needs,
        calls=job.calls,
        tokens=_whole(drawn.tokens),
        cost=_money(drawn.cost),
        seconds=_range([sum(map(max, stages)) for stages in _by_draw(drawn, draws)]),
        source=_source(drawn.told),
        known=_known(drawn.told),
        critical=critical,
    )


def _total(jobs: Sequence[Job], drawn: Sequence[Drawn], ends: Draws) -> Line:
    told = [efforts for each in drawn for efforts in each.told]
    costs = [each.cost for each in drawn if each.cost is not None]
    return Line(
        name="total",
        calls=sum(job.calls for job in jobs),
        tokens=_whole([sum(each) for each in zip(*(one.tokens for one in drawn), strict=True)]),
        cost=_money([sum(each) for each in zip(*costs, strict=True)] if len(costs) == len(drawn) else None),
        seconds=_range(ends),
        source=_source(told),
        known=_known(told),
    )


def _source(told: Collection[Sequence[Effort]]) -> Source:
    known = sum(bool(efforts) for efforts in told)
    if not told:
        return "none"
    return "history" if known == len(told) else "mixed" if known else "defaults"


def _known(told: Iterable[Sequence[Effort]]) -> int:
    """Recorded calls, each counted once, whatever was drawn from it."""
    pools = {id(efforts): efforts for efforts in told}.values()
    return len({id(effort) for efforts in pools for effort in efforts})


def _range(draws: Sequence[float]) -> Range[float]:
    ordered = sorted(draws)
    last = len(ordered) - 1
    return Range(round(ordered[last // 2], 3), round(ordered[math.ceil(0.95 * last)], 3))


def _whole(draws: Draws) -> Range[int]:
    found = _range(draws)
    return Range(round(found.p50), round(found.p95))


def _money(draws: Draws | None) -> Range[Decimal] | None:
    """Dollars, to the millionth."""
    if draws is None:
        return None
    ordered = sorted(draws)
    last = len(ordered) - 1
    return Range(_dollars(ordered[last // 2]), _dollars(ordered[math.ceil(0.95 * last)]))


def _dollars(amount: float) -> Decimal:
    return Decimal(f"{amount:.6f}")
