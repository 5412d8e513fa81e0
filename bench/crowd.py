"""`stretto serve` under a crowd: whether anybody waits while many runs stream, and what of each run stays in memory."""

import asyncio
import time
from pathlib import Path

import aiohttp

from bench.table import Part, Row, Setting, ms

_PLAN = {"tasks": [{"type": "general", "description": f"Part {number} of it"} for number in range(1, 11)]}
_TENFOLD = {"workflow": "general", "task": "Compare teas", "plan": _PLAN}
_DIRECT = {"workflow": "general", "direct": True}
_AT_ONCE = 20


def rows(address: str, process: int, setting: Setting) -> Part:
    """The server at this address, which is this process, and serves as many runs at once as come."""
    many, more = setting.rounds(40, 200), setting.rounds(400, 10_000)
    worst, answers = asyncio.run(_crowd(address, many))
    assert answers == many, answers
    what = f"{many} streamed runs of 10 workers at once: the longest that another request waits"
    yield Row(what, ms(worst), "", worst / 0.25, 1)
    asyncio.run(_runs(address, more // 10))
    before = _resident(process)
    asyncio.run(_runs(address, more))
    grown = (_resident(process) - before) / more
    yield Row(f"memory that stays of a run, over {more}", f"{grown:.2f} kB", "", max(grown, 0.0), 1)


async def _crowd(address: str, many: int) -> tuple[float, int]:
    """The longest wait for `/v1/models` while so many runs are watched to their ends; how many had an answer."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(f"http://{address}", connector=connector, timeout=timeout) as session:
        watched = asyncio.gather(*(_watched(session) for _ in range(many)))
        worst = 0.0
        while not watched.done():
            began = time.perf_counter()
            async with session.get("/v1/models") as response:
                await response.read()
            worst = max(worst, time.perf_counter() - began)
            await asyncio.sleep(0.02)
        return worst, sum(await watched)


async def _watched(session: aiohttp.ClientSession) -> bool:
    """A run, begun and watched to its end; whether it has an answer."""
    async with session.post("/api/runs", json=_TENFOLD) as response:
        run = (await response.json())["run"]
    async with session.get(f"/api/runs/{run}/events") as response:
        return b"event: run_finished" in await response.read()


async def _runs(address: str, count: int) -> None:
    """So many runs of one call each, some at once."""
    left = iter(range(count))

    async def one_after_the_other(session: aiohttp.ClientSession) -> None:
        for number in left:
            async with session.post("/api/runs", json={**_DIRECT, "task": f"Name tea {number}"}) as response:
                run = (await response.json())["run"]
            async with session.get(f"/api/runs/{run}/events") as response:
                await response.read()

    async with aiohttp.ClientSession(f"http://{address}") as session:
        await asyncio.gather(*(one_after_the_other(session) for _ in range(_AT_ONCE)))


def _resident(process: int) -> int:
    """Kilobytes of memory that a process has."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
