"""The governor under pressure: a provider is used at its full rate and hardly ever refuses, whoever told its limits.

All in virtual time, so the figures are exact; the room that is left shows in the assertions.
"""

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncGenerator

import pytest

from models import Scripted, call, listen
from pressure import Crowded, limited, pressed, together
from stretto import Limits, Provider, Simulator, Usage
from stretto.calls import Call, Chunk, Done, Sent, Text, Urgency
from stretto.errors import RateLimited, ServerError
from stretto.policies.governor.gate import Configured, Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue, governor
from stretto.policies.limit import Limit
from stretto.pool import Pool
from stretto.types import Allowance, Quota
from virtual import clock, virtually

BUCKET = 20
IDEAL = (300 - BUCKET) / 10
"""Seconds until the last of 300 may go out at 600 a minute, after what the bucket holds."""


def over(last: float, ideal: float = IDEAL) -> float:
    """How much longer than the ideal it took, with workers of a second."""
    return (last + 1) / (ideal + 1)


@pytest.mark.parametrize("seconds", [0.05, 1.0, 5.0])
def test_a_rate_that_was_configured_is_used_to_the_full_without_a_refusal(seconds: float) -> None:
    seen = pressed(rpm=600, bucket=BUCKET, ttft=seconds, ttft_spread=0.5, tells="nothing", key=Gate(rpm=600))
    assert over(seen.last) < 1.05
    assert seen.refused == 0


def test_a_provider_that_permits_no_burst_refuses_only_the_start_of_a_configured_rate() -> None:
    seen = pressed(rpm=600, bucket=1, tells="nothing", key=Gate(rpm=600))
    assert over(seen.last, 29.9) < 1.05
    assert seen.refused < 10 / 300


@pytest.mark.parametrize("bucket", [1, 20])
@pytest.mark.parametrize("seconds", [0.05, 1.0, 5.0])
def test_a_rate_that_headers_tell_is_used_to_the_full_with_hardly_a_refusal(seconds: float, bucket: int) -> None:
    seen = pressed(rpm=600, bucket=bucket, ttft=seconds, ttft_spread=0.5)
    assert over(seen.last, (300 - bucket) / 10) < 1.02
    assert seen.refused < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("tells", ["retry_after", "nothing"])
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_a_rate_that_nobody_tells_is_learned(seconds: float, tells: str) -> None:
    seen = pressed(rpm=600, bucket=BUCKET, ttft=seconds, ttft_spread=0.5, tells=tells)
    assert over(seen.last) < 1.15
    assert seen.refused < 0.03


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tells", "longest", "most"), [("headers", 1.05, 0.01), ("retry_after", 1.25, 0.03), ("nothing", 1.25, 0.03)]
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tokens_a_minute_are_used_to_the_full_too(tells: str, longest: float, most: float, seed: int) -> None:
    seen = pressed(tpm=120_000, tells=tells, seed=seed, length=145)
    assert over(seen.last, (seen.tokens - 4000) / 2000) < longest
    assert seen.refused < most


@pytest.mark.parametrize("seed", range(4))
def test_configured_tokens_a_minute_are_kept(seed: int) -> None:
    seen = pressed(tpm=120_000, tells="nothing", seed=seed, length=145, key=Gate(tpm=120_000))
    assert over(seen.last, (seen.tokens - 4000) / 2000) < 1.05
    assert seen.refused < (0.01 if seed != 1 else 1e-9)


def test_a_full_bucket_may_go_out_within_moments() -> None:
    seen = pressed(rpm=600, bucket=600)
    assert seen.last < 0.5
    assert seen.refused == 0


@pytest.mark.slow
@pytest.mark.parametrize("late", [0.0, 20.0])
def test_two_processes_on_one_key_share_it_evenly_by_its_headers(late: float) -> None:
    seen = together(2, 800, late=late, rpm=1200, bucket=40, ttft=1.0, ttft_spread=0.35)
    assert seen.last < 1.10 * seen.ideal
    assert min(seen.shares) / max(seen.shares) > 0.8
    assert seen.refused < 0.03


@pytest.mark.slow
def test_two_processes_on_one_key_get_on_with_each_other_where_nothing_is_told() -> None:
    seen = together(2, 1500, late=0.0, rpm=1200, bucket=40, ttft=1.0, ttft_spread=0.35, tells="nothing")
    assert seen.last < 1.10 * seen.ideal
    assert min(seen.shares) / max(seen.shares) > 0.4


