"""Serving until somebody wants it to end: once gently, twice at once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from stretto.errors import ConfigError
from stretto.server.endpoint.app import endpoint_app
from stretto.server.endpoint.guard import is_loopback
from stretto.server.endpoint.service import SERVICE, Offer
from stretto.server.listening import listening

GRACE = 30.0
"""Seconds that runs have to finish once nobody is let in any more."""
_PARTING = 5.0


class Ending:
    """When serving is to end: `soon`, once what is being answered is done or the grace is over; `now`."""

    def __init__(self) -> None:
        self.soon = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Asked once, it ends gently; twice, at once."""
        if self.soon.is_set():
            self.now.set()
        self.soon.set()


async def serve(
    offer: Offer,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    grace: float = GRACE,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until a signal says that it is enough; `ready` is told the base URL, `tell` what happens at the end."""
    if not offer.guard.keys and not is_loopback(host):
        raise ConfigError(
            f"--host {host}: whoever reaches this machine could ask, and you would pay; name the variable with a key "
            "that they must have (--api-key-env NAME), or stay with 127.0.0.1"
        )
    app, ending = endpoint_app(offer), Ending()
    async with listening(app, host, port, parting=_PARTING) as base_url, _obeying(ending):
        ready(base_url)
        await ending.soon.wait()
        await _wind_up(app, ending, grace, tell)


async def _wind_up(app: web.Application, ending: Ending, grace: float, tell: Callable[[str], None]) -> None:
    """Let what is being answered end, or stop it so that it can be resumed."""
    service = app[SERVICE]
    service.close()
    if service.inside:
        tell(f"{service.inside} answers are being written; Ctrl-C again stops them, else the last in {grace:g} s")
    done, now = (asyncio.ensure_future(each) for each in (service.empty(), ending.now.wait()))
    await asyncio.wait([done, now], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    for run in service.carried:
        tell(f"stopped; go on with: stretto resume {run}")
    service.stop()
    await asyncio.wait([done], timeout=_PARTING)
    for each in (done, now):
        each.cancel()


@asynccontextmanager
async def _obeying(ending: Ending) -> AsyncIterator[None]:
    """As long as this is open, signals ask for the end."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # Where the loop takes no signal handlers (Windows), Ctrl-C raises KeyboardInterrupt as everywhere.
    with contextlib.suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, ending.ask)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)
