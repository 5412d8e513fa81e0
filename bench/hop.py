"""The least that a hop of HTTP costs in Python: an aiohttp server that asks an aiohttp client, and nothing between.

`python -m bench.hop URL` prints its port; URL is that of the endpoint which answers. With a FILE behind it the hop does
what cannot be left out of a call through `stretto serve`: it asks for a stream, reads its events, and answers once the
two rows of the call (what was asked, what came of it) are on the disk, in a store of ours at FILE, by a thread. No
retries, limits, events or checks.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from msgspec import Struct

from bench.bare import heard
from stretto.events import CallFinished, CallStarted, encode, now
from stretto.store.connecting import connect
from stretto.store.rows import Row, insert
from stretto.types import Message, Reply, Request, Usage

Answer = Callable[[bytes], Awaitable[bytes]]


class _Asked(Struct):
    model: str
    messages: tuple[Message, ...]
    max_tokens: int


async def _passed_on(session: aiohttp.ClientSession, url: str, asked: bytes) -> bytes:
    async with session.post(url, data=asked) as response:
        return await response.read()


class _Keeping:
    """Answers what is asked by a stream, and keeps both."""

    def __init__(self, session: aiohttp.ClientSession, url: str, file: str, thread: ThreadPoolExecutor) -> None:
        self._session = session
        self._url = url
        self._db = connect(Path(file))
        self._thread = thread
        self._numbers = count(1)

    async def answer(self, data: bytes) -> bytes:
        asked = msgspec.json.decode(data, type=_Asked)
        number, began = next(self._numbers), now()
        body = {"model": asked.model, "messages": asked.messages, "max_tokens": asked.max_tokens, "stream": True}
        text = "".join(await heard(self._session, self._url, msgspec.json.encode(body)))
        request = Request(asked.model, asked.messages, {"max_tokens": asked.max_tokens})
        rows = _rows(number, began, request, Reply(text, "stop", Usage(1, 1), asked.model))
        await asyncio.get_running_loop().run_in_executor(self._thread, insert, self._db, rows)
        message = {"role": "assistant", "content": text}
        return msgspec.json.encode({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def _rows(number: int, began: str, request: Request, reply: Reply) -> list[Row]:
    """The rows of one call, as a journal writes them."""
    whose: dict[str, Any] = {"run": "R", "call": f"c{number}", "role": "worker", "subtask": None}
    whose["model"] = request.model
    key = f"{number:032x}"
    started = CallStarted(**whose, at=began, seq=2 * number - 1, fingerprint=key)
    finished = CallFinished(**whose, at=now(), seq=2 * number, fingerprint=key, finish="stop", usage=reply.usage)
    asked, answered = msgspec.json.encode(request), msgspec.json.encode(reply)
    return [
        ("R", started.seq, started.kind, encode(started), key, asked, None),
        ("R", finished.seq, finished.kind, encode(finished), key, None, answered),
    ]


async def _serve(url: str, file: str | None) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        url += "/chat/completions"
        if file:
            thread = stack.enter_context(ThreadPoolExecutor(1))
            answer: Answer = _Keeping(session, url, file, thread).answer
        else:

            async def answer(data: bytes) -> bytes:
                return await _passed_on(session, url, data)

        async def answered(request: web.Request) -> web.Response:
            return web.Response(body=await answer(await request.read()), content_type="application/json")

        app = web.Application()
        app.router.add_post("/v1/chat/completions", answered)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
