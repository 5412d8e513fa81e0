"""The simulator behind real sockets, in a thread of its own, and what each request was asked and answered."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

from aiohttp import web

from stretto import Message, Simulator
from stretto.server.body import read_body
from stretto.server.sim import listening, simulator_app

Asked = tuple[tuple[str, str], ...]
"""What identifies a request on both sides of the wire: its messages, without what a schema adds to them there."""

_SCHEMA = "\n\nReply with one JSON object that fits this JSON schema"


def asked(messages: tuple[Message, ...]) -> Asked:
    """The identity of a request with these messages."""
    return tuple((message.role, message.content.partition(_SCHEMA)[0]) for message in messages)


class Endpoint:
    """One simulated provider: how often each request arrived, whatever became of it."""

    def __init__(self) -> None:
        self.url = ""
        self._arrived: Counter[Asked] = Counter()

    @property
    def arrived(self) -> Counter[Asked]:
        return Counter(self._arrived)

    async def serve(self, simulator: Simulator, stack: AsyncExitStack) -> None:
        app = simulator_app(simulator)
        app.middlewares.append(self._counting())
        self.url = await stack.enter_async_context(listening(app))

    def _counting(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        @web.middleware
        async def count(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.method == "POST":  # else it is asked what it has
                self._arrived[asked(read_body(await request.read()).request.messages)] += 1
            return await handler(request)

        return count


class Endpoints:
    """Opens endpoints for whatever thread asks for one; all live in one event loop until the block ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stack: AsyncExitStack) -> None:
        self._loop = loop
        self._stack = stack

    def open(self, simulator: Simulator) -> Endpoint:
        one = Endpoint()
        asyncio.run_coroutine_threadsafe(one.serve(simulator, self._stack), self._loop).result(10)
        return one


@contextmanager
def endpoints() -> Iterator[Endpoints]:
    loop, stop, opened = asyncio.new_event_loop(), asyncio.Event(), AsyncExitStack()

    async def live() -> None:
        async with opened:
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        yield Endpoints(loop, opened)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def endpoint(simulator: Simulator) -> Iterator[Endpoint]:
    """A single one."""
    with endpoints() as many:
        yield many.open(simulator)
