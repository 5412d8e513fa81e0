"""Identical calls of a run are one call."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from stretto import Message, Simulator, Usage
from stretto.calls import Call, Chunk, Done, Reasoning, Restarted, Sent, Text, Urgency, fingerprint
from stretto.errors import ServerError
from stretto.models.simulator import parse_fault
from stretto.models.simulator.provider import SimulatedProvider
from stretto.policies.memo import Memo, Replies
from stretto.types import Reply, Request
from virtual import virtually

REQUEST = Request("sim:default", (Message("user", "Describe tea."),))


def call(request: Request = REQUEST, name: str = "c1") -> Call:
    return Call(name, "R", "worker", None, request, fingerprint(request), True, Urgency(2))


class Asked:
    """A simulated provider behind a memo, with the provider's counts."""

    def __init__(self, *faults: str, ttft: float = 0.01) -> None:
        settings = Simulator(faults=tuple(map(parse_fault, faults)), ttft=ttft, ttft_spread=0, tokens_per_second=20_000)
        self.counts = SimulatedProvider(settings)
        self.replies = Replies()
        self.memo = Memo(self.counts.connect("default"), self.replies)

    async def chunks(self, request: Request = REQUEST) -> list[Chunk]:
        async with aclosing(self.memo.stream(call(request))) as stream:
            return [chunk async for chunk in stream]

    async def text(self, request: Request = REQUEST) -> str:
        return "".join(chunk.text for chunk in await self.chunks(request) if isinstance(chunk, Text))

    @property
    def times(self) -> int:
        return self.counts.asked.total()


def test_ten_identical_calls_at_once_are_one_request_and_ten_replies() -> None:
    async def main() -> None:
        asked = Asked()
        texts = await asyncio.gather(*(asked.text() for _ in range(10)))

        assert asked.times == 1
        assert texts[0]
        assert set(texts) == {texts[0]}

    virtually(main())


def test_a_follower_gets_the_reply_whole_marked_as_reused_and_sends_nothing() -> None:
    async def main() -> None:
        asked = Asked()
        led, followed = await asyncio.gather(asked.chunks(), asked.chunks())

        assert Sent() in led
        assert len(led) > 3
        assert [type(chunk) for chunk in followed] == [Text, Done]
        leader, follower = led[-1], followed[-1]
        assert isinstance(leader, Done)
        assert isinstance(follower, Done)
        assert (leader.reused, follower.reused) == (False, True)
        assert (follower.finish, follower.usage, follower.simulated) == ("stop", leader.usage, True)

    virtually(main())


def test_a_call_after_the_first_is_answered_from_memory() -> None:
    async def main() -> None:
        asked = Asked()
        assert await asked.text() == await asked.text()
        assert asked.times == 1

    virtually(main())


def test_a_recorded_reply_is_given_without_asking_with_its_reasoning() -> None:
    async def main() -> None:
        asked = Asked()
        asked.replies.keep(fingerprint(REQUEST), Reply("tea", "length", Usage(1, 2), "m", "hm"))

        assert await asked.chunks() == [
            Reasoning("hm"),
            Text("tea"),
            Done("length", Usage(1, 2), "m", reused=True),
        ]
        assert asked.times == 0

    virtually(main())


def test_other_sample_numbers_messages_and_options_are_other_calls() -> None:
    async def main() -> None:
        asked = Asked()
        await asyncio.gather(
            asked.text(),
            asked.text(replace(REQUEST, sample=1)),
            asked.text(replace(REQUEST, messages=(Message("user", "Describe coffee."),))),
            asked.text(replace(REQUEST, options={"temperature": 0.5})),
        )
        assert asked.times == 4

    virtually(main())


def test_a_leader_that_fails_hands_over_to_the_next_in_line() -> None:
    async def main() -> None:
        asked = Asked("500 once")
        first, *others = await asyncio.gather(*(asked.text() for _ in range(10)), return_exceptions=True)

        assert isinstance(first, ServerError)
        assert len(set(map(str, others))) == 1
        assert isinstance(others[0], str)
        assert asked.times == 2

    virtually(main())


def test_when_all_fail_each_has_asked_once_and_nobody_waits_for_ever() -> None:
    async def main() -> None:
        asked = Asked("500 always")
        async with asyncio.timeout(5):
            errors = await asyncio.gather(*(asked.text() for _ in range(5)), return_exceptions=True)

        assert all(isinstance(error, ServerError) for error in errors)
        assert asked.times == 5
        assert asked.replies.own == {}

    virtually(main())


def test_a_leader_that_is_cancelled_hands_over_and_its_request_is_cancelled() -> None:
    async def main() -> None:
        asked = Asked(ttft=0.05)
        leader = asyncio.create_task(asked.text())
        followers = [asyncio.create_task(asked.text()) for _ in range(3)]
        await asyncio.sleep(0.01)
        leader.cancel()
        texts = await asyncio.gather(*followers)

        assert len(set(texts)) == 1
        assert asked.times == 2
        assert asked.counts.cancelled == 1
        with pytest.raises(asyncio.CancelledError):
            await leader

    virtually(main())


def test_a_leader_whose_reader_stops_reading_hands_over() -> None:
    async def main() -> None:
        asked = Asked()
        async with aclosing(asked.memo.stream(call())) as stream:
            async for chunk in stream:
                if isinstance(chunk, Text):
                    follower = asyncio.create_task(asked.text())
                    await asyncio.sleep(0)
                    break
        assert await follower
        assert asked.times == 2

    virtually(main())


def test_a_follower_that_is_cancelled_disturbs_nobody() -> None:
    async def main() -> None:
        asked = Asked(ttft=0.05)
        leader = asyncio.create_task(asked.text())
        followers = [asyncio.create_task(asked.text()) for _ in range(3)]
        await asyncio.sleep(0.01)
        followers[0].cancel()
        texts = await asyncio.gather(leader, *followers[1:])

        assert len(set(texts)) == 1
        assert asked.times == 1

    virtually(main())


class Scripted:
    """A model that says these chunks each time it is asked."""

    def __init__(self, *chunks: Chunk) -> None:
        self.script = chunks
        self.asked = 0

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:  # noqa: ARG002 - a model's shape
        self.asked += 1
        for chunk in self.script:
            await asyncio.sleep(0)
            yield chunk


def test_what_was_said_before_a_restart_is_not_remembered() -> None:
    async def main() -> None:
        replies = Replies()
        model = Scripted(Text("half"), Reasoning("hm"), Restarted(), Text("whole"), Done("stop"))
        async with aclosing(Memo(model, replies).stream(call())) as stream:
            _ = [chunk async for chunk in stream]

        assert [(reply.text, reply.reasoning) for (reply,) in replies.own.values()] == [("whole", "")]

    virtually(main())


def test_a_reply_that_the_provider_filtered_is_not_remembered() -> None:
    async def main() -> None:
        replies = Replies()
        model = Scripted(Text("I"), Done("content_filter"))
        memo = Memo(model, replies)
        for _ in range(2):
            async with aclosing(memo.stream(call())) as stream:
                _ = [chunk async for chunk in stream]

        assert model.asked == 2
        assert replies.own == {}

    virtually(main())
