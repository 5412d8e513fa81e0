"""What begins in the same moment is spread over turns of the loop, in the order in which it came."""

import asyncio
import time

from loops import on_loop
from stretto.ground.turns import my_turn
from stretto.virtual import virtually

MANY, LONG = 60, 0.002


async def work(number: int, done: list[int]) -> None:
    await my_turn()
    time.sleep(LONG)  # noqa: ASYNC251 - it is work of the loop's that is meant
    done.append(number)


@on_loop
async def test_others_come_to_their_turn_between_many_that_begin_at_once() -> None:
    done = list[int]()
    looks = list[int]()
    workers = [asyncio.create_task(work(number, done)) for number in range(MANY)]
    while len(done) < MANY:
        await asyncio.sleep(0)
        looks.append(len(done))
    assert done == sorted(done)
    assert len(set(looks)) > 5, "all of it came in a few turns"
    await asyncio.gather(*workers)


@on_loop
async def test_one_that_is_cancelled_while_it_waits_keeps_nobody_waiting() -> None:
    done = list[int]()
    workers = [asyncio.create_task(work(number, done)) for number in range(MANY)]
    await asyncio.sleep(0)
    for worker in workers[1::2]:
        worker.cancel()
    await asyncio.wait(workers)
    assert [number for number in done if number % 2 == 0] == list(range(0, MANY, 2))
    await asyncio.wait_for(my_turn(), 10)


def test_in_virtual_time_nobody_waits() -> None:
    async def begun() -> list[int]:
        done = list[int]()
        workers = [asyncio.create_task(work(number, done)) for number in range(MANY)]
        await asyncio.sleep(0)
        assert done == list(range(MANY))
        await asyncio.gather(*workers)
        return done

    assert len(virtually(begun())) == MANY
