"""When the pieces of a streamed reply are passed on: as they come, or gathered where nobody watches."""

import asyncio

import aiohttp
import msgspec
import pytest
from aiohttp.base_protocol import BaseProtocol
from msgspec.structs import replace

from models import call
from stretto.calls import Call, Text
from stretto.models.answered import Answered, Response, Source
from stretto.models.providers import Provider
from stretto.models.secrets import Secrets
from virtual import clock, virtually

STEP = 0.01
WORDS = ("one ", "two ", "three")


def streaming() -> Response:
    """A response that says a word every hundredth of a second."""
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    content = aiohttp.StreamReader(protocol, 2**16, loop=loop)
    for number, word in enumerate(WORDS, 1):
        loop.call_later(number * STEP, content.feed_data, _event(word))

    def end() -> None:
        content.feed_data(_event("", "stop"))
        content.feed_eof()

    loop.call_later(len(WORDS) * STEP + 1, end)
    return Response(200, charset="utf-8", content_type="text/event-stream", content=content)


def _event(word: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


async def heard(asked: Call) -> list[tuple[float, str]]:
    """The pieces of text of a reply, each with the time it was passed on."""
    source = Source("x", "http://localhost/v1", Secrets(None, {}, ""), 60.0)
    answered = Answered(source, Provider("http://localhost/v1"), streaming(), asked, 30.0, 60.0)
    began = clock()
    return [(round(clock() - began, 3), each.text) async for each in answered.chunks() if isinstance(each, Text)]


@pytest.mark.parametrize(
    "asked", [replace(call(), watched=True), replace(call(), plans=True), replace(call(), role="synthesizer")]
)
def test_what_somebody_watches_is_passed_on_as_it_comes(asked: Call) -> None:
    """A single call through the door, a plan (of a workflow within a subtask, too) and an answer wait for nothing."""
    assert virtually(heard(asked)) == [(0.01, "one "), (0.02, "two "), (0.03, "three")]


def test_what_a_worker_writes_is_gathered() -> None:
    """Nobody watches it, and to read it piece by piece would cost half as much again."""
    assert virtually(heard(call())) == [(0.05, "one two three")]
