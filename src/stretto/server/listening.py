"""Serving an application on a port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from stretto.errors import ConfigError
from stretto.ground.signals import disobey, obey

_BACKLOG = 4096
"""Connections that may wait to be accepted: a fan-out opens a thousand at once."""
_IDLE = 75.0
"""Seconds that a connection is kept on which nothing is asked."""
_LINGER = 2.0
"""Seconds for the rest of a body that was refused: who is still sending it would not read why."""


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
