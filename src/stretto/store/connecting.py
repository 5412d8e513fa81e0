"""Opening a store, wherever it is."""

import sqlite3
from collections.abc import Hashable, Iterator
from contextlib import closing, contextmanager

from stretto.store import schema
from stretto.store.database import Database
from stretto.store.locations import Location, Server
from stretto.store.schema import PATIENCE, explain


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
