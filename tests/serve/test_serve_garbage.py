"""A server collects its garbage while nobody waits, and leaves Python's own ways as it found them."""

import asyncio
import gc

from loops import on_loop
from stretto.server.endpoint.serving import collected


@on_loop
async def test_whole_collections_are_ours_while_a_server_runs_and_pythons_before_and_after() -> None:
    before = gc.get_threshold()
    frozen = gc.get_freeze_count()
    async with collected(lambda: True):
        assert gc.get_threshold()[2] > 1000 * before[2]
        assert gc.get_freeze_count() > frozen
        assert gc.isenabled()
    assert gc.get_threshold() == before


@on_loop
async def test_what_is_left_of_work_is_collected_when_few_wait_and_once() -> None:
    whole = list[int]()
    looks = list[bool]()

    def note(phase: str, about: dict[str, int]) -> None:
        if phase == "stop" and about["generation"] == 2:
            whole.append(len(looks))

    def calm() -> bool:
        looks.append(len(looks) > 2)  # at the first three looks many wait
        return looks[-1]

    async with collected(calm, look=0.001):
        await asyncio.sleep(0.01)
        assert not looks, "nothing new, and nobody is even asked whether it is calm"
        gc.callbacks.append(note)
        try:
            kept = [[number] for number in range(200_000)]  # which comes among the oldest
            while not whole:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
        finally:
            gc.callbacks.remove(note)
        assert kept
    assert whole == [4]
