"""Server-sent events to one client: begun soon, kept alive, and given up if it takes none of them."""

import asyncio
from collections.abc import Mapping
from typing import Self

from aiohttp import web

SOON = 0.01
"""Seconds until a response begins without anything to say: until then an error still has a status of its own."""
SILENCE = 10.0
"""Seconds without an event after which a comment is sent, so that nothing in between takes the connection for dead."""
PATIENCE = 60.0
"""Seconds that a client may take to read what fills its connection."""
_ALIVE = b": keep-alive\n\n"
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no", "content-type": "text/event-stream"}


class Sending:
    """The response of a request as server-sent events; `opening` is its first, sent with the first other one, or soon.

    `silence`: seconds after which it says that it goes on. Used as `async with`. A client that has left, or does not
    read, is a `ConnectionError`.
    """

    def __init__(
        self, request: web.Request, opening: bytes, headers: Mapping[str, str], silence: float = SILENCE
    ) -> None:
        self._silence = silence
        self.response = web.StreamResponse(headers={**headers, **_HEADERS})
        self._request = request
        self._opening = opening
        self._turn = asyncio.Lock()
        self._said_at = 0.0
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rest()

    async def send(self, events: bytes) -> None:
        """Send events, and before them the opening if it was not sent."""
        async with self._turn:
            await self._write(events if self.response.prepared else await self._begun() + events)

    async def rest(self) -> bool:
        """Begin nothing by itself any more; whether the response has begun."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        return self.response.prepared

    async def end(self, events: bytes) -> web.StreamResponse:
        """Send the last events."""
        await self.send(events)
        await self.response.write_eof()
        return self.response

    async def _begun(self) -> bytes:
        await self.response.prepare(self._request)
        return self._opening

    async def _write(self, events: bytes) -> None:
        if not events:  # somebody else has begun just now
            return
        self._said_at = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.response.write(events)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError(f"the client has read nothing for {PATIENCE:g} s") from None

    async def _beat(self) -> None:
        """Begin if nobody else does, and then say now and then that it goes on."""
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(SOON)
            if not self.response.prepared:
                await self.send(b"")
            while True:
                await asyncio.sleep(max(self._said_at + self._silence - loop.time(), 0.01))
                if loop.time() - self._said_at >= self._silence:
                    await self.send(_ALIVE)
        except ConnectionError:  # whoever answers the request is told by its own writing, or cancelled
            return
