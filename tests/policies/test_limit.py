"""Limit and Admission: never more than permitted, never less than possible, and nobody's slot is lost."""

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from models import Beat, Scripted, call, listen, outcome
from pressure import limited
from simulated import simulator_of
from stretto import Limits, Role, Simulator, Usage, Workflow
from stretto.calls import Call, Chunk, Done, Model, Notice, Restarted, Sent
from stretto.errors import QuotaError, RateLimited, ServerError
from stretto.events import CallRetried, SubtaskFinished
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane, Passage
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.limit import Limit
from virtual import clock, virtually


class Desk:
    """A workflow's gate with a line before it, and limited models at it."""

    def __init__(self, parallel: int | None = None, rpm: float | None = None, *, key: Gate | None = None) -> None:
        self.governor = Governor()
        self.gate = Gate(parallel, rpm)
        self.queue = self.another(key)

    def another(self, key: Gate | None = None) -> Queue:
        return Queue(self.governor, self.gate, Lane(key or Gate()))

    def limited(self, model: Model, *, max_wait: float = 900, queue: Queue | None = None) -> Limit:
        return Limit(model, queue or self.queue, max_wait)

    async def all(self, model: Model, count: int) -> list[list[Chunk]]:
        limited = self.limited(model)
        return await asyncio.gather(*(listen(limited, call(f"number {n}")) for n in range(count)))


def in_use(desk: Desk) -> int:
    lane = desk.queue.lane
    return desk.gate.in_flight + lane.gate.in_flight + lane._learned.window.in_flight


async def enter(queue: Queue, urgency: int = 2) -> Passage:
    return await queue.enter(queue.place(call(urgency=urgency)))


def refusing(until: float, retry_after: float | None = 1.0, takes: float = 1.0) -> Scripted:
    """A model whose provider refuses everything until then."""

    def script(*_: object) -> Iterable[Beat]:
        return [RateLimited("429", retry_after=retry_after)] if clock() < until else [takes, "Hello"]

    return Scripted(script)


def number(asked: Call) -> int:
    return int(asked.request.messages[-1].content.split()[-1])


@pytest.mark.parametrize("gate", ["workflow", "key"])
def test_never_more_calls_are_in_flight_than_permitted_and_never_fewer_than_possible(gate: str) -> None:
    async def main() -> None:
        desk = Desk(parallel=7) if gate == "workflow" else Desk(key=Gate(parallel=7))
        model = Scripted(lambda *_: [1.0, "Hello"])
        await desk.all(model, 70)
        assert model.most_in_flight == 7
        assert clock() == 10.0
        assert in_use(desk) == 0

    virtually(main())


def test_requests_a_minute_are_kept_exactly_with_at_most_a_second_of_them_at_once() -> None:
    async def main() -> None:
        model = Scripted(lambda *_: [5.0, "Hello"])
        await Desk(rpm=120).all(model, 40)
        assert model.sent_at == pytest.approx([max(0.0, (n - 1) / 2) for n in range(40)], abs=1e-5)

    virtually(main())


def test_a_rate_below_one_a_second_lets_the_first_one_out_at_once() -> None:
    async def main() -> None:
        model = Scripted(lambda *_: ["Hello"])
        await Desk(key=Gate(rpm=6)).all(model, 3)
        assert model.sent_at == pytest.approx([0, 10, 20], abs=1e-4)

    virtually(main())


@pytest.mark.slow
def test_300_subtasks_at_600_a_minute_take_the_ideal_time_without_one_refusal() -> None:
    async def main() -> None:
        flow = Workflow(
            Role("sim:fast"),
            {"part": Role("sim:fast")},
            Role("sim:fast"),
            limits=Limits(rpm=600, max_subtasks=300, parallel=300),
            providers={"sim": Simulator(rpm=600, burst=1.0, length=50, length_spread=0, grain="line")},
        )
        async with flow.stream("Describe tides in 300 subtasks.") as events:
            ends = [clock() async for event in events if isinstance(event, SubtaskFinished) and event.outcome == "done"]
        assert len(ends) == 300
        assert ends[-1] < 1.05 * 30.3
        assert simulator_of(flow).refused == 0

    virtually(main())


