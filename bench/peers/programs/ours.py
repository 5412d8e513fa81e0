"""Stretto, with its log on the disk: a `Workflow`, and nothing set but how many may be in flight.

Source: the README, "From Python".
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.peers.programs.measure import Run, Said, Spec, measured
from stretto import Limits, Provider, Workflow


@asynccontextmanager
async def _prepared(spec: Spec) -> AsyncIterator[Run]:
    most = spec.workers + 2
    flow = Workflow(
        "bench:orchestrator",
        {"work": "bench:worker"},
        "bench:synthesizer",
        limits=Limits(parallel=spec.parallel or most, max_subtasks=most),
        providers={"bench": Provider(spec.url)},
        store=spec.store,
    )

    async def run(task: str) -> Said:
        done = await flow.run(task)
        return Said(done.answer or "", [str(each) for each in done.coverage.missing])

    yield run


if __name__ == "__main__":
    measured(_prepared)
