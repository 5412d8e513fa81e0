"""What a user gets when the network fails: over real sockets, with the model that speaks to real endpoints."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from drawn import whole
from stretto import Limits, Provider, Role, Run, Simulator, Workflow
from stretto.errors import StrettoError
from stretto.models.simulator import parse_fault
from stretto.server.sim import PROVIDER, listening, simulator_app

TASK = "Describe tea in 6 subtasks."
ROLES = {
    "orchestrator": "role=orchestrator",
    "one worker": "role=worker match='Cover the wider consequences'",
    "streamed worker": "role=worker match='Cover the wider consequences'",
    "synthesizer": "role=synthesizer",
}
WAITS = ("silence", "trickle")
"""What ends only because a time is over; for the others a busy machine has all the time it needs."""

# A call is asked twice at most. A trickle says a few tokens of a plan before the time of its call is over.
MATRIX = """
fault                       orchestrator             one worker        streamed worker   synthesizer
429 once retry_after=0.2    6 done                   6 done            6 done            6 done
500 once                    6 done                   6 done            6 done            6 done
500 always                  directly                 5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
reset once                  6 done                   6 done            6 done            6 done
reset always                ConnectError             5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
disconnect once             6 done                   6 done            6 done            6 done
disconnect always           3 done, plan incomplete  5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
silence once                6 done                   6 done            6 done            6 done
silence always              3 done, plan incomplete  5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
trickle once every=200ms    6 done                   6 done            6 done            6 done
trickle always every=200ms  directly                 5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
html once                   directly                 5 done, 1 failed  5 done, 1 failed  6 done, answer unmerged
empty once                  6 done                   6 done            6 done            6 done
huge once size=1MB          6 done                   6 done            6 done            6 done
""".replace("size=1MB", whole("size=2MB", "size=1MB"))


def rows() -> Iterator[tuple[str, dict[str, str]]]:
    header, *lines = MATRIX.strip().splitlines()
    starts = [header.index(role) for role in ROLES]
    for line in lines:
        ends = [*starts[1:], len(line)]
        gets = {role: line[a:b].strip() for role, a, b in zip(ROLES, starts, ends, strict=True)}
        yield line[: starts[0]].strip(), gets


def got(run: Run, error: StrettoError | None) -> str:
    """What the user gets, as the matrix says it."""
    if error is not None:
        return type(error).__name__
    said = [f"{count} {outcome}" for outcome, count in run.coverage.counts.items() if count]
    said += [f"plan {run.coverage.plan}"] if run.coverage.plan != "complete" and not run.coverage.direct else []
    said += ["directly"] if run.coverage.direct else []
    said += [f"answer {run.coverage.answer}"] if run.coverage.answer != "complete" else []
    return ", ".join(said)


async def carried(fault: str, role: str) -> tuple[str, Counter[str]]:
    """What one run at a simulated endpoint comes to, and how often each of its replies was completed."""
    app = simulator_app(Simulator(ttft=0, tokens_per_second=1e6, faults=(parse_fault(f"{fault} {ROLES[role]}"),)))
    async with listening(app) as url:
        # The silence that a stream may keep is less than a call may take, and more than a trickle pauses.
        timeout, silence = (3.0, 1.0) if fault.startswith(WAITS) else (20.0, 20.0)
        providers = {"far": Provider(url, first_byte=silence, silence=silence)}
        worker = Role("far:x", stream=role == "streamed worker")
        limits = Limits(attempts=2, timeout=timeout)
        flow = Workflow("far:x", {"part": worker}, "far:x", limits=limits, providers=providers)
        error = None
        async with flow.stream(TASK) as events:
            try:
                await events.finished()
            except StrettoError as raised:
                error = raised
            return got(events.run, error), app[PROVIDER].completed


GETS = dict(rows())
WAITING = [fault for fault in GETS if fault.startswith(WAITS)]
TOGETHER = [[fault] for fault in GETS if fault not in WAITING] + [WAITING]
"""The faults whose runs take place at the same time; what only waits can wait together."""


@pytest.mark.slow
@pytest.mark.parametrize("faults", TOGETHER, ids=", ".join)
def test_the_user_gets_what_the_matrix_says_and_pays_nothing_twice(faults: list[str]) -> None:
    cells = [(fault, role) for fault in faults for role in ROLES]

    async def main() -> list[tuple[str, Counter[str]]]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*(carried(fault, role) for fault, role in cells))

    told = dict(zip(cells, asyncio.run(main()), strict=True))
    assert {cell: what for cell, (what, _) in told.items()} == {cell: GETS[cell[0]][cell[1]] for cell in cells}
    assert [cell for cell, (_, completed) in told.items() if set(completed.values()) - {1}] == []
