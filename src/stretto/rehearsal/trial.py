"""One run of a rehearsal, in virtual time."""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from stretto import events as e
from stretto.errors import ConfigError, StrettoError
from stretto.ground.regex import regex
from stretto.rehearsal.conditions import Rehearsal
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.types import Limits, Usage
from stretto.virtual import virtually

Answered = Literal["full", "part", "none"]

_VARIES = regex(r"'\w+'|\$?(?<![\w./:-])(?![45]\d\d:)\d+(?:[.,]\d+)*(?!\w)")
"""Names and numbers of one run in a reason; no status, and no part of a model's name."""


class Trial(Struct, frozen=True):
    """What one simulated run came to.

    `seconds`: from the task to the answer, or to the error. `requests`: what was sent, again and in duplicate too;
    `rejected` of them by a rate limit. `missing` counts what is, by the reason, without names and numbers.
    """

    answered: Answered
    seconds: float
    cost: Decimal | None
    usage: Usage
    subtasks: int
    requests: int
    rejected: int
    retried: int
    duplicates: int
    missing: dict[str, int]


def perform(rehearsal: Rehearsal, limits: Limits, seed: int) -> Trial:
    """Carry the rehearsed workflow once, with these limits; raises `ConfigError` if no run of it could begin."""
    workflow = rehearsal.workflow(limits, seed)
    return virtually(_perform(workflow.stream(rehearsal.task, inputs=rehearsal.inputs)))


async def _perform(stream: RunStream) -> Trial:
    loop = asyncio.get_running_loop()
    kinds, started, error = Counter[str](), set[str](), None
    try:
        async with stream as events:
            async for event in events:
                if isinstance(event, e.CallStarted):  # under a budget it may be told again with a repetition
                    kinds["requests"] += event.call not in started
                    started.add(event.call)
                elif isinstance(event, e.CallRetried):
                    kinds["requests"] += 1
                    kinds["rejected" if event.rate_limited else "duplicates" if event.duplicate else "retried"] += 1
    except ConfigError:
        raise
    except StrettoError as failure:  # a run without an answer is a finding
        error = failure
    run = stream.run
    return Trial(
        answered="none" if error else "full" if run.coverage.complete else "part",
        seconds=loop.time(),
        cost=run.cost,
        usage=run.usage,
        subtasks=len(run.plan.subtasks),
        **{name: kinds[name] for name in ("requests", "rejected", "retried", "duplicates")},
        missing=dict(_missing(run, error)),
    )


def _missing(run: Run, error: StrettoError | None) -> Counter[str]:
    reasons = Counter(f"{missing.outcome}: {missing.reason}" for missing in run.coverage.missing)
    if error is not None:
        reasons[f"no answer: {error}"] += 1
    if run.coverage.direct:
        reasons[f"answered by one call: {run.coverage.direct}"] += 1
    elif run.coverage.plan != "complete":
        why = run.plan.remarks[-1] if run.plan.remarks else "the end of the plan could not be had"
        reasons[f"the plan is {run.coverage.plan}: {why}"] += 1
    if run.coverage.answer != "complete":
        reasons[f"the answer is {run.coverage.answer}"] += 1
    alike = Counter[str]()
    for reason, count in reasons.items():
        alike[_VARIES.sub("…", reason)] += count
    return alike
