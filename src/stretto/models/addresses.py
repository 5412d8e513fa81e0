"""Which addresses are public, and which are this machine's own."""

import ipaddress
from urllib.parse import urlsplit

_GLOBAL = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 (RFC 4291, 2.4); what lies elsewhere is local, reserved, or means an IPv4 address."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "168.63.129.16/32",  # Azure tells every machine of it its secrets there
        "192.0.0.0/24",  # protocols' own (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "2001::/23",  # Teredo and other protocols' own
        "2002::/16",  # 6to4: stands for an IPv4 address
        "3fff::/20",  # documentation (RFC 9637)
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody in the world may be asked at; raises `ValueError` if it is none.

    Not public is whatever leads to this machine, to its network or to nobody, in IPv4 or in any form of IPv6 that
    stands for IPv4 (https://www.iana.org/assignments/iana-ipv6-special-registry).
    """
    found = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return is_public(str(found.ipv4_mapped))
        if found in _NAT64:  # where there is IPv6 only, every IPv4 host has such an address
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)))
        if found not in _GLOBAL or int(found) >> 32 & 0xFDFF_FFFF == 0x5EFE:  # ISATAP stands for IPv4
            return False
    kept = found.is_multicast or found.is_reserved or any(found in each for each in _NEVER)
    return found.is_global and not kept


def is_here(url: str) -> bool:
    """Whether a URL names this machine by an address or name that can mean no other."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a name or an address can mean this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
