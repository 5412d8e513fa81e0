"""Hedge: what takes longer than most is asked a second time, the first answer wins, nothing is left of the other."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing

import pytest

from drawn import share
from models import Beat, Scripted, call, listen, outcome
from stretto import Usage
from stretto.calls import Call, Chunk, Done, Model, Notice, Reasoning, Restarted, Sent, Text
from stretto.errors import BudgetError, CallError, CutError, ServerError, StoreError
from stretto.events import CallRetried
from stretto.policies.breaker import Breaker, Circuit
from stretto.policies.fallback import Fallback
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.hedge import Hedge
from stretto.policies.latency import Latencies
from stretto.policies.limit import Limit
from stretto.policies.retry import Retry
from virtual import clock, virtually

BOTH = pytest.mark.parametrize("stream", [True, False])


def words(asked: Call) -> str:
    return asked.request.messages[-1].content


class Track:
    """A model that follows a script, and around it a hedge that has learned that most replies take 2 s."""

    def __init__(self, *runs: Iterable[Beat], learned: int = 40) -> None:
        """`runs`: what is said to a request asked for the first time, for the second, and so on."""
        self.model = Scripted(lambda asked, nth: [2.0, "So."] if words(asked).startswith("learn") else runs[nth])
        self.latencies = Latencies()
        self.allowed = 1_000  # duplicates in all
        self.asked = 0
        self.spare: Callable[[], bool] = lambda: True
        self._learned = learned

    def _spare(self) -> bool:
        return self.spare()

    def may_hedge(self, calls: Sequence[Call]) -> bool:
        self.asked += 1
        return len(calls) <= self.allowed - sum(asked.duplicate for asked in self.model.calls)

    def around(self, model: Model) -> Hedge:
        return Hedge(model, self.latencies, self._spare, self)

    async def learn(self) -> None:
        """Takes 2 s."""
        hedge = self.around(self.model)
        kinds = [call(f"learn {n}", stream=stream) for n in range(self._learned) for stream in (True, False)]
        await asyncio.gather(*(listen(hedge, each) for each in kinds))
        self.model.calls.clear()
        self.model.sent_at.clear()
        self.model.cancelled = 0

    def told(self, asked: Call, wrap: Callable[[Model], Model] = lambda model: model) -> list[Chunk] | CallError:
        """What comes of a call, asked at loop time 2."""

        async def main() -> list[Chunk] | CallError:
            await self.learn()
            chunks = await outcome(self.around(wrap(self.model)), asked)
            await self.at_rest()
            return chunks

        return virtually(main())

    async def at_rest(self) -> None:
        """Nothing is under way, awaited or timed any more."""
        assert self.model.in_flight == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for flights in self.latencies._kinds.values():
            assert (flights._timer, flights._watched, flights._departing) == (None, {}, False)


def texts(chunks: list[Chunk] | CallError) -> str:
    assert isinstance(chunks, list)
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, Text))


def retries(chunks: list[Chunk] | CallError) -> list[CallRetried]:
    assert isinstance(chunks, list)
    events = [chunk.event for chunk in chunks if isinstance(chunk, Notice)]
    return [event for event in events if isinstance(event, CallRetried)]


@BOTH
def test_what_answers_as_most_do_is_asked_once(stream: bool) -> None:
    track = Track([1.9, "Hello"])
    assert track.told(call(stream=stream)) == [Sent(), Text("Hello"), Done("stop", Usage(1, 1))]
    assert track.model.sent_at == [2.0]


@BOTH
def test_what_takes_longer_is_asked_a_second_time_and_the_first_answer_wins(stream: bool) -> None:
    track = Track([100.0, "slow"], [1.0, "quick"])
    chunks = track.told(call(stream=stream))
    assert texts(chunks) == "quick"
    assert track.model.sent_at == [2.0, 4.0]
    assert [asked.duplicate for asked in track.model.calls] == [False, True]
    assert track.model.cancelled == 1
    (event,) = retries(chunks)
    assert event.duplicate
    assert "2.0 s" in event.reason


@BOTH
def test_the_first_request_may_win_after_all(stream: bool) -> None:
    track = Track([3.0, "slow"], [100.0, "never"])
    assert texts(track.told(call(stream=stream))) == "slow"
    assert track.model.cancelled == 1


def test_the_rest_of_the_winners_stream_is_passed_on_as_it_comes() -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], ["Hel", 1.0, "lo", 1.0, " there"])
        await track.learn()
        async with aclosing(track.around(track.model).stream(call())) as chunks:
            heard = [(clock(), chunk.text) async for chunk in chunks if isinstance(chunk, Text)]
        assert heard == [(4.0, "Hel"), (5.0, "lo"), (6.0, " there")]

    virtually(main())


@pytest.mark.parametrize("said", [Text("Hel"), Reasoning("Hm")])
def test_what_was_passed_on_in_part_is_not_asked_a_second_time(said: Chunk) -> None:
    track = Track([1.0, said, 100.0, "lo"], ["never"])
    track.told(call())
    assert len(track.model.calls) == 1


class Queued:
    """A model that is asked after a wait."""

    def __init__(self, model: Model, wait: float) -> None:
        self._model = model
        self._wait = wait

    async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
        await asyncio.sleep(self._wait)
        async with aclosing(self._model.stream(asked)) as chunks:
            async for chunk in chunks:
                yield chunk


def test_the_time_counts_from_when_the_request_was_sent() -> None:
    track = Track([100.0, "slow"], [1.0, "quick"])
    track.told(call(), lambda model: Queued(model, 50.0))
    assert track.model.sent_at == [52.0, 104.0]


def test_it_counts_anew_for_an_attempt_after_a_failure() -> None:
    track = Track([1.5, ServerError("500")], [100.0, "slow"], ["quick"])
    assert texts(track.told(call(), lambda model: Retry(model, 4))) == "quick"
    _, second, third = track.model.sent_at
    assert third == pytest.approx(second + 2.0, abs=1e-5)
    assert [asked.duplicate for asked in track.model.calls] == [False, False, True]


@pytest.mark.parametrize("why", ["critical", "spare", "account"])
def test_only_a_critical_call_with_room_and_money_is_asked_twice_and_as_soon_as_it_is_one(why: str) -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], [1.0, "quick"])
        await track.learn()
        ready = {"critical": True, "spare": True, "account": True, why: False}
        asked = call()
        asked.urgency.critical = lambda: ready["critical"]
        track.spare = lambda: ready["spare"]
        track.allowed = 1 if ready["account"] else 0
        telling = asyncio.create_task(listen(track.around(track.model), asked))
        await asyncio.sleep(8.0)
        assert len(track.model.calls) == 1
        ready[why], track.allowed = True, 1
        assert texts(await telling) == "quick"
        assert clock() < 12.5  # it is looked at whenever it is a tenth older
        await track.at_rest()

    virtually(main())


def test_without_room_the_account_is_not_asked() -> None:
    track = Track([100.0, "slow"], ["quick"])
    track.spare = lambda: False
    track.told(call())
    assert track.asked == 0


@BOTH
def test_if_the_duplicate_fails_the_first_goes_on_and_there_is_no_third(stream: bool) -> None:
    track = Track([100.0, "slow"], [1.0, ServerError("500")], ["never"])
    assert texts(track.told(call(stream=stream))) == "slow"
    assert len(track.model.calls) == 2


@BOTH
def test_if_the_first_fails_the_duplicate_goes_on(stream: bool) -> None:
    track = Track([3.0, ServerError("500")], [5.0, "quick"])
    assert texts(track.told(call(stream=stream))) == "quick"


@pytest.mark.parametrize("times", [(3.0, 5.0), (5.0, 1.0), (3.0, 1.0)])
def test_if_both_fail_the_error_of_the_first_goes_up(times: tuple[float, float]) -> None:
    first, second = times
    track = Track([first, ServerError("first")], [second, CutError("second")])
    assert str(track.told(call())) == "first"


@BOTH
@pytest.mark.parametrize("swap", [False, True])
def test_a_reply_that_is_of_no_use_loses_as_long_as_the_other_is_under_way(stream: bool, swap: bool) -> None:
    runs: list[list[Beat]] = [[5.0, "good"], [1.0, Done("content_filter")]]
    if swap:
        runs = [[3.0, Done("content_filter")], [5.0, "good"]]
    track = Track(*runs)
    assert texts(track.told(call(stream=stream))) == "good"


def test_a_reply_that_is_of_no_use_is_better_than_none() -> None:
    chunks = Track([5.0, ServerError("500")], [1.0, Done("content_filter")]).told(call())
    assert isinstance(chunks, list)
    assert chunks[-1] == Done("content_filter")


def test_of_plain_replies_the_first_whole_one_wins() -> None:
    track = Track([8.0, "whole"], [1.0, "half", 1.0, CutError("cut")])
    chunks = track.told(call(stream=False))
    assert texts(chunks) == "whole"
    assert isinstance(chunks, list)
    assert Restarted() not in chunks


def test_what_a_plain_reply_took_back_is_not_part_of_it() -> None:
    track = Track([100.0, "slow"], ["half", CutError("cut")], ["whole"])
    chunks = track.told(call(stream=False), lambda model: Retry(model, 4))
    assert texts(chunks) == "whole"
    assert isinstance(chunks, list)
    assert Restarted() not in chunks


def test_the_notices_of_both_pass_and_those_of_the_duplicate_are_no_attempts() -> None:
    track = Track(
        [3.5, Notice(CallRetried(reason="first", wait=1, attempt=1)), 100.0],
        [1.0, Notice(CallRetried(reason="second", wait=1, attempt=1)), 1.0, "quick"],
    )
    events = retries(track.told(call()))
    assert [(event.reason[:8], event.duplicate) for event in events] == [
        ("no reply", True),
        ("second", True),
        ("first", False),
    ]


def test_a_duplicate_is_spoken_of_when_it_is_sent_and_not_if_it_never_is() -> None:
    class Short:
        """A model without money for duplicates."""

        def __init__(self, model: Model) -> None:
            self._model = model

        async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
            if asked.duplicate:
                raise BudgetError("no money left")
            async with aclosing(self._model.stream(asked)) as chunks:
                async for chunk in chunks:
                    yield chunk

    track = Track([10.0, "slow"])
    chunks = track.told(call(), lambda model: Fallback([("sim:x", Short(model))]))
    assert texts(chunks) == "slow"
    assert retries(chunks) == []


def test_a_duplicate_falls_back_from_a_model_that_is_left_alone_and_from_nothing_else() -> None:
    def chain(model: Model) -> Model:
        circuit = Circuit("sim:a", failures=1)
        return Fallback([("sim:a", Breaker(model, circuit)), ("sim:b", Breaker(model, circuit, guards=False))])

    left = Track([ServerError("500")], [100.0, "slow"], [1.0, "quick"])
    chunks = left.told(call(), chain)
    assert texts(chunks) == "quick"
    assert [asked.request.model for asked in left.model.calls] == ["sim:x", "sim:b", "sim:b"]

    broken = Track([100.0, "slow"], [ServerError("500")], ["never"])
    assert texts(broken.told(call(), chain)) == "slow"
    assert len(broken.model.calls) == 2


def test_a_mistake_that_is_no_calls_is_not_swallowed() -> None:
    track = Track([100.0, "slow"], [StoreError("disk full")])
    with pytest.raises(StoreError):
        track.told(call())


def test_duplicates_leave_one_after_another_so_that_room_and_money_are_what_they_seem() -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], [50.0, "quick"], learned=300)
        await track.learn()
        track.spare = lambda: track.model.in_flight < 12
        stragglers = [asyncio.create_task(listen(track.around(track.model), call(str(n)))) for n in range(10)]
        await asyncio.sleep(3.0)
        assert track.model.in_flight == 12
        duplicates = [words(asked) for asked in track.model.calls if asked.duplicate]
        assert duplicates == ["0", "1"]  # the oldest first
        await asyncio.gather(*stragglers)
        await track.at_rest()

    virtually(main())


def test_where_the_money_is_not_for_all_that_are_late_it_is_kept_for_the_last_of_them() -> None:
    async def main() -> None:
        def script(asked: Call, nth: int) -> Iterable[Beat]:
            return [0.5, "quick"] if nth else [10.0 + int(words(asked)), "Hello"]

        track = Track(learned=300)
        await track.learn()
        track.model._script, track.allowed = script, 2
        await asyncio.gather(*(listen(track.around(track.model), call(str(n))) for n in range(5)))
        assert [words(asked) for asked in track.model.calls if asked.duplicate] == ["3", "4"]
        assert track.model.sent_at[5:] == [14.0, 14.0]  # as soon as the other three have answered
        await track.at_rest()

    virtually(main())


def test_what_could_not_be_paid_for_alone_does_not_count() -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], [0.5, "quick"], learned=300)
        await track.learn()
        track.may_hedge = lambda calls: all(words(asked) != "dear" for asked in calls)  # type: ignore[method-assign]
        await asyncio.gather(*(listen(track.around(track.model), call(text)) for text in ("dear", "cheap")))
        assert [words(asked) for asked in track.model.calls if asked.duplicate] == ["cheap"]

    virtually(main())


def test_nothing_is_asked_twice_before_twenty_replies_are_known() -> None:
    track = Track([100.0, "slow"], ["never"], learned=19)
    track.told(call())
    assert len(track.model.calls) == 1


def test_what_is_still_under_way_counts_as_long() -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], ["quick"], learned=30)
        await asyncio.gather(track.learn(), *(listen(track.around(track.model), call(str(n))) for n in range(9)))
        assert clock() == 100.0
        assert not any(asked.duplicate for asked in track.model.calls)

    virtually(main())


def test_the_stragglers_of_a_first_burst_are_asked_again_as_soon_as_most_have_answered() -> None:
    async def main() -> None:
        def script(asked: Call, nth: int) -> Iterable[Beat]:
            number = int(words(asked))
            return ["quick"] if nth else [100.0 if number >= 95 else 1 + number / 95, "Hello"]

        model, track = Scripted(script), Track()
        await asyncio.gather(*(listen(track.around(model), call(str(n))) for n in range(100)))
        assert model.sent_at[100:] == pytest.approx([1 + 94 / 95] * 5, abs=1e-5)
        assert clock() < 2.0

    virtually(main())


@pytest.mark.slow
@pytest.mark.parametrize("again", [1, 3])
@BOTH
def test_cancelled_at_any_moment_it_leaves_nothing_behind(stream: bool, again: int) -> None:
    chance = random.Random(7)

    def script(asked: Call, nth: int) -> Iterable[Beat]:
        lot = random.Random(f"{words(asked)} {nth}")
        ends: list[Beat] = [ServerError("500"), CutError("cut"), "lo", Done("content_filter")]
        begins: list[Beat] = ["Hel", Reasoning("Hm"), 0.1]
        return [lot.lognormvariate(0.5, 1.5), lot.choice(begins), lot.random(), lot.choice(ends)]

    async def main(moment: float) -> int:
        track = Track(learned=360)
        await track.learn()
        track.model._script = script
        gate, key = Gate(30), Gate()
        inner = Retry(Limit(track.model, Queue(Governor(), gate, Lane(key)), 900), 3)
        hedge = track.around(Fallback([("sim:x", inner), ("sim:y", inner)]))
        tasks = [asyncio.create_task(outcome(hedge, call(str(n), stream=stream))) for n in range(40)]
        await asyncio.sleep(moment)
        for _ in range(again):
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait(tasks)
        await track.at_rest()
        assert (gate.in_flight, key.in_flight) == (0, 0)
        return sum(asked.duplicate for asked in track.model.calls)

    duplicates = [virtually(main(chance.uniform(0, 15))) for _ in range(share(20, 4))]
    assert sum(duplicates) > len(duplicates)


@pytest.mark.parametrize("heard", range(6))
def test_a_reader_who_leaves_early_leaves_nothing_behind(heard: int) -> None:
    async def main() -> None:
        track = Track([100.0, "slow"], ["Hel", 1.0, "lo", 1.0, " there"])
        await track.learn()
        async with aclosing(track.around(track.model).stream(call())) as chunks:
            for _ in range(heard):
                await anext(chunks)
        await track.at_rest()

    virtually(main())


def test_a_loser_that_is_slow_to_end_is_waited_for_even_if_its_reader_is_cancelled() -> None:
    class Slow:
        """A model whose requests take a second to be cancelled."""

        def __init__(self, model: Model) -> None:
            self._model = model
            self.open = 0

        async def stream(self, asked: Call) -> AsyncGenerator[Chunk, None]:
            self.open += 1
            try:
                async with aclosing(self._model.stream(asked)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            finally:
                await asyncio.sleep(1.0)
                self.open -= 1

    async def main(moment: float) -> None:
        track = Track([100.0, "slow"], [1.0, "quick"])
        await track.learn()
        model = Slow(track.model)
        task = asyncio.create_task(listen(track.around(model), call()))
        await asyncio.sleep(moment)
        task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), model.open) == (moment < 4.5, 0)
        await track.at_rest()

    for moment in (2.5, 3.2, 3.7, 6.0):
        virtually(main(moment))
