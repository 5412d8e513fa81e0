"""The text at an address, within bounds; a public address leads to no private one."""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from stretto.ground.aside import Aside
from stretto.ground.text import one_line
from stretto.inputs.texts import NoTextError, decoded, too_large
from stretto.models.addresses import is_public
from stretto.models.http import FAILURES, Http, failure, names
from stretto.models.proxies import proxy_for

_LARGEST = 10_000_000  # bytes
_PATIENCE = 20.0  # seconds for all of it
_REDIRECTS = 5
_LOCAL = (".local", ".localhost", ".internal", ".intranet", ".private", ".corp", ".home", ".lan", ".home.arpa")
"""Ends of names that no public host has (RFC 6762, RFC 8375, ICANN's list of those it does not give out)."""
_KINDS = ("text/", "application/json", "application/xml", "application/xhtml", "application/javascript")
_SUFFIXES = ("+json", "+xml")


def read_page(url: str, most: int, patience: float = _PATIENCE) -> str:
    """The text at an address, as it was sent, within `patience` seconds; raises `NoTextError`."""
    return Aside(_read(url, min(most, _LARGEST), patience)).result()


def told(url: str) -> str:
    """An address as providers and people are told it: without a password, and what a query or fragment may hold.

    Of what is no address nothing is told but its scheme: there is no saying where a password stands in it.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname and parts.netloc.rpartition("@")[2]
        usable = bool(host) and (parts.port or 1) > 0 and parts.netloc.count("@") <= 1
    except ValueError:
        host, usable = None, False
    if not usable:
        return f"{url.partition(':')[0]}://…"
    path = one_line(parts.path.partition(";")[0])
    return f"{parts.scheme}://{host}{path}" + ("?…" if parts.query or ";" in parts.path else "")


class Doorkeeper(AbstractResolver):
    """Finds the addresses of hosts. Once one was public, a private one is none: not even if a name leads there.

    Without that, whoever has a page could have what only this machine sees be read and sent to a provider. What is
    found is what is connected to. Of a host that a proxy is asked for, it is looked up here as well, as far as it can.
    """

    def __init__(self) -> None:
        self._was_public = False
        self._proxy: str | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host; raises `OSError` if it may not be asked."""
        found = await names().resolve(host, port, family)
        if host == self._proxy:  # it is the user's, and asks in the other's place
            return found
        public = [each for each in found if is_public(each["host"])]
        self._admit(host, public=bool(public))
        return public or found  # of a name that means both, the private ones are none

    async def check(self, host: str, proxy: str | None) -> None:
        """See to it that a host may be asked before it is, through a proxy if one is named; raises `OSError`."""
        self._proxy = proxy and urlsplit(proxy).hostname
        try:
            self._admit(host, public=is_public(host))
        except ValueError:  # a name: what it stands for is looked at when it is resolved
            if proxy:
                self._admit(host, public=await self._seems_public(host))

    async def _seems_public(self, host: str) -> bool:
        """Whether a name that only a proxy will resolve is public, as far as can be seen from here."""
        try:
            found = await names().resolve(host, 0, socket.AF_UNSPEC)
        except OSError:  # only the proxy knows it
            return "." in host.strip(".") and not host.strip(".").lower().endswith(_LOCAL)
        return any(is_public(each["host"]) for each in found)

    def _admit(self, host: str, *, public: bool) -> None:
        if not public and self._was_public:
            raise PermissionError(f"a public address leads to {host[:100]}, which is not public; name that itself")
        self._was_public = self._was_public or public

    async def close(self) -> None:
        """Nothing is held."""


async def _read(url: str, most: int, patience: float) -> str:
    keeper = Doorkeeper()
    connector = aiohttp.TCPConnector(resolver=keeper, use_dns_cache=False, force_close=True)
    jar, timeout = aiohttp.DummyCookieJar(), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=timeout) as session:
        try:
            async with asyncio.timeout(patience):
                return await _followed(session, keeper, url, most)
        except TimeoutError as error:
            raise NoTextError(f"did not come within {patience:g} s; fetch it first, and name the file") from error
        except FAILURES as error:
            # Not what it came from: its words may be the address, with the password that is in it.
            raise NoTextError(f"cannot be read: {_why(error)}") from None
        except ValueError as error:
            raise NoTextError(f"cannot be read: no usable address ({type(error).__name__})") from None


def _why(error: Exception) -> str:
    """What the network's error means; what the doorkeeper said, if it was that."""
    inner = getattr(error, "os_error", None) or error
    if isinstance(inner, PermissionError):
        return str(inner)
    return str(failure(error, "", began=False, late="nothing came in time")).removeprefix(": ")


async def _followed(session: aiohttp.ClientSession, keeper: Doorkeeper, written: str, most: int) -> str:
    """What is at an address, or at that to which it leads."""
    http, url = Http(), _address(written)
    for _ in range(_REDIRECTS + 1):
        proxy = proxy_for(str(url))
        await keeper.check(url.host or "", proxy)
        headers = {"User-Agent": "stretto", "Accept": "text/*, application/json;q=0.9"}
        tls = http.tls(str(url))
        async with session.get(url, headers=headers, proxy=proxy, ssl=tls, allow_redirects=False) as response:
            place = response.headers.get("Location")
            if response.status not in {301, 302, 303, 307, 308} or not place:
                return await _text(response, most)
        url = _address(place, url)
    raise NoTextError(f"leads on more than {_REDIRECTS} times")


def _address(written: str, base: URL | None = None) -> URL:
    """A web address, as it is asked; raises `NoTextError` for whatever others could read as another one."""
    scheme, colon, rest = written.partition(":")
    own = bool(colon) and "/" not in scheme and "?" not in scheme and "#" not in scheme
    odd = "\\" in written or not written.isprintable()
    if not odd and (base is not None or own) and (not own or (rest.startswith("//") and rest[2:3] != "/")):
        with suppress(ValueError):
            found = base.join(URL(written)) if base else URL(written)
            if found.scheme in {"http", "https"} and found.host:
                return found
    if base is None:
        raise NoTextError("is no web address; write https://HOST/…")
    raise NoTextError(f"leads to {one_line(written).partition('?')[0][:100]!r}, which is no web address")


async def _text(response: aiohttp.ClientResponse, most: int) -> str:
    if response.status != 200:
        raise NoTextError(f"answers with {response.status} {one_line(response.reason or '')[:100]}".rstrip())
    kind = response.content_type
    if not kind.startswith(_KINDS) and not kind.endswith(_SUFFIXES):
        raise NoTextError(f"is {one_line(kind)[:100]}, not text; models are sent text only")
    data = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        data += piece
        if len(data) > most:
            raise too_large(len(data), most)
    if (charset := (response.charset or "utf-8").lower()) not in {"utf-8", "utf8", "us-ascii"}:
        try:
            return decoded(bytes(data).decode(charset).encode())
        except (LookupError, UnicodeError) as error:
            raise NoTextError(f"is not the {charset} text that it says it is") from error
    return decoded(bytes(data))
