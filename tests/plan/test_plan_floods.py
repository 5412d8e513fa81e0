"""Plans that do not end: nothing that an orchestrator says holds up the loop, or is read for ever."""

from collections.abc import AsyncGenerator

import pytest

from models import carry, plan_of
from stretto.calls import Call, Chunk, Done, Sent, Text
from stretto.types import Usage

FLOODS = {
    "unclosed": '{"tasks": [' + '{"description": "a' * 30_000,
    "braces": "{" * 300_000,
    "lines": "- a b c d e\n" * 50_000,
    "yaml": "a: b\n" * 60_000,
    "objects": '{"a":1}\n' * 40_000,
    "table": "| a | b |\n" * 60_000,
}


class Flooding:
    """A model whose plan is this, in one piece; whatever else it is asked it answers."""

    def __init__(self, plan: str) -> None:
        self._plan = plan

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        yield Sent()
        yield Text(self._plan if call.plans else "Fine.")
        yield Done("stop", Usage(10, 10))


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
