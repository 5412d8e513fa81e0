"""Hedge over real sockets: whoever loses is hung up on at once, and the winner's stream is read to its end."""

import asyncio
from contextlib import aclosing

import pytest

from endpoint import STREAM, Endpoint, Exchange, Script, asking, call, chunk, delta, plain, sse, streamed
from loops import on_loop
from stretto.calls import Call, Done, Text
from stretto.policies.hedge import Hedge
from stretto.policies.latency import Latencies

LONG = sse(*[delta(content=f"{n} ") for n in range(200)], delta("stop"))
WORDS = "".join(f"{n} " for n in range(200))


class Generous:
    """An account that pays for everything."""

    def may_hedge(self, _: object) -> bool:
        return True


async def silent(_: Exchange) -> None:
    await asyncio.sleep(60)


async def soon(exchange: Exchange) -> None:
    """A stream that begins after the second request was sent, and is slow from then on."""
    await asyncio.sleep(0.3)
    for start in range(0, len(LONG), 500):
        await exchange.send(STREAM * (not start), chunk(LONG[start : start + 500]), pause=0.005)
    await exchange.send(b"0\r\n\r\n")


async def text_of(server: Endpoint, asked: Call) -> str:
    """The reply, where every reply was there at once up to now."""
    latencies = Latencies()
    flights = latencies.flights(asked.role, stream=asked.stream)
    for flight in [flights.send(asked) for _ in range(20)]:
        flights.answer(flight)
    async with asking(server) as model:
        hedge = Hedge(model, latencies, lambda: True, Generous())
        async with aclosing(hedge.stream(asked)) as chunks:
            heard = [each async for each in chunks]
        assert isinstance(heard[-1], Done)
        async with asyncio.timeout(2):
            while server.open > 1:  # the winner's is kept for the next request
                await asyncio.sleep(0.001)
    return "".join(each.text for each in heard if isinstance(each, Text))


@pytest.mark.parametrize("scripts", [(silent, streamed(LONG, 50)), (soon, silent)])
@on_loop
async def test_a_streamed_reply_is_whole_whoever_wins_and_the_other_connection_is_closed(scripts: list[Script]) -> None:
    async with Endpoint(*scripts) as server:
        assert await text_of(server, call()) == WORDS
        assert len(server.requests) == 2


@on_loop
async def test_a_plain_reply_is_the_first_whole_one_and_the_other_connection_is_closed() -> None:
    async with Endpoint(silent, plain("Assam")) as server:
        assert await text_of(server, call(stream=False)) == "Assam"
        assert len(server.requests) == 2