def test_a_single_429_holds_back_everyone_behind_the_key_and_counts_no_attempt() -> None:
    async def main() -> None:
        model = Scripted(
            lambda asked, nth: [RateLimited("429", retry_after=2.0)] if number(asked) + nth == 0 else [1.0, "!"]
        )
        chunks = await Desk(parallel=1).all(model, 3)
        assert [(number(asked), at) for asked, at in zip(model.calls, model.sent_at, strict=True)] == [
            (0, 0.0), (0, 2.0), (1, 3.0), (2, 4.0),
        ]  # fmt: skip
        (notice,) = (chunk for chunk in chunks[0] if isinstance(chunk, Notice))
        assert notice.event == CallRetried(reason="429", wait=2.0, attempt=0, rate_limited=True)

    virtually(main())


@pytest.mark.parametrize("apart", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("which", [0, 2, 5, 9])
def test_a_stray_429_among_ten_costs_the_others_no_more_than_the_pause_that_it_asks_for(
    which: int, apart: float
) -> None:
    class Stray:
        refused = False

        async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
            yield Sent()
            await asyncio.sleep(0.005)
            if asked.request.messages[-1].content == f"number {which}" and not self.refused:
                self.refused = True
                raise RateLimited("429", status=429, retry_after=2)
            await asyncio.sleep(0.5)
            yield Done("stop", Usage(10, 10))

    async def main() -> float:
        model = limited(Stray())
        await listen(model, call("the plan", role="orchestrator"))
        began = clock()

        async def later(number: int) -> None:
            await asyncio.sleep(number * apart)
            await listen(model, call(f"number {number}"))

        await asyncio.gather(*(later(number) for number in range(10)))
        return clock() - began

    assert virtually(main()) < max(which * apart + 2, 9 * apart) + 0.8


def test_twenty_seconds_of_429_end_well_and_everybody_keeps_their_place() -> None:
    async def main() -> None:
        model = refusing(until=20, retry_after=1.0)
        chunks = await Desk(parallel=3).all(model, 9)
        assert all(isinstance(reply[-1], Done) for reply in chunks)
        answered = [number(asked) for asked, at in zip(model.calls, model.sent_at, strict=True) if at >= 20]
        assert answered == list(range(9))
        assert len(model.calls) - len(answered) <= 2 + 20  # while nothing gets through, one a second is enough
        assert 23.0 <= clock() <= 24.0

    virtually(main())


@pytest.mark.parametrize("told", [0.0, 0.05])
def test_a_wait_that_is_told_again_and_again_and_never_helps_becomes_a_second(told: float) -> None:
    async def main() -> None:
        def script(*_: object) -> Iterable[Beat]:
            assert len(model.calls) <= 1510
            return [RateLimited("429", retry_after=told)] if clock() < 1500 else ["Hello"]

        model = Scripted(script)
        chunks = await listen(Desk().limited(model, max_wait=2000), call())
        assert isinstance(chunks[-1], Done)
        first, second, *_ = model.sent_at
        assert second - first == pytest.approx(max(told, 0.02))
        assert clock() < 1502

    virtually(main())


def test_other_keys_go_on_while_one_waits() -> None:
    async def main() -> None:
        desk = Desk(parallel=2)
        stuck, free = refusing(until=100, retry_after=100.0), Scripted(lambda *_: [1.0, "Hello"])
        other = desk.limited(free, queue=desk.another())
        first = asyncio.gather(*(listen(desk.limited(stuck), call(f"number {n}")) for n in range(5)))
        await asyncio.gather(*(listen(other, call(f"number {n}")) for n in range(10)))
        assert clock() == pytest.approx(5.0)
        await first
        assert clock() == pytest.approx(103.0)

    virtually(main())


def test_a_refusal_without_a_time_doubles_the_pause_once_a_round_not_once_a_request() -> None:
    async def main() -> None:
        model = refusing(until=6, retry_after=None)
        await Desk().all(model, 50)
        assert sorted(set(model.sent_at))[:4] == [0.0, 1.0, 3.0, 7.0]

    virtually(main())


def test_an_answer_to_an_older_request_does_not_end_the_doubling() -> None:
    async def main() -> None:
        lane = Lane(Gate())

        def sent(at: float) -> Passage:
            passage = Passage(call(), 1.0, 1, at)
            lane.enter(passage)
            return passage

        error = RateLimited("429")
        earlier = sent(5.0)
        assert lane.refuse(sent(5.5), error, now=6.0) == 7.0
        lane.accept(earlier, now=6.5)
        assert lane.refuse(sent(7.0), error, now=7.5) == 9.5
        lane.accept(sent(9.5), now=9.6)
        assert lane.refuse(sent(9.6), error, now=10.0) == 11.0

    virtually(main())


def test_a_call_that_would_be_held_back_longer_than_max_wait_fails_and_says_so() -> None:
    async def main() -> None:
        desk, model = Desk(), refusing(until=math.inf, retry_after=7.0)
        error = await outcome(desk.limited(model, max_wait=30), call())
        assert isinstance(error, RateLimited)
        assert "max_wait = 30 s" in str(error)
        assert model.sent_at == [0, 7, 14, 21, 28]
        assert in_use(desk) == 0

    virtually(main())


def test_everybody_who_waited_in_a_lane_that_is_refused_for_ever_fails_after_max_wait_together() -> None:
    async def main() -> None:
        desk, model = Desk(parallel=2), refusing(until=math.inf, retry_after=10.0)
        limited = desk.limited(model, max_wait=60)
        replies = await asyncio.gather(*(outcome(limited, call(f"number {n}")) for n in range(20)))
        assert all(isinstance(reply, RateLimited) for reply in replies)
        assert clock() == 60.0
        assert in_use(desk) == 0

    virtually(main())


def test_who_waited_long_for_their_turn_was_not_held_back_by_refusals() -> None:
    async def main() -> None:
        model = Scripted(
            lambda asked, nth: [RateLimited("429", retry_after=2.0)] if number(asked) == 9 and not nth else [10.0, "!"]
        )
        limited = Desk(parallel=1).limited(model, max_wait=60)
        replies = await asyncio.gather(*(listen(limited, call(f"number {n}")) for n in range(10)))
        assert isinstance(replies[9][-1], Done)
        assert clock() == 102.0

    virtually(main())


def test_an_absurd_wait_is_an_error_for_each_call_at_once_and_closes_nothing() -> None:
    async def main() -> None:
        model = Scripted(lambda asked, _: [RateLimited("429", retry_after=3600.0)] if number(asked) < 3 else ["Hello"])
        limited = Desk(parallel=1).limited(model, max_wait=900)
        replies = await asyncio.gather(*(outcome(limited, call(f"number {n}")) for n in range(5)))
        assert [isinstance(reply, RateLimited) for reply in replies] == [True, True, True, False, False]
        assert clock() == 0

    virtually(main())


@pytest.mark.parametrize("error", [QuotaError("429: quota"), ServerError("500")])
def test_other_errors_pass_through_at_once_and_free_the_slot(error: Exception) -> None:
    async def main() -> None:
        desk = Desk(parallel=1)
        limited = desk.limited(Scripted(lambda *_: ["Hel", error]))
        assert await outcome(limited, call()) is error
        assert clock() == 0
        assert in_use(desk) == 0

    virtually(main())


def test_what_was_said_before_a_refusal_is_taken_back() -> None:
    async def main() -> None:
        model = Scripted(lambda _, nth: ["Hel", RateLimited("429", retry_after=1.0)] if nth == 0 else ["Hello"])
        assert Restarted() in await listen(Desk().limited(model), call())

    virtually(main())


def test_the_urgent_go_first_then_those_who_came_first_whatever_lane_they_wait_in() -> None:
    async def main() -> None:
        desk, order = Desk(parallel=1), list[str]()
        other = desk.another()
        first = await enter(desk.queue)

        async def one(name: str, queue: Queue, urgency: int) -> None:
            passage = await enter(queue, urgency)
            order.append(name)
            queue.leave(passage)

        async with asyncio.TaskGroup() as group:
            for name, queue, urgency in [
                ("worker 1", desk.queue, 2), ("worker 2", other, 2), ("worker 3", desk.queue, 2),
                ("answer", other, 1), ("plan", desk.queue, 0), ("worker 4", other, 2),
            ]:  # fmt: skip
                group.create_task(one(name, queue, urgency))
            await asyncio.sleep(1)
            desk.queue.leave(first)
        assert order == ["plan", "answer", "worker 1", "worker 2", "worker 3", "worker 4"]

    virtually(main())


def test_who_gives_up_while_waiting_does_not_stop_those_behind() -> None:
    async def main() -> None:
        desk, model = Desk(parallel=1), Scripted(lambda *_: [1.0, "Hello"])
        tasks = [asyncio.create_task(listen(desk.limited(model), call(f"number {n}"))) for n in range(4)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.wait(tasks)
        assert [number(asked) for asked in model.calls] == [0, 2, 3]
        assert clock() == 3.0
        assert in_use(desk) == 0

    virtually(main())


def test_who_is_cancelled_at_the_very_moment_of_admission_takes_no_slot_along() -> None:
    async def main() -> None:
        desk = Desk(parallel=1)
        first = await enter(desk.queue)
        waiting = asyncio.create_task(enter(desk.queue))
        await asyncio.sleep(0)
        desk.queue.leave(first)  # lets the waiting one in, which does not know it yet
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert in_use(desk) == 0
        await enter(desk.queue)

    virtually(main())


def test_a_reader_that_stops_early_frees_the_slot_and_closes_the_call() -> None:
    async def main() -> None:
        desk, model = Desk(parallel=1), Scripted(lambda *_: ["Hel", 60.0, "lo"])
        stream = desk.limited(model).stream(call())
        async for chunk in stream:
            if chunk:
                break
        await stream.aclose()
        assert (in_use(desk), model.in_flight, model.cancelled) == (0, 0, 1)

    virtually(main())


Deed = tuple[str, int, int]


@examples(150)
@given(
    st.lists(
        st.tuples(st.sampled_from(["come", "cancel", "leave", "wait", "refuse"]), st.integers(0, 9), st.integers(0, 2)),
        max_size=60,
    ),
    st.integers(1, 3),
    st.sampled_from([None, 60, 600]),
)
def test_whatever_comes_goes_and_gives_up_no_slot_is_ever_lost_or_given_twice(
    deeds: list[Deed], parallel: int, rpm: float | None
) -> None:
    async def main() -> None:
        desk = Desk(parallel, rpm)
        queues = [desk.another(Gate(2)) for _ in range(3)]
        inside = 0

        async def one(queue: Queue, until: asyncio.Event) -> None:
            nonlocal inside
            passage = await enter(queue)
            inside += 1
            assert inside <= parallel
            try:
                await until.wait()
            finally:
                inside -= 1
                queue.leave(passage)

        people: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        for deed, who, where in deeds:
            if deed == "come":
                until = asyncio.Event()
                people.append((asyncio.create_task(one(queues[where], until)), until))
            elif deed == "wait":
                await asyncio.sleep(who * where / 10)
            elif deed == "refuse":
                queues[where].lane.pause(clock() + who / 10)
            elif people:
                task, until = people[who % len(people)]
                task.cancel() if deed == "cancel" else until.set()
        for _, until in people:
            until.set()
        if people:
            await asyncio.wait([task for task, _ in people])
        assert all(task.cancelled() or task.exception() is None for task, _ in people)
        assert inside == desk.gate.in_flight == sum(queue.lane.gate.in_flight for queue in queues) == 0
        assert not desk.governor.queues
        assert sum(queue.lane._learned.window.in_flight for queue in queues) == 0

    virtually(main())
