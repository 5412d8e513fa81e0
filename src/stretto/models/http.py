"""One HTTP session for all endpoints of an event loop, and what its failures mean."""

import asyncio
import errno
import os
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import aiohttp
import truststore

from stretto import errors
from stretto.ground.aside import in_thread
from stretto.ground.turns import my_turn
from stretto.models.proxies import proxy_for

_LONGEST_HEADER = 2**16  # bytes; gateways write whole policies and traces into one
_MOST_HEADERS = 1000
_SHOWN = 120  # letters of what is wrong with an answer
_AT_ONCE = 2**20  # bytes of a request; aiohttp warns of more
_PIECE = 2**16  # bytes of a larger one that are written at once
# Where aiohttp writes a request at once, the loop must look first whether the connection was closed meanwhile.
_AT_A_STRETCH = sys.version_info >= (3, 12)
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})  # OpenSSL's reasons, the second from 3.2 on
_LEFT_OPEN = 3  # connections in a row that may turn out to be closed as a request is to leave
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE})

FAILURES = (TimeoutError, aiohttp.ClientError, OSError)
"""What the network may raise; `failure` says what each means."""


class Http:
    """An `aiohttp` session made on first use: no cap on connections, system certificates, time kept by the callers."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    def tls(self, url: str) -> ssl.SSLContext | bool:
        """What aiohttp is to know of TLS for a URL: the system's certificates, read now if need be."""
        if self._tls is None and url.startswith("https:"):
            self._tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return self._tls or True

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, opened now if need be."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, resolver=names()),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                # A reply can have long lines and large bodies; the default buffer would stall them for nothing.
                read_bufsize=2**18,
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
                max_headers=_MOST_HEADERS,
            )
        return self._session

    async def post(self, url: str, data: bytes, headers: Mapping[str, str], **how: Any) -> aiohttp.ClientResponse:
        """What answers a POST of this data; `how` is what aiohttp takes.

        Some servers close a connection after each reply and do not say so (llama.cpp under load). A request that was
        about to leave on one has not left, and is sent on another.
        """
        closed = 0
        while True:
            if _AT_A_STRETCH:
                await asyncio.sleep(0)
            try:
                if len(data) <= _AT_ONCE:
                    return await self.session.post(url, data=data, headers=headers, **how)
                sized = {**headers, "Content-Length": str(len(data))}
                return await self.session.post(url, data=_in_pieces(data), headers=sized, **how)
            except aiohttp.ClientOSError as error:
                closed += 1
                if closed > _LEFT_OPEN or not isinstance(error.__cause__, aiohttp.ClientConnectionResetError):
                    raise

    def request(self, method: str, url: str, **how: Any) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """What answers a request that is sent once, through the proxy for its URL; no redirect is followed."""
        return self.session.request(method, url, proxy=proxy_for(url), ssl=self.tls(url), allow_redirects=False, **how)

    async def close(self) -> None:
        """Close the session and every connection; whoever asks meanwhile gets a new one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _in_pieces(data: bytes) -> AsyncIterator[bytes]:
    """A large request, without a copy of it: aiohttp makes one of what it reads as a file."""
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]


class _LookUps:
    """As a loop looks up names, but in threads that nobody waits for: a silent name server must hold up no deadline."""

    async def getaddrinfo(self, host: str, port: int, **how: Any) -> Any:
        return await in_thread(partial(socket.getaddrinfo, host, port, **how))

    async def getnameinfo(self, address: Any, flags: int) -> Any:
        return await in_thread(socket.getnameinfo, address, flags)


def names() -> aiohttp.ThreadedResolver:
    """What finds the addresses of hosts."""
    return aiohttp.ThreadedResolver(_LookUps())  # type: ignore[arg-type]


async def body_of(response: aiohttp.ClientResponse, most: int, where: str, otherwise: str) -> bytes:
    """A whole body; `ReplyError` if it is larger than what is expected can be, which says what it is `otherwise`."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            raise errors.ReplyError(f"{where}: more than {most >> 20} MB; {otherwise}")
    return bytes(body)


