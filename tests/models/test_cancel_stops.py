"""Who stops waiting stops the generation: servers that notice a closed connection, in the ways that Ollama and vLLM do.

How llama.cpp does is tested at the real server, in tests_local/.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from endpoint import call, delta, reply
from loops import on_loop
from stretto import Provider
from stretto.models.chat import Endpoints

TOKEN = 0.02  # seconds
SOON = 0.2  # seconds in which a slot is to be idle


class Generating:
    """A server whose slots write for ever; `busy`: how many do."""

    def __init__(self) -> None:
        self.busy = 0

    async def like_vllm(self, request: web.Request) -> web.StreamResponse:
        """Its framework cancels whoever answers a client that is gone."""
        return await self._answer(request, lambda: True)

    async def like_ollama(self, request: web.Request) -> web.StreamResponse:
        """It looks before each token whether its client is still there, and is cancelled by nobody."""
        here = request.transport
        return await asyncio.shield(self._answer(request, lambda: here is not None and not here.is_closing()))

    async def _answer(self, request: web.Request, wanted: Callable[[], bool]) -> web.StreamResponse:
        streams = (await request.json()).get("stream", False)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self.busy += 1
        try:
            if streams:
                await response.prepare(request)
            while wanted():
                await asyncio.sleep(TOKEN)
                if streams:
                    await response.write(b"data: " + json.dumps(delta(content="tea ")).encode() + b"\n\n")
        except ConnectionError:  # written to nobody
            return response
        finally:
            self.busy -= 1
        return response if streams else web.json_response(reply())


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncGenerator[str, None]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("like", ["vllm", "ollama"])
@on_loop
async def test_a_call_that_is_cancelled_leaves_its_slot_idle_at_once(like: str, stream: bool) -> None:
    server, endpoints = Generating(), Endpoints(60.0)
    async with serving(getattr(server, f"like_{like}")) as url:
        model = endpoints.model("x:y", "y", Provider(url, local=True), None)

        async def ask() -> None:
            async with aclosing(model.stream(call(stream=stream))) as chunks:
                async for _ in chunks:
                    pass

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        while server.busy < 4:
            await asyncio.sleep(0.01)
        for task in asking:
            task.cancel()
        async with asyncio.timeout(SOON):
            while server.busy:
                await asyncio.sleep(0.005)
        await asyncio.gather(*asking, return_exceptions=True)
    await endpoints.close()
