"""The least that a hop of HTTP costs in Python: an aiohttp server that asks an aiohttp client, and nothing between.

`python -m bench.hop URL` prints its port; URL is that of the endpoint which answers.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web


async def _serve(url: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def passed_on(request: web.Request) -> web.Response:
            async with session.post(f"{url}/chat/completions", data=await request.read()) as response:
                return web.Response(body=await response.read(), content_type="application/json")

        app = web.Application()
        app.router.add_post("/v1/chat/completions", passed_on)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            print(runner.addresses[0][1], flush=True)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
