"""Serving until somebody wants it to end: once gently, twice at once; garbage is collected while few wait."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from stretto.errors import ConfigError
from stretto.server.endpoint.app import endpoint_app
from stretto.server.endpoint.guard import is_loopback
from stretto.server.endpoint.service import SERVICE, Offer
from stretto.server.listening import Ending, listening, obeying

GRACE = 30.0
"""Seconds that runs have to finish once nobody is let in any more."""
_PARTING = 5.0
_FEW = 32
"""Answers being written while which a whole collection of garbage takes no time that is felt."""
_YOUNG, _OLDER, _ALL = 10_000, 5, 1_000_000
"""Objects more than there were, and collections of the younger, after which each generation is looked at: the last
practically never, but when we say so."""
_LOOK, _LATEST = 5.0, 60.0
"""Seconds between two looks whether few wait, and after which it is done though many do."""


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
    service = app[SERVICE]
    async with (
        listening(app, host, port, parting=_PARTING) as base_url,
        obeying(ending),
        collected(lambda: service.inside <= _FEW),
    ):
        ready(base_url)
        await ending.soon.wait()
        await _wind_up(app, ending, grace, tell)


async def _wind_up(app: web.Application, ending: Ending, grace: float, tell: Callable[[str], None]) -> None:
    """Let what is being answered end, or stop it so that it can be resumed."""
    service = app[SERVICE]
    service.close()
    if service.inside:
        many = "1 answer is" if service.inside == 1 else f"{service.inside} answers are"
        tell(f"{many} being written; Ctrl-C again stops them, else the last in {grace:g} s")
    done, now = (asyncio.ensure_future(each) for each in (service.empty(), ending.now.wait()))
    await asyncio.wait([done, now], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    for run in service.carried:
        tell(f"stopped; go on with: stretto resume {run}")
    service.stop()
    await asyncio.wait([done], timeout=_PARTING)
    for each in (done, now):
        each.cancel()


@asynccontextmanager
async def collected(calm: Callable[[], bool], look: float = _LOOK) -> AsyncIterator[None]:
    """For as long as this is open, whole collections are made while it is `calm`, or has not been for a minute.

    A whole collection looks at every object that there is: with 200 runs under way it holds the event loop up for a
    quarter of a second, and as Python does it by itself, a quarter of the server's work is that. A run that is over
    leaves next to nothing for it: what of it refers to itself is taken apart at its end.
    """
    before = gc.get_threshold()
    gc.freeze()  # what was imported stays for ever
    gc.set_threshold(_YOUNG, _OLDER, _ALL)
    collecting = asyncio.create_task(_collect(calm, look), name="stretto-garbage")
    try:
        yield
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])
        gc.set_threshold(*before)
        gc.unfreeze()


async def _collect(calm: Callable[[], bool], look: float) -> None:
    loop = asyncio.get_running_loop()
    last, seen = loop.time(), _lasting()
    while True:
        await asyncio.sleep(look)
        if _lasting() != seen and (calm() or loop.time() - last > _LATEST):
            gc.collect()
            last, seen = loop.time(), _lasting()


def _lasting() -> int:
    """How often objects came among the oldest, of which some may be garbage by now."""
    return int(gc.get_stats()[1]["collections"])
