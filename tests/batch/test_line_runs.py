"""What a batch rests on: a run that is begun twice by the same id is one run, and a request that is asked as it is."""

import asyncio
from pathlib import Path

import pytest

from simulated import simulator_of
from stretto import Message, Run, Workflow
from stretto.errors import RunBusy, TaskError
from stretto.ground.ids import group_of, is_ulid, made_at, named_ulid, new_ulid
from stretto.models.simulator import SimulatedProvider
from stretto.store.sqlite import Store

TASK = "Compare tea and coffee in 3 subtasks"
MESSAGES = (
    Message("system", "Be brief."),
    Message("user", "Hello"),
    Message("assistant", "Hello!"),
    Message("user", "What is a brick?"),
)


@pytest.fixture
def flow(tmp_path: Path) -> Workflow[None]:
    return Workflow("sim:instant", {"part": "sim:instant"}, "sim:instant", store=tmp_path / "s.db")


async def carried(flow: Workflow[None], **more: object) -> Run[None]:
    async with flow.stream(TASK, **more) as events:  # type: ignore[arg-type]  # as the test has it
        return await events.finished()


def test_ids_of_a_group_begin_alike_and_are_the_same_each_time() -> None:
    one, other = named_ulid("batch /out.jsonl", "1"), named_ulid("batch /out.jsonl", "2")
    assert one == named_ulid("batch /out.jsonl", "1") != other
    assert group_of(one) == group_of(other) != group_of(named_ulid("batch /other.jsonl", "1"))
    assert all(map(is_ulid, (one, other, new_ulid())))
    assert not is_ulid("1")
    assert made_at(one).year < 2006


def test_a_run_that_is_begun_again_by_its_id_asks_nothing_twice(flow: Workflow[None]) -> None:
    id_ = new_ulid()

    async def twice() -> tuple[Run[None], Run[None], SimulatedProvider]:
        return await carried(flow, run_id=id_), await carried(flow, run_id=id_), simulator_of(flow)

    first, second, provider = asyncio.run(twice())
    assert first.id == second.id == id_
    assert first.answer == second.answer
    assert second.executions == 2
    assert set(provider.asked.values()) == {1}
    assert flow.store
    assert len(Store(flow.store).recent(10)) == 1


def test_an_id_that_is_none_is_refused(flow: Workflow[None]) -> None:
    with pytest.raises(TaskError, match="no id of a run"):
        flow.stream(TASK, run_id="line 1")


def test_two_that_begin_the_same_run_at_once_are_not_both_paid(flow: Workflow[None]) -> None:
    async def both() -> None:
        id_ = new_ulid()
        async with flow.stream(TASK, run_id=id_) as first:
            await anext(first)
            with pytest.raises(RunBusy):
                await carried(flow, run_id=id_)
            await first.finished()

    asyncio.run(both())


def test_messages_are_asked_word_for_word_and_again_by_whoever_goes_on(flow: Workflow[None]) -> None:
    async def asked() -> list[Run[None]]:
        first = await carried(flow, messages=MESSAGES)
        async with flow.resume(first.id) as events:
            second = await events.finished()
        async with flow.rerun(first.id) as events:
            return [first, second, await events.finished()]

    first, second, third = asyncio.run(asked())
    assert first.answer == second.answer == third.answer
    assert first.plan.subtasks == ()
    assert flow.store
    for run in (first, third):
        (record,) = Store(flow.store).records(run.id).values()
        assert record.request
        assert record.request.messages == MESSAGES
    assert third.usage.output_tokens == 0
