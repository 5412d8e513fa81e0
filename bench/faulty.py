"""The simulator as a server process: for every fault, none included, an endpoint of its own.

`python -m bench.faulty JSON`, a list of faults as they are written, prints the base URLs as JSON. `GET /stats` below
one says how many of its requests were completed, and how many of these more than once.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import msgspec
from aiohttp import web
from msgspec import Struct

from stretto.models.simulator import Simulator, parse_fault
from stretto.server.sim import PROVIDER, listening, simulator_app

_TTFT, _RATE, _LENGTH = 0.2, 400.0, 100.0


class Paid(Struct, frozen=True):
    """Replies that were sent to their finish, and those of them that had been before."""

    completed: int
    twice: int


async def _stats(request: web.Request) -> web.Response:
    completed = request.app[PROVIDER].completed
    paid = Paid(len(completed), completed.total() - len(completed))
    return web.Response(body=msgspec.json.encode(paid), content_type="application/json")


def _app(fault: str) -> web.Application:
    """Nothing varies but what goes wrong, so that what takes longer does so because of it."""
    simulator = Simulator(
        faults=(parse_fault(fault),) if fault else (),
        ttft=_TTFT,
        ttft_spread=0,
        tokens_per_second=_RATE,
        length=_LENGTH,
        length_spread=0,
    )
    app = simulator_app(simulator)
    app.router.add_get("/v1/stats", _stats)
    return app


async def _serve(faults: list[str]) -> None:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(listening(_app(fault))) for fault in faults]
        print(msgspec.json.encode(urls).decode(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.argv[1], type=list[str])))
