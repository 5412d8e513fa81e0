"""Addresses of databases: what of them is shown, and what is said of one that cannot be read."""

import pytest

from stretto.errors import ConfigError
from stretto.store.locations import Server, location_of


def test_an_address_is_shown_without_its_password_and_options() -> None:
    server = location_of("postgresql://me:se%2Fcret@db:5433/runs?sslmode=require")
    assert isinstance(server, Server)
    assert str(server) == "postgresql://me@db:5433/runs"
    assert "cret" not in repr(server)


@pytest.mark.parametrize("password", ["se/cret", "22/cret", "se#cret", "se?cret", "se cret", "se%zzcret", "se@cret"])
def test_an_address_whose_password_was_not_encoded_is_refused_without_showing_any_of_it(password: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: write .* in a password write %2F for /") as told:
        location_of(f"postgresql://me:{password}@db/runs")
    assert not any(part in str(told.value) for part in ("cret", "se/", "22"))
