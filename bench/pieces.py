"""What `stretto serve` adds to the way of one piece of an answer, while many runs are streamed at the same time."""

import asyncio
import re
import time
from statistics import median, quantiles

import aiohttp

from bench.table import Part, Row, Setting, ms

_AT_ONCE = 50
_STAMP = re.compile(rb"[0-9]+\.[0-9]{6}")
_ASKED = {"stream": True, "messages": [{"role": "user", "content": "Compare tea and coffee in 2 subtasks"}]}


def rows(endpoint: str, address: str, setting: Setting) -> Part:
    """The ways of all pieces: from an endpoint (`bench.stamped`) itself, and through the server at this address."""
    many = setting.rounds(10, _AT_ONCE)
    bare, runs, calls = (
        asyncio.run(_ways(at, model, many))
        for at, model in ((endpoint, "join"), (address, "general"), (address, "vllm:join"))
    )
    for ways, what in ((runs, "runs"), (calls, "single calls through the door")):
        yield Row(
            f"{many} streamed {what} at once: latency added to a piece of the answer, p50",
            ms(median(ways) - median(bare)),
            ms(median(bare)),
        )
        added = _p99(ways) - _p99(bare)
        yield Row("the same, p99", ms(added), ms(_p99(bare)), added / 0.01, 1)


def _p99(ways: list[float]) -> float:
    return quantiles(ways, n=100)[98]


async def _ways(address: str, model: str, many: int) -> list[float]:
    """Seconds from an endpoint to us of every piece that so many answers consist of."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(f"http://{address}", connector=connector) as session:
        heard = await asyncio.gather(*(_heard(session, model) for _ in range(many)))
    return [way for ways in heard for way in ways]


async def _heard(session: aiohttp.ClientSession, model: str) -> list[float]:
    ways, rest = list[float](), b""
    async with session.post("/v1/chat/completions", json={"model": model, **_ASKED}) as response:
        assert response.status == 200, response.status
        async for data in response.content.iter_any():
            now = time.monotonic()
            whole, _, rest = (rest + data).rpartition(b"\n")
            ways += [now - float(stamp) for stamp in _STAMP.findall(whole)]
    assert ways
    return ways
