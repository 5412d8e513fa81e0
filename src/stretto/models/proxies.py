"""Which proxy a URL is asked through."""

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from stretto.errors import ConfigError
from stretto.ground.regex import regex

_LOOPBACK = regex(r"localhost|127(?:\.\d+){3}|::1")
_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str) -> str | None:
    """The proxy the environment (or the system) names for a URL, if any; none for one on this machine.

    Raises `ConfigError` if it is one that cannot be asked through. Asked once a model: aiohttp's `trust_env` would ask
    in a thread at every request, look for a netrc in another (four times the cost of a call), and fail on a netrc that
    knows the host while we send a key.
    """
    parts, proxies = urlsplit(url), getproxies()
    host, proxy = parts.hostname or "", proxies.get(parts.scheme, "").strip()
    if not proxy or _LOOPBACK.fullmatch(host) or proxy_bypass(parts.netloc):
        return None
    if _excepted(host, parts.port or _PORTS.get(parts.scheme, 0), proxies.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    scheme, named = proxy.partition("://")[0].lower(), f"{parts.scheme}_proxy"
    if scheme not in _PORTS or not _usable(proxy):  # it is not repeated: a password may stand in it
        kind = "a SOCKS proxy" if scheme.startswith("socks") else "no proxy that can be asked"
        raise ConfigError(
            f"{named}: this is {kind}; only http:// and https:// proxies are known here: name such a one, "
            f"or put {host} into no_proxy"
        )
    return proxy


def _usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _excepted(host: str, port: int, exceptions: str) -> bool:
    """Whether a list of exceptions has this host: as a name, as the end of one, or in a network; each with its port."""
    host = host.rstrip(".").lower()
    for written in re.split(r"[\s,;]+", exceptions.lower()):
        name, _, wanted = written.rpartition(":") if _PORT.search(written) else (written, "", "")
        name = (name or written).strip("[]")
        if wanted and int(wanted) != port:
            continue
        if name == "*" or _within(host, name):
            return True
        name = name.removeprefix("*").strip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False


# `::1` has no port, `[::1]:80` has.
_PORT = regex(r"^(?:[^:]*|\[.*\]):[0-9]{1,5}$")


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:  # either is a name
        return False
