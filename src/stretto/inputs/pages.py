"""The text at an address, within bounds; a public address leads to no private one."""

import asyncio
import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from stretto.aside import Aside
from stretto.inputs.texts import NoTextError, decoded, too_large
from stretto.models.http import FAILURES, Http, failure, proxy_for

_LARGEST = 10_000_000  # bytes
_PATIENCE = 20.0  # seconds for all of it
_REDIRECTS = 5
_KINDS = ("text/", "application/json", "application/xml", "application/xhtml", "application/javascript")
_SUFFIXES = ("+json", "+xml")


def read_page(url: str, most: int, patience: float = _PATIENCE) -> str:
    """The text at an address, as it was sent, within `patience` seconds; raises `NoTextError`."""
    return Aside(_read(url, min(most, _LARGEST), patience)).result()


def told(url: str) -> str:
    """An address as providers are told it: without a password, and what a query may hold."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" + ("?…" if parts.query else "")


class Doorkeeper(AbstractResolver):
    """Finds the addresses of hosts. Once one was public, a private one is none: not even if a name leads there.

    Without that, whoever has a page could have what only this machine sees be read and sent to a provider. `proxy`: the
    host that is asked in the other's place; it may be private, for it is the user's.
    """

    def __init__(self) -> None:
        self._was_public = False
        self.proxy: str | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host; raises `OSError` if it may not be asked."""
        found = await aiohttp.ThreadedResolver().resolve(host, port, family)
        for each in found if host != self.proxy else ():
            self.admit(each["host"])
        return found

    def admit(self, host: str) -> None:
        """Take note of an address, or of a host that may be one; raises `OSError` if it may not be asked."""
        try:
            address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
        except ValueError:
            return  # a name: what it stands for is looked at when it is resolved
        address = getattr(address, "ipv4_mapped", None) or address
        if not address.is_global and self._was_public:
            raise PermissionError(f"a public address leads to {host}, which is not public; name that itself")
        self._was_public = self._was_public or address.is_global

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
            raise NoTextError(f"cannot be read: {_why(error)}") from error
        except ValueError as error:
            raise NoTextError(f"cannot be read: {error or type(error).__name__}") from error


def _why(error: Exception) -> str:
    """What the network's error means; what the doorkeeper said, if it was that."""
    inner = getattr(error, "os_error", None) or error
    if isinstance(inner, PermissionError):
        return str(inner)
    return str(failure(error, "", began=False, late="nothing came in time")).removeprefix(": ")


async def _followed(session: aiohttp.ClientSession, keeper: Doorkeeper, url: str, most: int) -> str:
    """What is at an address, or at that to which it leads."""
    tls = Http().tls
    for _ in range(_REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise NoTextError(f"leads to {url[:100]!r}, which is no web address")
        keeper.admit(parts.hostname)
        headers, proxy = {"User-Agent": "stretto", "Accept": "text/*, application/json;q=0.9"}, proxy_for(url)
        keeper.proxy = urlsplit(proxy).hostname if proxy else None
        async with session.get(url, headers=headers, proxy=proxy, ssl=tls, allow_redirects=False) as response:
            place = response.headers.get("Location")
            if response.status not in {301, 302, 303, 307, 308} or not place:
                return await _text(response, most)
        url = urljoin(url, place)
    raise NoTextError(f"leads on more than {_REDIRECTS} times")


async def _text(response: aiohttp.ClientResponse, most: int) -> str:
    if response.status != 200:
        raise NoTextError(f"answers with {response.status} {response.reason or ''}".rstrip())
    kind = response.content_type
    if not kind.startswith(_KINDS) and not kind.endswith(_SUFFIXES):
        raise NoTextError(f"is {kind}, not text; models are sent text only")
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
