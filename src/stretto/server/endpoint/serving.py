"""Serving until somebody wants it to end: once gently, twice at once."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from stretto.errors import ConfigError
from stretto.server.ending import Ending, obeying
from stretto.server.endpoint.app import endpoint_app
from stretto.server.endpoint.guard import is_loopback
from stretto.server.endpoint.service import SERVICE, Offer
from stretto.server.garbage import collected
from stretto.server.listening import listening

GRACE = 30.0
"""Seconds that runs have to finish once nobody is let in any more."""
_PARTING = 5.0
_FEW = 32
"""Answers being written while which a whole collection of garbage takes no time that is felt."""


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
