"""Serving an application on a port until it is told to end, and what whoever operates it asks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from stretto.errors import ConfigError, StoreError
from stretto.ground.signals import disobey, obey

_BACKLOG = 4096
"""Connections that may wait to be accepted: a fan-out opens a thousand at once."""
_IDLE = 75.0
"""Seconds that a connection is kept on which nothing is asked."""
_LINGER = 2.0
"""Seconds for the rest of a body that was refused: who is still sending it would not read why."""

Gauges = Callable[[], Mapping[str, tuple[str, float]]]
"""What is to be told: by its name, what it means, and how much of it there is; those named `_total` only grow."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def listening(
    app: web.Application, host: str = "127.0.0.1", port: int = 0, *, parting: float = 0.5
) -> AsyncIterator[str]:
    """Serve an application for as long as this is open; its base URL. Port 0 is any that is free.

    `parting`: seconds that answers have at the end. A caller who leaves cancels whoever answers.
    """
    # Without handler_cancellation aiohttp would talk on to a caller who has left.
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        access_log=None,
        shutdown_timeout=parting,
        keepalive_timeout=_IDLE,
        lingering_time=_LINGER,
        auto_decompress=False,  # see `stretto.server.packed`
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another port") from error
        bound = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}/v1"
    finally:
        await runner.cleanup()


class Ending:
    """When to end: `soon`, once what is under way is done or the grace is over; `now`."""

    def __init__(self) -> None:
        self.soon = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Asked once, it ends gently; twice, at once."""
        if self.soon.is_set():
            self.now.set()
        self.soon.set()


@asynccontextmanager
async def obeying(ending: Ending) -> AsyncIterator[None]:
    """As long as this is open, signals ask for the end."""
    obey(ending.ask)
    try:
        yield
    finally:
        disobey()


def health_routes(gauges: Gauges) -> list[web.RouteDef]:
    """`GET /healthz` and `GET /metrics` (Prometheus's text), which tell of `gauges`.

    These are asked for in a thread; 503 where the store cannot be reached.
    """

    async def told(request: web.Request) -> web.Response:
        try:
            found = await asyncio.to_thread(gauges)
        except StoreError as error:
            return web.Response(status=503, text=f"{error}\n")
        if request.path == "/healthz":
            return web.Response(text="ok\n")
        return web.Response(body=exposition(found), headers={"content-type": _TEXT})

    return [web.get("/healthz", told), web.get("/metrics", told)]


def exposition(gauges: Mapping[str, tuple[str, float]]) -> bytes:
    """The text that Prometheus reads."""
    lines = []
    for name, (meaning, value) in gauges.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
    return ("\n".join(lines) + "\n").encode()