@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_has_room_for_fifty_is_used_at_about_fifty(status: int) -> None:
    model = Crowded(50, takes=4.0, status=status)
    model.press(1000)
    assert model.mean_in_flight > 42
    assert model.refused < 30


@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_has_room_for_four_is_seldom_asked_for_more(status: int) -> None:
    model = Crowded(4, takes=4.0, status=status)
    model.press(300)
    assert model.mean_in_flight > 3.8
    assert model.refused < 30


@pytest.mark.parametrize(("count", "most"), [(300, 1.02), (1000, 1.08)])
def test_an_unlimited_provider_that_tells_nothing_costs_hardly_any_time(count: int, most: float) -> None:
    model = Scripted(lambda *_: [4.0, "Hello"])

    async def main() -> None:
        polite = limited(model)

        async def planned(number: int) -> None:
            await asyncio.sleep(2 * number / count)
            await listen(polite, call(f"number {number}"))

        await asyncio.gather(*(planned(number) for number in range(count)))
        assert clock() < most * 6.0

    virtually(main())


def test_a_local_or_configured_provider_is_trusted_from_the_start() -> None:
    async def main() -> None:
        for provider, size in [
            (Provider("http://x/v1"), 16),
            (Provider("http://y/v1", local=True), float("inf")),
            (Provider("http://z/v1", parallel=100), float("inf")),
        ]:
            pool = Pool({"p": provider}, Limits())
            pool.model("p:tea")
            (lane,) = pool._queues
            assert lane._learned.window.size == size

    virtually(main())


def test_the_calls_of_all_workflows_of_a_process_are_one_lane_by_key_and_model() -> None:
    async def main() -> None:
        pools = [Pool({name: Provider("http://x/v1", rpm=60), "sim": Simulator()}, Limits()) for name in ("a", "b")]
        for name, pool in zip("ab", pools, strict=True):
            pool.model(f"{name}:tea")
            pool.model(f"{name}:tea")
            pool.model(f"{name}:milk")
            pool.model("sim:x")
        first, second = ([*pool._queues] for pool in pools)
        assert first[:2] == second[:2]
        assert first[0].gate is first[1].gate
        assert first[2] is not second[2]  # simulators are as separate as their counts

    virtually(main())


def test_what_was_learned_goes_with_its_loop() -> None:
    async def main() -> weakref.ref[Governor]:
        await listen(limited(Scripted(lambda *_: ["Hello"])), call())
        governor().lane("key", "model", Configured(rpm=60))
        return weakref.ref(governor())

    left = virtually(main())
    gc.collect()
    assert left() is None


def test_the_newest_configuration_of_a_key_counts() -> None:
    async def main() -> None:
        here = Governor()
        lane = here.lane("key", "model", Configured(rpm=60))
        assert here.lane("key", "model", Configured()) is lane
        assert lane.gate._configured == Configured(rpm=60)
        here.lane("key", "other", Configured(parallel=3))
        assert lane.gate._configured == Configured(parallel=3)

    virtually(main())


def test_a_call_that_becomes_urgent_while_it_waits_overtakes() -> None:
    async def main() -> None:
        queue, order = Queue(Governor(), Gate(parallel=1), Lane(Gate())), list[str]()
        first = await queue.enter(queue.place(call()))
        calls = {name: call(name, urgency=5) for name in "abc"}

        async def one(name: str) -> None:
            passage = await queue.enter(queue.place(calls[name]))
            order.append(name)
            queue.leave(passage)

        async with asyncio.TaskGroup() as group:
            for name in calls:
                group.create_task(one(name))
            await asyncio.sleep(1)
            calls["c"].urgency.move(1)
            calls["b"].urgency.move(3)
            queue.leave(first)
        assert order == ["c", "b", "a"]
        assert not any(each.urgency.moved for each in calls.values())

    virtually(main())


