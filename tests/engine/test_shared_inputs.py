"""Inputs that are read by shares: a subtask for each, and the answer from what they found."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from models import TRIO, carry
from stretto import Input, Limits, Role, Workflow
from stretto.calls import Call
from stretto.errors import TaskError
from stretto.events import RunStarted
from stretto.head import messages_of
from stretto.types import Basis

READERS = replace(TRIO, orchestrator=None, workers={"reader": Role("sim:r", share=100)})
INPUTS = (Input("a.md", "alpha\n" * 40), Input("b.md", "beta\n" * 60), Input("c.md", "gamma\n"))


def begun(*inputs: Input) -> list[RunStarted]:
    return [RunStarted(run="r1", seq=1, task="What is said?", workflow={}, basis=Basis(inputs=inputs))]


def test_every_part_of_the_inputs_is_read_by_a_worker_and_the_synthesizer_reads_what_they_found() -> None:
    seen: dict[str, str] = {}

    def say(call: Call, _: int) -> list[Any]:
        seen[call.subtask or call.role] = "\n".join(message.content for message in messages_of(call.request))
        return ["Found." if call.subtask else "The answer."]

    told = carry(say, READERS, history=begun(*INPUTS))
    assert told.error is None
    read = [piece for subtask in told.run.plan.subtasks for piece in subtask.reads]
    assert len(told.run.plan.subtasks) > 2
    assert {piece.partition(":")[0] for piece in read} == {"i1", "i2", "i3"}
    assert sum(text.count("alpha") for name, text in seen.items() if name != "synthesizer") == 40
    assert "alpha" not in seen["synthesizer"]
    assert "copied" in seen["synthesizer"]
    assert told.run.coverage.complete


def test_without_inputs_one_worker_does_the_whole_task() -> None:
    told = carry(lambda *_: ["Done."], READERS)
    assert [subtask.reads for subtask in told.run.plan.subtasks] == [()]


def test_more_shares_than_subtasks_are_permitted_are_told() -> None:
    few = replace(READERS, limits=Limits(max_subtasks=2))
    told = carry(lambda *_: ["Done."], few, history=begun(*INPUTS))
    assert len(told.run.plan.subtasks) == 2
    assert told.run.coverage.plan == "bounded"


def test_an_execution_goes_on_with_the_same_shares() -> None:
    whole = carry(lambda *_: ["Done."], READERS, history=begun(*INPUTS))
    events = [event for _, event in whole.events if event.stored]
    for cut in range(len(events) - 1):
        again = carry(lambda *_: ["Done."], READERS, history=[*begun(*INPUTS), *events[:cut]])
        assert again.run.plan.subtasks == whole.run.plan.subtasks


def test_a_given_plan_that_reads_what_is_not_there_is_refused_before_anything_is_asked() -> None:
    flow = Workflow("sim:instant", {"reader": "sim:instant"}, "sim:instant")
    plan = {"tasks": [{"type": "reader", "description": "Read.", "reads": ["i9"]}]}

    async def main() -> list[str]:
        async with flow.stream("What is said?", plan=plan, inputs=INPUTS) as events:
            return [event.kind async for event in events]

    with pytest.raises(TaskError, match="'i9': there are 3 inputs"):
        asyncio.run(main())