class Reader:
    """Reads a body as it comes, each piece within its own time.

    One timer serves the whole body and is only looked at when it rings: `asyncio.timeout` for every piece would take a
    tenth of all the time a streamed piece costs. `gather`: seconds in which pieces may gather before they are read, for
    a body that nobody watches; its end is read at once. `waits`: it is read when the loop has time for it.
    """

    def __init__(self, content: aiohttp.StreamReader, gather: float = 0.0, *, waits: bool = False) -> None:
        self._content = content
        self._gather = gather
        self._waits = waits
        self._loop = asyncio.get_running_loop()
        self._limit: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._gathered: asyncio.Future[None] | None = None
        if gather:
            content.on_eof(self._wake)

    async def some(self, limit: float) -> bytes:
        """What has arrived, or what comes next; empty at the end. Raises `TimeoutError` at the loop time `limit`."""
        if self._gather and not self._content.is_eof():
            self._gathered = self._loop.create_future()
            alarm = self._loop.call_later(min(self._gather, max(0.0, limit - self._loop.time())), self._wake)
            try:
                await self._gathered
            finally:
                alarm.cancel()
        data = await self._next(limit)
        if self._waits and data:
            await my_turn()
        return data

    async def _next(self, limit: float) -> bytes:
        """What has arrived, or what comes next; only that needs a timer."""
        try:
            if (data := self._content.read_nowait()) or self._content.is_eof():
                return data
            self._limit = limit
            if self._timer is None or limit < self._timer.when():
                self._set(limit)
            return await self._content.readany()
        except FAILURES:
            if held := self._held():
                return held
            raise
        finally:
            self._limit = None  # a reader that pauses is not one that waits

    def _held(self) -> bytes:
        """What came before the connection broke. aiohttp raises first, but it may be all that was still missing."""
        buffer = self._content._buffer  # noqa: SLF001 - there is no public way to it
        held = b"".join(buffer)
        buffer.clear()
        return held

    def _wake(self) -> None:
        if self._gathered and not self._gathered.done():
            self._gathered.set_result(None)

    def close(self) -> None:
        """Put the timer away."""
        if self._timer:
            self._timer.cancel()

    def _set(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._limit is None:
            return
        if self._limit > self._loop.time() + 0.001:
            self._set(self._limit)
        else:
            self._content.set_exception(TimeoutError())


def no_room(error: Exception) -> bool:
    """Whether a request failed because this machine has no file descriptor left for its connection.

    Looking up a name needs some too, and says something else if there are none.
    """
    if not isinstance(error, OSError):
        return False
    if error.errno in _NO_ROOM:
        return True
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as full:
        return full.errno in _NO_ROOM
    return False


def failure(error: Exception, where: str, *, began: bool, late: str) -> errors.CallError:
    """Our error for one of the network's; `began`: a part of the reply was here already; `late`: what took too long."""
    broke = errors.CutError if began else errors.ConnectError
    match error:
        case aiohttp.ConnectionTimeoutError():
            return errors.Unreachable(f"{where}: no connection in time")
        case TimeoutError():
            return errors.CallTimeout(f"{where}: {late}")
        case aiohttp.ClientConnectorCertificateError():
            return errors.RequestError(f"{where}: the certificate is refused: {error.certificate_error}")
        case aiohttp.InvalidURL():
            return errors.RequestError(f"{where}: no usable URL")
        case aiohttp.ClientConnectorError():
            return _unconnected(error, where)
        case aiohttp.ClientHttpProxyError():
            return errors.ConnectError(f"{where}: the proxy answers {error.status} {error.message}")
        case aiohttp.ClientResponseError() if not began:
            why = _short(f"{error.message}")
            check = "check the base URL, and whether it is https:// there"
            return errors.ReplyError(f"{where}: what answers there does not speak HTTP{why}; {check}")
    return broke(f"{where}: the connection broke: {str(error) or type(error).__name__}")


def _unconnected(error: aiohttp.ClientConnectorError, where: str) -> errors.CallError:
    if getattr(error.os_error, "reason", "") in _NO_TLS:
        return errors.RequestError(f"{where}: what answers there does not speak TLS; write http:// in the base URL")
    proxy = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    reason = error.strerror or error.os_error
    if isinstance(error.os_error, ConnectionRefusedError):
        reason = "nothing listens there; is the server running?"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        reason = f"{reason}; is there a network, and is the name right?"
    return errors.Unreachable(f"{where}: cannot connect to {proxy}{error.host}:{error.port} ({reason})")


def _short(said: str) -> str:
    """What is wrong with an answer, on one line."""
    said = " ".join(said.split())[:_SHOWN]
    return f" as we do ({said})" if said else ""
