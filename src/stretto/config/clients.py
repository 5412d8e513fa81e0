"""Who may ask an endpoint with a key of their own, and for how much: `[clients.NAME]`."""

import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from stretto.config.values import convert, number
from stretto.errors import ConfigError
from stretto.ground.amounts import dollars


class Client(Struct, frozen=True):
    """Somebody who asks an endpoint.

    `key_env`: the variable with the key that their requests bear. Of their single calls: `budget`, US dollars a day
    (UTC); `rpm`, requests a minute.
    """

    key_env: str
    budget: Decimal | None = None
    rpm: float | None = None


def client_of(table: Mapping[str, Any], place: str) -> Client:
    """A client, from its table; raises `ConfigError` naming the place."""
    facts = dict(table)
    if "budget" in facts:
        facts["budget"] = str(dollars(facts["budget"], f"{place}.budget"))
    if isinstance(facts.get("rpm"), str):
        facts["rpm"] = number(facts["rpm"], f"{place}.rpm")
    client: Client = convert(facts, Client, place)
    for name in ("budget", "rpm"):
        if (value := getattr(client, name)) is not None and not value > 0:
            raise ConfigError(f"{place}.{name}: must be more than 0, not {value}")
    return client


def keys_of(clients: Mapping[str, Client]) -> dict[str, str]:
    """The keys by the names of their clients; raises `ConfigError` for one that is missing, or two clients'."""
    found = dict[str, str]()
    for name, client in clients.items():
        key = os.environ.get(client.key_env, "").strip()
        if not key:
            raise ConfigError(f"clients.{name}.key_env: {client.key_env} is empty; put the key into it")
        if key in found.values():
            raise ConfigError(f"clients.{name}.key_env: another client has the same key; give each its own")
        found[name] = key
    return found
