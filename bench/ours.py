"""Our process: the same requests with a `Workflow`, as a Python user would run it."""

from bench.job import TASK, types
from bench.meter import Spec, measured
from stretto import Limits, Provider, Role, Workflow


async def _run(spec: Spec) -> None:
    job = spec.job
    most = job.workers + 2
    flow = Workflow(
        Role("bench:" + job.model("plan")),
        dict.fromkeys(types(job), Role("bench:" + job.model("work"), stream=bool(job.tokens))),
        Role("bench:" + job.model("join"), context=1_000_000),  # what is measured is not condensing
        limits=Limits(parallel=spec.parallel or most, max_subtasks=most, rpm=spec.rpm, tpm=spec.tpm),
        providers={"bench": Provider(spec.url)},
        store=spec.store,
    )
    run = await flow.run(TASK)
    assert run.coverage.complete, run.coverage
    assert len(run.results) == job.workers
    assert run.answer


if __name__ == "__main__":
    measured(_run)
