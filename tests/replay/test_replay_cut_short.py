"""Runs that a deadline or a budget cut short come out of a replay as they were, whatever they are made of."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, carry, plan_of
from stretto import Limits, Role, Simulator, Workflow
from stretto.calls import Call
from stretto.errors import StrettoError
from stretto.run_stream import RunStream
from stretto.runs import Run

INNER = Workflow("sim:a", {"detail": Role("sim:a", samples=2, merge="best")}, "sim:a", limits=Limits(rounds=2))
PARTS = {
    "ensembles": Role("sim:a", samples=3, merge="synthesize", check="Is it right?"),
    "checks": Role("sim:a", check="Is it right?"),
    "within": Role(workflow=INNER.definition, check="Is it right?"),
    "condensing": Role("sim:a", context=4000),
}


async def carried(stream: RunStream) -> Run:
    async with stream as events:
        try:
            return await events.finished()
        except StrettoError:
            return events.run


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("limits", [Limits(deadline=0.06), Limits(deadline=0.15), Limits(tokens=9000)])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_run_cut_short_is_replayed_as_it_was(tmp_path: Path, name: str, limits: Limits, rounds: int) -> None:
    limits = Limits(deadline=limits.deadline, tokens=limits.tokens, rounds=rounds)
    long = 700.0 if name == "condensing" else 12.0
    simulator = Simulator(ttft=0.003, ttft_spread=0.8, tokens_per_second=9000, length=long, doubts=0.5)
    writer = Role("sim:a", context=3500) if name == "condensing" else Role("sim:a")
    workflow = Workflow(
        writer, {"part": PARTS[name]}, writer, limits=limits, providers={"sim": simulator}, store=tmp_path / "s.db"
    )

    async def main() -> None:
        run = await carried(workflow.stream("Compare teas in exactly 3 subtasks with needs"))
        replay = workflow.replay(run.id)
        async with asyncio.timeout(20):
            again = await carried(replay)
        assert replay.differences == []
        assert (again.status, again.error) == (run.status, run.error)
        assert again.results == run.results

    asyncio.run(main())


def test_that_no_further_round_is_planned_is_told() -> None:
    def slow(call: Call, _: int) -> list[Any]:
        return [plan_of("a", "b")] if call.role == "orchestrator" else [10.0, "late"] if call.subtask == "t2" else ["x"]

    told = carry(slow, replace(TRIO, limits=Limits(rounds=3, deadline=8)))
    assert [call.role for call in told.run.calls].count("orchestrator") == 1
    assert "deadline: no further round is planned" in told.run.coverage.degraded
