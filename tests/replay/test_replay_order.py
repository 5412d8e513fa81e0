"""The order of a replay: kept where it can be, and nobody waits for a call that is never made."""

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from models import call, listen
from stretto.calls import Call, Done, fingerprint
from stretto.models.replay.model import Order, Replay
from stretto.models.replay.records import RecordedCall, Records
from virtual import virtually


def asked(subtask: str) -> Call:
    made = call(subtask)
    return replace(made, subtask=subtask, fingerprint=fingerprint(made.request))


def ended(*subtasks: str) -> list[str]:
    """The order in which calls end that are made in this one; recorded are `t1` to `t4`."""
    records = [
        RecordedCall(
            role="worker", subtask=each, fingerprint=asked(each).fingerprint, place=place, text=each, done=Done("stop")
        )
        for place, each in enumerate(("t1", "t2", "t3", "t4"))
    ]
    told: list[str] = []
    model = Replay(Records("r1", records, {}, {}), Order(records, ()))

    async def one(subtask: str, after: float) -> None:
        await asyncio.sleep(after)
        await listen(model, asked(subtask))
        told.append(subtask)

    async def main() -> Sequence[str]:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for number, subtask in enumerate(subtasks):
                group.create_task(one(subtask, 0.01 * number))
        return told

    return list(virtually(main()))


def test_calls_end_as_they_did() -> None:
    assert ended("t4", "t2", "t3", "t1") == ["t1", "t2", "t3", "t4"]


def test_a_call_that_is_never_made_holds_nobody_up_for_ever() -> None:
    assert ended("t4", "t3") == ["t3", "t4"]
    assert ended("t4", "t1", "t3") == ["t1", "t3", "t4"]
