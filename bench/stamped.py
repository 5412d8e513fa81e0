"""An endpoint whose answers say in each piece when it left, so that whoever hears it knows how long it took.

`python -m bench.stamped` prints its port. The model `plan` plans two subtasks, `work` does one at once, and any other
streams `PIECES` pieces, `EVERY` seconds apart: seconds of the machine's monotonic clock, which all its processes share.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

PIECES, EVERY = 60, 0.05
_PLAN = {"tasks": [{"type": "general", "description": f"Part {number} of it"} for number in (1, 2)]}
_calls = itertools.count(1)


async def _answer(request: web.Request) -> web.StreamResponse:
    model = msgspec.json.decode(await request.read())["model"]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    async for text in _said(model):
        await response.write(_event({"delta": {"content": text}, "finish_reason": None}))
    await response.write(_event({"delta": {}, "finish_reason": "stop"}) + b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _said(model: str) -> AsyncIterator[str]:
    if model == "plan":
        yield msgspec.json.encode(_PLAN).decode()
    elif model == "work":
        yield f"What was found the {next(_calls)}th time."
    else:
        await asyncio.sleep(
            next(_calls) * 0.618 % 1 * EVERY
        )  # what was asked for in one moment ticks in different ones
        for _ in range(PIECES):
            yield f"it was {time.monotonic():.6f} then, "
            await asyncio.sleep(EVERY)


def _event(choice: dict[str, object]) -> bytes:
    told = {"id": "chatcmpl-1", "created": 1, "object": "chat.completion.chunk", "model": "bench"}
    return b"data: " + msgspec.json.encode({**told, "choices": [{"index": 0, **choice}]}) + b"\n\n"


async def _serve() -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve())
