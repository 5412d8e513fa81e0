"""Opening a store, wherever it is, and asking it while another program may hold it."""

import asyncio
import sqlite3
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from stretto.errors import StoreLocked
from stretto.store import schema
from stretto.store.database import Database
from stretto.store.locations import Location, Server
from stretto.store.schema import GLANCE, PATIENCE, explain

_T = TypeVar("_T")


AWAY = 60.0
"""Seconds for which a server may be away, until nobody waits for it any more."""


def connect(location: Location, *, create: bool = True, patience: float = PATIENCE) -> Database:
    """A connection to a store, made if it is not there; `StoreError` says what is wrong with it.

    `patience`: seconds to wait for others who write, and for a server.
    """
    if isinstance(location, Server):
        from stretto.store.postgres.sessions import session

        return session(location, create=create, patience=patience)
    return schema.connect(location, create=create, patience=patience)


@contextmanager
def opened(location: Location, *, create: bool = True, patience: float = PATIENCE) -> Iterator[Database]:
    """A connection for as long as this is open; whatever goes wrong with it is a `StoreError` that says what to do."""
    with closing(connect(location, create=create, patience=patience)) as db:
        try:
            yield db
        except sqlite3.Error as error:
            raise explain(location, error) from error


def identity(location: Location) -> Hashable:
    """What is the same for all names of a store; None if there is no file of this name."""
    return location if isinstance(location, Server) else schema.identity(location)


async def asked(question: Callable[[], _T], within: float = AWAY) -> _T:
    """The answer to a question at the store, asked in a thread, and again while its server is away."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        try:
            return await asyncio.to_thread(question)
        except StoreLocked:
            if loop.time() > until:
                raise
            await asyncio.sleep(GLANCE)


async def patiently(attempt: Callable[[], _T]) -> _T:
    """What an attempt at the store gives, made again while another program holds it; the loop goes on meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while True:
        try:
            return attempt()
        except StoreLocked:
            if loop.time() > until:
                raise
            await asyncio.sleep(GLANCE)
