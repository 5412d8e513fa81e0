"""Latency: what most requests take, known without waiting for the slowest and without forgetting them."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import call
from stretto.calls import Call
from stretto.policies.latency import ENOUGH, REMEMBERED, SHORTEST, Flight, Flights, percentile
from virtual import clock, virtually

SECONDS = st.floats(0.0, 1e3)


@given(st.lists(SECONDS, min_size=1))
def test_of_answered_requests_it_is_the_least_time_that_covers_the_share(times: list[float]) -> None:
    found = percentile([(seconds, False) for seconds in times])
    assert found is not None
    covered = sum(seconds <= found for seconds in times)
    assert covered >= 0.95 * len(times) - 1e-6
    assert sum(seconds < found for seconds in times) < 0.95 * len(times)


@given(st.lists(st.tuples(SECONDS, st.booleans())), st.lists(SECONDS))
def test_requests_that_are_not_back_never_make_it_shorter(times: list[tuple[float, bool]], more: list[float]) -> None:
    before, after = percentile(times), percentile([*times, *((seconds, True) for seconds in more)])
    assert after is None or (before is not None and after >= before)


def test_of_a_burst_it_is_known_when_most_are_back() -> None:
    times = [(seconds / 10, False) for seconds in range(1, 95)]
    assert percentile([*times[:60], *[(9.5, True)] * 40]) is None
    assert percentile([*times, (9.5, False), *[(9.5, True)] * 5]) == 9.5


def test_where_too_many_never_answer_what_takes_several_times_the_slowest_answer_is_late() -> None:
    times = [(seconds / 10, False) for seconds in range(1, 95)]
    assert percentile([*times, *[(9.5, True)] * 6]) == pytest.approx(3 * 9.4)


def test_those_sent_a_moment_ago_say_nothing_about_longer_times() -> None:
    old = [(float(seconds), False) for seconds in range(1, 101)]
    assert percentile([*old, *[(0.5, True)] * 1000]) == 95.0


def test_given_up_ones_do_not_bias_it() -> None:
    """Duplicates that win cancel what is slow: half of the calls that take longer than 3 s are given up somewhere."""
    chance = random.Random(3)
    times = []
    for _ in range(20_000):
        takes, patience = chance.lognormvariate(0, 1), 3 + chance.expovariate(0.3)
        times.append((min(takes, patience), takes > patience))
    assert percentile(times) == pytest.approx(5.18, rel=0.05)


async def answered(flights: Flights, count: int, seconds: float) -> None:
    sent = [flights.send(call()) for _ in range(count)]
    await asyncio.sleep(seconds)
    for flight in sent:
        flights.answer(flight)


def test_it_is_told_of_enough_answers_only_and_of_the_last_ones_sent() -> None:
    async def main() -> None:
        flights = Flights()
        await answered(flights, ENOUGH - 1, 5.0)
        assert flights.most(clock()) is None
        await answered(flights, 1, 5.0)
        assert flights.most(clock()) == 5.0
        await answered(flights, REMEMBERED, 1.0)
        assert flights.most(clock()) == 1.0
        await answered(flights, REMEMBERED, 0.0)
        assert flights.most(clock()) == SHORTEST

    virtually(main())


class Watch:
    """Requests that are told when they are late."""

    def __init__(self, *, yes: bool = True) -> None:
        self.flights = Flights()
        self.told: list[tuple[float, int]] = []
        self.yes = yes

    def send(self, number: int) -> Flight:
        return self.flights.send(call(str(number)), lambda most, late: self._late(number, most, late))

    def _late(self, number: int, most: float, late: Sequence[Call]) -> bool:
        assert most == 2.0
        assert str(number) in [asked.request.messages[-1].content for asked in late]
        self.told.append((clock(), number))
        if self.yes:
            asyncio.get_running_loop().call_later(0.25, self.flights.departed)
        return self.yes


def test_late_ones_are_told_on_time_the_oldest_first_and_the_next_when_the_double_of_one_has_left() -> None:
    async def main() -> None:
        watch = Watch()
        await answered(watch.flights, REMEMBERED, 2.0)
        flights = [watch.send(n) for n in range(3)]
        # Enough answers to look again, when the double of one has not left yet.
        others = [watch.flights.send(call()) for _ in range(10)]
        await asyncio.sleep(1.0)
        flights.append(watch.send(3))
        await asyncio.sleep(1.1)
        for other in others:
            watch.flights.answer(other)
        await asyncio.sleep(1.9)
        assert watch.told == [(4.0, 0), (4.25, 1), (4.5, 2), (5.0, 3)]
        for flight in flights:
            watch.flights.lose(flight)
        assert watch.flights._timer is None

    virtually(main())


def test_one_that_is_let_be_is_looked_at_again_when_it_is_a_tenth_older() -> None:
    async def main() -> None:
        watch = Watch(yes=False)
        await answered(watch.flights, 100, 2.0)
        flight = watch.send(0)
        await asyncio.sleep(20.0)
        ages = [at - 2.0 for at, _ in watch.told]
        assert ages == pytest.approx([2.0 * 1.1**n for n in range(25)], rel=1e-5)
        watch.flights.lose(flight)
        assert watch.flights._timer is None

    virtually(main())


def test_one_that_was_answered_in_time_is_not_told() -> None:
    async def main() -> None:
        watch = Watch()
        await answered(watch.flights, 100, 2.0)
        flight = watch.send(0)
        await asyncio.sleep(1.9)
        watch.flights.answer(flight)
        await asyncio.sleep(10.0)
        assert watch.told == []

    virtually(main())
