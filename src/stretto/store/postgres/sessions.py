"""Connections to a store in PostgreSQL, kept for the next who needs one, and what goes wrong with them in words."""

import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from math import ceil
from selectors import EVENT_READ, DefaultSelector
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from stretto.errors import ConfigError, StoreError, StoreLocked
from stretto.ground.extras import installing
from stretto.store.database import ALONE, READING, WRITING, Rows
from stretto.store.locations import Server
from stretto.store.postgres.tables import GONE, SCHEMA, prepare, unprepared

_KEPT = 4  # connections that nobody needs just now
_WAIT = 5_000  # milliseconds for a lock that another holds
WATCHFUL: dict[str, Any] = {
    "application_name": "stretto",
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How every connection of ours is made: a machine that is gone is noticed within some ten seconds."""
_SETTINGS = {
    "search_path": SCHEMA,
    "lock_timeout": str(_WAIT),
    "idle_in_transaction_session_timeout": str(_WAIT),  # else what stands still would hold its locks for ever
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_BEGIN = {
    WRITING: "BEGIN",
    READING: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    ALONE: f"BEGIN; SELECT pg_advisory_xact_lock(hashtext('{SCHEMA} alone'))",
}

Connection = Any
"""A `psycopg.Connection`, which is there only with the extra."""

_idle: defaultdict[tuple[int, Server], list[Connection]] = defaultdict(list)
"""By process, for a forked one has none of its parent's."""
_met: set[Server] = set()
"""Servers that have answered this process once: if one does not, it is away, and not a wrong address."""
_lock = threading.Lock()


class Session:
    """A connection to a store in PostgreSQL, as `stretto.store.database.Database`; used by one thread at a time.

    Whatever fails is a `StoreError`, and a `StoreLocked` if it may be another way soon.
    """

    def __init__(self, server: Server, raw: Connection, *, patience: float, fresh: bool) -> None:
        self.server = server
        self.raw = raw
        self._patience = patience
        self._fresh = fresh

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        return self.raw.info.transaction_status.name in {"INTRANS", "INERROR"}

    @property
    def has_ended(self) -> bool:
        """Whether the server has ended it, or says so right now; asks nobody."""
        if self.raw.closed:
            return True
        with DefaultSelector() as waiting:  # `select` knows no file descriptor beyond 1,023
            waiting.register(self.raw, EVENT_READ)
            return bool(waiting.select(0))

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Rows:
        """Have one statement done; its rows are here when this returns."""
        query = _BEGIN.get(query) or (_with_percents(query) if values else query)
        try:
            try:
                found: Rows = self.raw.execute(query, values or None)
            except driver().OperationalError:
                if self._fresh or not self.raw.closed:
                    raise
                # It broke while nobody needed it, and nothing was done with it yet.
                self.raw = _connected(self.server, self._patience)
                found = self.raw.execute(query, values or None)
        except driver().Error as error:
            raise explain(self.server, error) from error
        self._fresh = True
        return found

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> None:
        """Have one statement done for each of some rows."""
        try:
            with self.raw.cursor() as cursor:
                cursor.executemany(_with_percents(query), values)
        except driver().Error as error:
            raise explain(self.server, error) from error

    def each(self, query: str, values: Sequence[Any] = (), /) -> Iterator[Any]:
        """The rows of one statement as they come: few are in memory at a time."""
        try:
            with self.raw.cursor() as cursor:
                yield from cursor.stream(_with_percents(query) if values else query, values or None)
        except driver().Error as error:
            raise explain(self.server, error) from error

    def close(self) -> None:
        """Keep it for the next who needs one, if it is as good as new."""
        if self.raw.info.transaction_status.name == "IDLE" and not self.raw.closed:
            with _lock:
                kept = _idle[os.getpid(), self.server]
                if len(kept) < _KEPT:
                    kept.append(self.raw)
                    return
        self.raw.close()


@cache
def driver() -> ModuleType:
    """psycopg, loaded when it is needed; raises `ConfigError` if it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(f"a store in PostgreSQL needs psycopg ({error}): {installing('cluster')}") from error
    return psycopg


@lru_cache(256)
def _with_percents(query: str) -> str:
    return query.replace("%", "%%").replace("?", "%s")


def session(server: Server, *, create: bool, patience: float) -> Session:
    """A connection to the store in this database; its tables are made, or brought up to date, if `create`."""
    with _lock:
        kept = _idle[os.getpid(), server]
        while kept:
            raw = kept.pop()
            found = Session(server, raw, patience=patience, fresh=False)
            if not found.has_ended:
                break
            raw.close()
        else:
            found = None
    found = found or Session(server, _connected(server, patience), patience=patience, fresh=True)
    try:
        prepare(found, server, create=create)
    except BaseException:
        found.raw.close()
        raise
    return found


def _connected(server: Server, patience: float) -> Connection:
    try:
        raw: Connection = driver().connect(
            server.url,
            autocommit=True,
            connect_timeout=max(2, ceil(patience)),  # less than two seconds are two for libpq
            client_encoding="utf8",
            **WATCHFUL,
        )
        names, wanted = ", ".join(["set_config(%s, %s, false)"] * len(_SETTINGS)), sum(_SETTINGS.items(), ())
        raw.execute(f"SELECT {names}", wanted)
    except driver().Error as error:
        raise explain(server, error) from error
    if (encoding := raw.info.parameter_status("server_encoding")) != "UTF8":
        raw.close()
        raise StoreError(f"{server}: this database is encoded in {encoding}; make one in UTF8 (createdb -E UTF8)")
    _met.add(server)
    return raw


_ROOM = {"53100": "the disk of the server is full", "53200": "the server is out of memory"}
_FULL = ("too many clients", "too many connections", "connection slots are reserved")
_STARTING = ("system is starting up", "system is shutting down", "in recovery mode")
"""Refused at the door there is no code."""
_SOON = frozenset({"25P03", "55P03", "57P01", "57P02", "57P03", "40001", "40P01"})
"""It stood still in a transaction; a lock; stopping, crashed, starting; two transactions."""


def explain(server: Server, error: Exception) -> StoreError:
    """What went wrong, with the server's name and a remedy."""
    code = getattr(error, "sqlstate", None) or ""
    if code in GONE:
        unprepared(server)  # who comes next makes them
    text = " ".join(str(error).split()).partition(" Is the server running")[0].rstrip(".") or type(error).__name__
    text = without_password(server, text)
    if code in _ROOM:
        return StoreError(
            f"{server}: {_ROOM[code]} ({text}); free some, then `stretto resume` the run: nothing recorded is lost"
        )
    away = not code and isinstance(error, driver().OperationalError)
    if code == "53300" or (away and any(each in text for each in _FULL)):
        return StoreLocked(f"{server}: it has no connection left ({text}); try again, or raise its max_connections")
    if code in _SOON or (away and (server in _met or any(each in text for each in _STARTING))):
        return StoreLocked(f"{server}: the database cannot be reached just now ({text}); try again when it is there")
    return StoreError(f"{server}: {text}: {_remedy(code, text, away=away)}")


def without_password(server: Server, text: str) -> str:
    """A text of others in which the password of this server may stand."""
    try:
        password = driver().conninfo.conninfo_to_dict(server.url).get("password")
    except driver().Error:  # its options cannot be read
        password = urlsplit(server.url).password
    return text.replace(str(password), "…") if password else text


def _remedy(code: str, text: str, *, away: bool) -> str:
    """What to do about an error with this code and text."""
    if "password" in text or "role" in text or code.startswith("28"):
        return "check the user and password in the address, and pg_hba.conf of the server"
    if code in GONE:
        return "its tables were dropped, or the database made anew; start its workers and servers anew, or restore it"
    if code == "3D000" or "does not exist" in text:
        return "make the database first (createdb), or name another with --store"
    if code == "25006":
        return "it can only be read (a standby); name the server that is written to"
    if code == "42501":
        return f"its user needs CREATE on the database once, and the tables of schema {SCHEMA}"
    if away:
        return "is the server running there, and does it listen at this address? Else name another with --store"
    return "name another with --store"
