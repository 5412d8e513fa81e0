"""Where a store is: a file, or a database of a server."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.ground.regex import regex

_UNREADABLE = regex(r"\s|%(?![0-9A-Fa-f]{2})")
_SCHEMES = ("postgresql://", "postgres://")


class Server(Struct, frozen=True):
    """A database of a PostgreSQL server by its address, `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=…`.

    As text, in messages and logs, it is without password and options.
    """

    url: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        return urlunsplit((parts.scheme, f"{user.partition(':')[0]}{at}{host}", parts.path, "", ""))

    def __repr__(self) -> str:
        return f"Server({str(self)!r})"


Location = Path | Server
"""A SQLite file, or a database of a server."""


def location_of(store: str | Path | Server) -> Location:
    """What a user says of where runs are kept; raises `ConfigError` for an address that is none."""
    if isinstance(store, Path | Server):
        return store
    if store.startswith(_SCHEMES):
        try:
            parts = urlsplit(store)
            parts.port  # noqa: B018 - it is read when it is asked for
        except ValueError:
            parts = None
        # What cannot be read is not shown: it may be of the password.
        if parts is None or store.count("@") > 1 or "@" in parts.path or parts.fragment or _UNREADABLE.search(store):
            raise ConfigError(f"store: this PostgreSQL address cannot be read: {_FORM}; {_ENCODED}")
        if not parts.path.strip("/"):
            raise ConfigError(f"store: {Server(store)} names no database; {_FORM}")
        return Server(store)
    if "://" in store:
        raise ConfigError(f"store: {store.partition('://')[0]}:// is no kind of store; name a file, or {_FORM}")
    return Path(store)


def written(location: Location) -> str | Path:
    """The same as a user writes it."""
    return location.url if isinstance(location, Server) else location


_FORM = "write postgresql://USER:PASSWORD@HOST/DATABASE"
_ENCODED = "in a password write %2F for /, %23 for #, %25 for %, %3A for :, %3F for ?, %40 for @, %20 for a space"
