"""For all tests here: a PostgreSQL server of their own, and a fresh database for each."""

from collections.abc import Iterator

import pytest

from postgres import Postgres
from stretto.store.locations import Location, Server

pytest.register_assert_rewrite("contract")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of this test process."""
    with Postgres() as server:
        yield server


@pytest.fixture
def where(postgres: Postgres) -> Location:
    """A store that is not there yet."""
    return Server(postgres.database())
