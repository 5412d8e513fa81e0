"""The budget of a whole batch: runs set theirs aside from it as calls do from that of a run."""

import asyncio
import random
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from stretto.batch.carrying import Purse
from stretto.virtual import virtually


@examples(300)
@given(
    st.integers(0, 2000), st.integers(1, 300), st.integers(0, 500), st.lists(st.integers(0, 300), max_size=40),
    st.integers(1, 12), st.integers(0, 99),
)  # fmt: skip
def test_whatever_runs_cost_all_together_stay_below_it_and_none_waits_for_nothing(
    total: int, each: int, before: int, costs: list[int], at_once: int, seed: int
) -> None:
    cents, lot, spent, left = [min(cost, each) for cost in costs], random.Random(seed), [before], list[int]()
    purse = Purse(Decimal(total), Decimal(each), Decimal(before))

    async def run(waiting: list[int]) -> None:
        while waiting:
            cost = waiting.pop(0)
            if not await purse.take(Decimal(0)):
                left.append(cost)
                continue
            await asyncio.sleep(lot.random())
            spent.append(cost)
            await purse.settle(Decimal(cost))

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(run(cents))

    virtually(all_of_them())
    assert sum(spent) <= max(total, before)
    if left:
        assert sum(spent) + each > total


def test_what_a_run_has_cost_before_is_a_part_of_what_is_set_aside_for_it() -> None:
    async def go_on() -> list[bool]:
        purse = Purse(Decimal(10), Decimal(5), Decimal(8))  # two runs were killed, each had spent four
        both = [await purse.take(Decimal(4)), await purse.take(Decimal(4))]
        for cost in (5, 4):
            await purse.settle(Decimal(cost))
        return [*both, await purse.take(Decimal(0))]

    assert virtually(go_on()) == [True, True, False]
