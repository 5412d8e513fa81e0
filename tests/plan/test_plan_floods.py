"""Plans that do not end: nothing that an orchestrator says holds up the loop, or is read for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from msgspec.structs import replace

from drawn import whole
from models import TRIO, carry, plan_of
from stretto import Role, Usage
from stretto.calls import Call, Chunk, Done, Sent, Text

FLOODS = {  # each longer than is looked at of it
    "unclosed": '{"tasks": [' + '{"description": "a' * 30_000,
    "braces": "{" * whole(300_000, 150_000),
    "lines": "- a b c d e\n" * whole(50_000, 15_000),
    "yaml": "a: b\n" * whole(60_000, 30_000),
    "objects": '{"a":1}\n' * whole(40_000, 20_000),
    "table": "| a | b |\n" * whole(60_000, 15_000),
}


class Flooding:
    """A model whose plan is this, in one piece; whatever else it is asked it answers."""

    def __init__(self, plan: str) -> None:
        self._plan = plan

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        yield Sent()
        yield Text(self._plan if call.plans else "Fine.")
        yield Done("stop", Usage(10, 10))


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOODS)
def test_a_long_reply_that_is_no_plan_comes_to_an_end_and_to_an_answer(name: str) -> None:
    told = carry(Flooding(FLOODS[name]))
    assert told.run.answer == "Fine."
    assert told.run.plan.remarks


def test_what_a_plan_lists_before_it_is_too_long_is_done() -> None:
    plan = plan_of("One.", "Two.")[:-2] + ', {"type": "part", "description": "' + "x" * 4_000_000
    told = carry(Flooding(plan))
    assert [subtask.description for subtask in told.run.plan.subtasks][:2] == ["One.", "Two."]
    assert {result.outcome for result in told.run.results.values()} == {"done"}


ANSWERS = {
    "references": "So.\n" + "[^t1]" * whole(200_000, 60_000),
    "lines of references": "a [^t1]\n" * whole(50_000, 30_000),
}


class Citing(Flooding):
    """A model whose answer is this, in one piece; `turns`: how often others came to theirs while it was read."""

    def __init__(self, answer: str) -> None:
        super().__init__(plan_of("One."))
        self._answer = answer
        self.turns = 0

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        if call.role != "synthesizer":
            async for chunk in super().stream(call):
                yield chunk
            return
        yield Sent()
        other = asyncio.create_task(self._other())
        yield Text(self._answer)
        other.cancel()
        yield Done("stop", Usage(10, 10))

    async def _other(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_full_of_references_holds_nobody_up(name: str) -> None:
    model = Citing(ANSWERS[name])
    told = carry(model, replace(TRIO, synthesizer=Role("sim:s", prompt="{worker_responses}\n{references}")))
    assert told.run.citations
    assert model.turns > len(ANSWERS[name]) // 10_000
