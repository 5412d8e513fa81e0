"""What a measured process is told and what it tells: CPU, wall time, peak memory, all of itself only."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from bench.job import Job
from bench.peak import peak_memory


class Spec(Struct, frozen=True, omit_defaults=True):
    """What a measured process does: `job`, `repeat` times one after the other, at the endpoint `url`.

    The rest is for our own process: where the log is kept, if anywhere, and the limits.
    """

    url: str
    job: Job
    repeat: int = 1
    store: str | None = None
    parallel: int | None = None
    rpm: float | None = None
    tpm: float | None = None


class Figures(Struct, frozen=True):
    """Seconds of CPU and wall time for one repetition, and peak memory in bytes."""

    cpu: float
    wall: float
    memory: int


def measured(run: Callable[[Spec], Awaitable[None]]) -> None:
    """Be a measured process: warm up, run what the arguments say, print the figures."""
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    print(msgspec.json.encode(asyncio.run(_measure(run, spec))).decode())


async def _measure(run: Callable[[Spec], Awaitable[None]], spec: Spec) -> Figures:
    await run(Spec(spec.url, Job(3), store=spec.store))
    if spec.rpm is not None:
        await asyncio.sleep(1)  # until the endpoint's bucket is full again
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(spec.repeat):
        await run(spec)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Figures(cpu / spec.repeat, wall / spec.repeat, peak_memory())
