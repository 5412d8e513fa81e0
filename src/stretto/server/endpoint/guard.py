"""Who may ask: by a key, from this machine, and from no page of another site."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware
from msgspec import Struct

from stretto.models import addresses
from stretto.models.error_bodies import Refusal
from stretto.server.refused import RefusedError, refused

CLIENT = web.RequestKey("client", str)
"""Whose key a request bears: the name of a client, empty for the server's own key, or where none is wanted."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ALLOWED = {
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, last-event-id, x-stretto-reuse",
    "access-control-expose-headers": "location, x-request-id, x-stretto-run, retry-after",
    "access-control-max-age": "600",
}


class Guard(Struct, frozen=True):
    """Who may ask: `keys` by the name of their client; with none, whoever asks this machine by one of its own names.

    `origins`: pages of other sites that may ask, too (CORS).
    """

    keys: Mapping[str, str] = {}
    origins: frozenset[str] = frozenset()

    def client(self, request: web.Request) -> str:
        """Whose request this is; raises `RefusedError` if it is nobody's who may ask."""
        self.check_place(request)
        if not self.keys:
            return ""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        given = hashlib.sha256((key.strip() if scheme.lower() == "bearer" else "").encode("utf-8", "replace")).digest()
        found = None
        for name, known in self.keys.items():  # all of them, so that the time it takes tells nothing
            if hmac.compare_digest(hashlib.sha256(known.encode()).digest(), given):
                found = name
        if found is None:
            message = "this server wants a key: Authorization: Bearer KEY"
            raise RefusedError(
                Refusal(401, "invalid_request_error", "invalid_api_key", message), {"www-authenticate": "Bearer"}
            )
        return found

    def check_place(self, request: web.Request) -> None:
        """Raise `RefusedError` for what comes from another site's page, or asks for a name that is none of ours."""
        self._check_origin(request)
        if not self.keys:
            _check_host(request)

    def _check_origin(self, request: web.Request) -> None:
        """A page of another site can send requests that it cannot read the answers of, and they would be paid."""
        origin = request.headers.get("origin")
        if origin is None or origin in self.origins or urlsplit(origin).netloc == request.headers.get("host", ""):
            return
        raise RefusedError(
            Refusal(403, "permission_error", "origin_not_allowed", "pages of other sites may not ask; see --cors")
        )

    def shared(self, request: web.Request) -> dict[str, str]:
        """The headers that let a page of another site read the answer, if it may."""
        origin = request.headers.get("origin", "")
        return {"access-control-allow-origin": origin, "vary": "Origin"} if origin in self.origins else {}


def _check_host(request: web.Request) -> None:
    """A name that was made to mean this machine (DNS rebinding) is none of its own."""
    if not _is_ours(request.headers.get("host", "")):
        raise RefusedError(
            Refusal(403, "permission_error", "host_not_allowed", "this server answers to localhost and 127.0.0.1 only")
        )


@lru_cache(64)  # clients say the same with every request
def _is_ours(host: str) -> bool:
    """Whether the host of a request, a name and maybe a port, is this machine."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a name or an address means this machine and nothing else."""
    return host.endswith(".localhost") or addresses.is_loopback(host)


def guarding(guard: Guard, is_open: Callable[[web.Request], bool]) -> Middleware:
    """The middleware that lets in who may ask; what `is_open` is for whoever reaches this server."""

    @web.middleware
    async def guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if request.method == "OPTIONS" and guard.shared(request):
                return web.Response(status=204, headers=_ALLOWED)
            if is_open(request):
                guard.check_place(request)
            else:
                request[CLIENT] = guard.client(request)
        except RefusedError as error:
            return refused(error.refusal, error.headers)
        return await handler(request)

    return guarded
