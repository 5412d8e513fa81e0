"""A streamed answer, however it comes about: begun, told, and ended, with an error if that is how it ends."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.turnstile import Place
from stretto.server.endpoint.voice import Voice
from stretto.server.refused import OURS, RefusedError

_log = logging.getLogger("stretto.serve")


async def streamed(
    request: web.Request,
    voice: Voice,
    tell: Callable[[Sending], Awaitable[bytes]],
    headers: Mapping[str, str],
    silence: float,
) -> web.StreamResponse:
    """What `tell` sends, and then the last events, which it returns; an error once it has begun is told by those.

    Before it has begun the error is raised: then it has a status of its own.
    """
    async with Sending(request, voice.opening(), headers, silence) as sending:
        try:
            last = await tell(sending)
        except RefusedError as error:
            if not await sending.rest():
                raise
            last = voice.failed(error.refusal)
        except ConnectionError:
            raise
        except Exception:
            if not await sending.rest():
                raise
            _log.exception("a streamed answer")
            last = voice.failed(OURS)
        return await sending.end(last)


async def tell_wait(sending: Sending, voice: Voice, place: Place) -> None:
    """Tell whoever has to wait for how many."""
    if place.ahead:
        await sending.send(voice.thought(f"waiting: {place.ahead} before this\n"))
