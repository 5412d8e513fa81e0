"""What type checkers are told of Stretto: both must find each of these types, and no error."""

from decimal import Decimal
from typing import Any, assert_type

import msgspec

import stretto
from stretto.testing import on_simulator

MODEL = "sim:instant"
LIMITS = stretto.Limits(budget="50c", deadline="2m30s", tokens="250k", hedge="5%", rpm=600)


class Tea(msgspec.Struct):
    """What an answer is here."""

    name: str


class Flow(stretto.Workflow[Tea]):
    """One of a user's own."""


def holds(subtask: stretto.Subtask, text: str) -> bool:
    """A function that checks."""
    return subtask.type in text


def asked(_: stretto.proposal.Proposal) -> stretto.proposal.Decision:
    """A function that approves."""
    return stretto.proposal.Go()


async def typed() -> None:
    """What has a type of its own has it all the way."""
    flow = stretto.Workflow(
        MODEL, {"part": stretto.Role(MODEL, check=holds, schema=Tea)}, MODEL, answer=Tea, limits=LIMITS
    )
    assert_type(flow, stretto.Workflow[Tea])
    assert_type(flow.run_sync("Tea?").parsed, Tea)
    assert_type((await flow.run("Tea?", fresh="everything")).parsed.name, str)
    assert_type(flow.run_sync("Tea?", direct=True, approve=stretto.proposal.Over("50c", asked)).answer, str)
    async with flow.stream("Tea?") as events:
        assert_type(await events.finished(), stretto.Run[Tea])
    assert_type(flow.replay("01K").run, stretto.Run[Tea])
    assert_type(await stretto.notebook.show(flow.resume("01K")), stretto.Run[Tea])
    assert_type(stretto.Workflow.from_toml("solve", answer=Tea, model=MODEL), stretto.Workflow[Tea])
    assert_type(on_simulator(flow), stretto.Workflow[Tea])


def untyped() -> stretto.Run:
    """Who gives no type is not asked for one."""
    flow = stretto.Workflow(
        MODEL, {"part": stretto.Function(holds), "deep": stretto.Workflow(None, {"a": MODEL})}, MODEL
    )
    assert_type(flow, stretto.Workflow[Any])
    assert_type(stretto.Workflow.from_toml("solve", limits={"budget": "50c"}), stretto.Workflow[Any])
    assert_type(Flow.from_toml("solve"), Flow)
    assert_type(flow.definition.limits.budget, Decimal | None)
    shaped = stretto.Workflow(MODEL, {"part": MODEL}, MODEL, answer={"type": "object"}, limits={"budget": "$0.50"})
    return shaped.run_sync("Tea?")
