"""A server with its page, in a thread of its own, for a browser that is waited for."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from serving import Client, served
from stretto import Workflow

T = TypeVar("T")


class Served:
    """`url` is that of the page."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self.url = client.url.removesuffix("v1")
        self.client = client
        self.loop = loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the server's loop do something, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def start(self, task: str, **more: Any) -> str:
        """Begin a run, and say which it is."""

        async def begun() -> str:
            body = {"workflow": "general", "task": task, **more}
            async with self.client.session.post(f"{self.url}api/runs", json=body) as response:
                assert response.status == 201, await response.text()
                return str((await response.json())["run"])

        return self.do(begun())

    def over(self, run: str) -> None:
        """Wait until a run is not carried any more."""

        async def ended() -> None:
            while run in self.client.service.carried:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)

        self.do(ended())


@contextmanager
def serving(*workflows: Workflow[Any], **settings: Any) -> Iterator[Served]:
    """Workflows behind an endpoint with its page, for as long as this is open."""
    ready: list[Served] = []
    told, enough = threading.Event(), asyncio.Event()

    async def main() -> None:
        async with served(*workflows, **settings) as client:
            ready.append(Served(client, asyncio.get_running_loop()))
            told.set()
            await enough.wait()
            client.service.stop()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    told.wait()
    try:
        yield ready[0]
    finally:
        ready[0].loop.call_soon_threadsafe(enough.set)
        thread.join()
