"""For all tests here: a PostgreSQL server of their own, and a fresh database for each."""

from collections.abc import Iterator

import pytest

from postgres import Postgres
from stretto.store.locations import Location, Server

pytest.register_assert_rewrite("contract")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of this test process."""
    server = Postgres(tmp_path_factory.mktemp("postgres") / "server")
    server.start()
    yield server
    server.stop("immediate")


@pytest.fixture
def where(postgres: Postgres) -> Location:
    """A store that is not there yet."""
    return Server(postgres.database())
