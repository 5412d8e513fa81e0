"""Stretto, with its log on the disk: a `Workflow`, told how many may be in flight and how much its synthesizer takes.

All others send their results whole, however many they are. Of a model of which nothing is said Stretto takes it that
128,000 tokens fit, and would have some of 300 results condensed first, at a call each.
Source: the README, "From Python".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.peers.programs.measure import Run, Said, Spec, measured
from stretto import Limits, Provider, Role, Workflow

_WINDOW = 1_000_000


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    most = spec.workers + 2
    flow = Workflow(
        "bench:orchestrator",
        {"work": "bench:worker"},
        Role("bench:synthesizer", context=_WINDOW),
        limits=Limits(parallel=spec.parallel or most, max_subtasks=most),
        providers={"bench": Provider(spec.url)},
        store=spec.store,
    )

    async def run(task: str) -> Said:
        done = await flow.run(task)
        return Said(done.answer, [str(each) for each in done.coverage.missing])

    yield run


if __name__ == "__main__":
    measured(_prepared)
