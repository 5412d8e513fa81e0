"""Runs with every limit at once, stopped at any moment: nothing goes on, and the log and the bill are whole."""

import asyncio
import random
from decimal import Decimal

import pytest

from drawn import share
from simulated import simulator_of
from stretto import Limits, Price, Role, Run, RunStream, Simulator, Usage, Workflow
from stretto.errors import StrettoError
from stretto.models.simulator import parse_fault
from virtual import virtually

FAULTS = (
    "429 rate=0.2 retry_after=1", "500 rate=0.2", "disconnect rate=0.2", "silence rate=0.1 seconds=20",
    "truncated role=orchestrator", "malformed",
)  # fmt: skip
PRICE = Price(Decimal(1), Decimal(5))


def pressed(lot: random.Random, seed: int) -> Workflow:
    limits = Limits(
        parallel=lot.choice([4, 64]),
        rpm=lot.choice([None, 600]),
        tpm=lot.choice([None, 100_000]),
        budget=lot.choice([Decimal("0.05"), Decimal("0.5"), Decimal(5)]),
        tokens=lot.choice([None, 200_000]),
        deadline=lot.choice([None, 5, 20, 60]),
        hedge=0.1,
        attempts=3,
        timeout=lot.choice([10, 600]),
        max_wait=lot.choice([5, 900]),
    )
    faults = tuple(parse_fault(fault) for fault in lot.sample(FAULTS, lot.randint(0, 4)))
    simulator = Simulator(
        seed=seed, faults=faults, rpm=lot.choice([None, 300]), length_spread=1.5, ttft_spread=1.0
    )  # fmt: skip
    flow = Workflow(
        "sim:p",
        {"part": Role(("sim:w", "sim:v"))},
        Role(("sim:s", "sim:v")),
        limits=limits,
        providers={"sim": simulator},
        prices=dict.fromkeys(("sim:p", "sim:w", "sim:v", "sim:s"), PRICE),
    )
    flow.jitter = lot.uniform
    return flow


async def read(stream: RunStream) -> None:
    async for _ in stream:
        pass


async def stopped(seed: int) -> Run:
    """The run as far as it came; its limits, its bill and its provider are looked at."""
    lot = random.Random(seed)
    flow = pressed(lot, seed)
    async with flow.stream(f"Describe tea with needs in {lot.randint(5, 60)} subtasks.") as stream:
        reading = asyncio.create_task(read(stream))
        await asyncio.wait([reading], timeout=lot.uniform(0, lot.choice([1, 5, 20, 60])))
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled() and (error := reading.exception()):
            assert isinstance(error, StrettoError)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert simulator_of(flow).in_flight == 0
    _look(flow, stream.run)
    return stream.run


def _look(flow: Workflow, run: Run) -> None:
    assert not [call.id for call in run.calls if call.started and not call.finished]
    assert run.cost == sum(call.finished.cost or 0 for call in run.calls if call.finished)
    charged = sum(simulator_of(flow).billed.values(), Usage())
    limits = flow.definition.limits
    assert limits.budget is not None
    assert run.cost is not None
    assert max(PRICE.of(charged), run.cost) <= limits.budget
    assert charged.input_tokens + charged.output_tokens <= (limits.tokens or 10**9)


@pytest.mark.slow
def test_a_run_stopped_at_any_moment_leaves_nothing_behind() -> None:
    seeds = range(120 - share(120, 40), 120)  # among the last there are some that fail
    runs = [virtually(stopped(seed)) for seed in seeds]
    assert {run.status for run in runs} == {"interrupted", "finished", "failed"}
