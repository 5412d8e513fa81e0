"""How a page is run and measured; the standard library only, for the peers' environments have nothing else of ours."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from bench.peak import peak_memory
from bench.peers.programs import prompts

KEY = "none-is-needed"
"""What stands in the place of an API key."""


@dataclass(frozen=True)
class Spec:
    """What a page does: so many `workers`, `repeat` times one after the other, at the endpoint `url`.

    `calm`: an endpoint at which nothing takes time or fails, to warm up at. `parallel`: calls at once, None for any
    number. `store`: a file for a log, for those that keep one.
    """

    url: str
    calm: str
    workers: int
    repeat: int = 1
    parallel: int | None = None
    store: str | None = None


@dataclass(frozen=True)
class Said:
    """What the caller of a peer is told: the answer, and what is missing in it, None if nothing speaks of that."""

    answer: str
    missing: list[str] | None = None


Run = Callable[[str], Awaitable[Said]]
"""Answer a task."""
Prepared = Callable[[Spec], AbstractAsyncContextManager[Run]]
"""What is made once in a process, clients and agents, open for as long as it is used."""


def measured(prepared: Prepared) -> None:
    """Be a measured process: warm up, run what the arguments say, print the figures or the error."""
    spec = Spec(**json.loads(sys.argv[1]))
    print(json.dumps(asyncio.run(_measure(prepared, spec))))


async def _measure(prepared: Prepared, spec: Spec) -> dict[str, object]:
    async with prepared(Spec(spec.calm, spec.calm, 3)) as run:
        await run(prompts.task(3))
    async with prepared(spec) as run:
        said, error = Said(""), None
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            for _ in range(spec.repeat):
                said = await run(prompts.task(spec.workers))
        except Exception as raised:  # noqa: BLE001 - whatever a peer raises is what its user gets: it is reported
            error = _named(raised)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        **asdict(said), "error": error, "wall": wall / spec.repeat, "cpu": cpu / spec.repeat, "memory": peak_memory()
    }  # fmt: skip


def _named(raised: BaseException) -> str:
    """The kind of an error and how it begins; of a group, the first in it."""
    while isinstance(raised, BaseExceptionGroup):
        raised = raised.exceptions[0]
    return f"{type(raised).__name__}: {raised}"[:300]