@pytest.mark.parametrize("queues", [1, 2])
def test_the_least_urgent_is_not_starved_by_an_endless_stream_of_urgent_ones(queues: int) -> None:
    async def main() -> None:
        here, gate = Governor(), Gate(parallel=1)
        lines = [Queue(here, gate, Lane(Gate())) for _ in range(queues)]
        urgent = Limit(Scripted(lambda *_: [1.0, "Hello"]), lines[0], 900)
        patient = Limit(Scripted(lambda *_: [1.0, "Hello"]), lines[-1], 900)

        async def stream(number: int) -> None:
            for turn in itertools.count():
                await listen(urgent, call(f"urgent {number} {turn}", urgency=0))

        crowd = [asyncio.create_task(stream(number)) for number in range(4)]
        await asyncio.sleep(0.5)
        await listen(patient, call("patient", urgency=9))
        assert clock() < 20
        for task in crowd:
            task.cancel()
        await asyncio.wait(crowd)

    virtually(main())


def test_an_overestimate_of_tokens_is_given_back_to_whoever_waits() -> None:
    async def main() -> None:
        model = Scripted(lambda *_: [1.0, "Hello", Done("stop", Usage(1, 9))])
        polite = limited(model, Gate(tpm=600 * 60))
        await asyncio.gather(*(listen(polite, call(f"number {n}")) for n in range(4)))
        # 600 a second hold one estimate of 300 after another; what the first really took lets the others go at once.
        assert model.sent_at[:2] == [0.0, pytest.approx(0.0, abs=0.02)]
        assert clock() < 2.1

    virtually(main())


def test_a_queue_says_whether_there_is_room_for_one_more() -> None:
    async def main() -> None:
        queue = Queue(Governor(), Gate(parallel=2), Lane(Gate()))
        assert queue.spare
        passages = [await queue.enter(queue.place(call())) for _ in range(2)]
        assert not queue.spare
        queue.leave(passages[0])
        assert queue.spare
        queue.lane.pause(clock() + 5)
        assert not queue.spare

    virtually(main())


def test_what_a_provider_tells_of_its_limits_goes_no_further() -> None:
    told = Allowance(Quota(600, 599, 0.1))

    async def main() -> None:
        chunks = await listen(limited(Scripted(lambda *_: [told, "Hello"])), call())
        assert [type(chunk) for chunk in chunks] == [Sent, Text, Done]

    virtually(main())


def test_a_limit_for_a_day_is_not_taken_for_one_of_a_minute() -> None:
    """Groq: 14,400 a day come back at one in six seconds."""

    class Daily:
        def __init__(self) -> None:
            self.left, self.at, self.sent_at = 5.0, 0.0, list[float]()

        async def stream(self, _: Call) -> AsyncGenerator[Chunk, None]:
            yield Sent()
            self.left, self.at = self.left + (clock() - self.at) / 6, clock()
            if self.left < 1 - 1e-6:
                raise RateLimited("429", retry_after=60)
            self.left -= 1
            self.sent_at.append(clock())
            yield Allowance(Quota(14400, int(self.left), (14400 - self.left) * 6))
            yield Text("Hello")
            yield Done("stop")

    async def main() -> None:
        model = Daily()
        polite = limited(model)
        await listen(polite, call("the plan"))
        await asyncio.gather(*(listen(polite, call(f"number {n}")) for n in range(10)))
        assert len(model.sent_at) == 11
        assert clock() < 6 * 7 + 6.1

    virtually(main())


def test_a_refusal_that_headers_do_not_explain_is_learned_from() -> None:
    """The provider says there is plenty left and refuses more than ten at once all the same."""

    async def main() -> None:
        there = Crowded(10, takes=1.0, tells=Allowance(Quota(6000, 5990, 0.1)))
        polite = limited(there)
        await listen(polite, call("the plan"))
        await asyncio.gather(*(listen(polite, call(f"number {n}")) for n in range(300)))
        assert clock() < 1.6 * 31
        assert there.refused < 330

    virtually(main())


def test_retry_after_of_an_overloaded_provider_pauses_its_lane_and_is_an_error_to_be_tried_again() -> None:
    async def main() -> None:
        busy = ServerError("503", status=503, retry_after=5.0)
        model = Scripted(lambda asked, _: [busy] if "first" in asked.request.messages[0].content else ["Hello"])
        polite = limited(model)
        with pytest.raises(ServerError):
            await listen(polite, call("first"))
        await listen(polite, call("second"))
        assert clock() == 5.0

    virtually(main())


def test_urgency_is_read_when_a_call_comes_and_again_when_it_is_sent_back() -> None:
    urgency = Urgency(5)
    urgency.move(2)
    assert urgency.key == (2,)
