"""The door for single calls: a model written `provider:model` is asked through all policies."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from stretto.config.clients import Client
from stretto.errors import ConfigError
from stretto.models.providers import Provider
from stretto.models.simulator import Simulator
from stretto.pool import known_providers
from stretto.server.endpoint.desk import EVERYBODY, Desk, Means, limits_of
from stretto.store.spent import today

_MOST_CALLS = 10_000
"""Calls of one run: what is told of each is kept until it ends."""


class Door:
    """A desk for each client; a new one each day, and after many calls.

    `provider`: whose a model is that is written without one. Raises `ConfigError` if there is no such provider.
    """

    def __init__(self, means: Means, clients: Mapping[str, Client], provider: str | None = None) -> None:
        self._means = means
        self._clients = clients
        self._providers = known_providers(means.providers, {})
        self._provider = provider
        if provider is not None and not self._is_asked(provider):
            known = ", ".join(name for name in self._providers if self._is_asked(name))
            raise ConfigError(f"--provider {provider}: there is no such provider; there are {known}")
        self._desks: dict[str, tuple[Desk, AsyncExitStack]] = {}
        self._old: list[tuple[Desk, AsyncExitStack]] = []
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close every desk: each is a run that is finished."""
        for _, stack in (*self._old, *self._desks.values()):
            await stack.aclose()
        self._old.clear()
        self._desks.clear()

    def models(self, written: str) -> tuple[str, ...] | None:
        """The model that is asked and its fallbacks, as they are written with commas between; None if it is none.

        A file is none: what is loaded here is said by whoever serves.
        """
        names = tuple(self._whole(name.strip()) for name in written.split(","))
        parts = [name.partition(":") for name in names]
        return names if all(self._is_asked(provider) and model for provider, _, model in parts) else None

    def _whole(self, name: str) -> str:
        """A model's name with its provider."""
        bare = self._provider is not None and name.partition(":")[0] not in self._providers
        return f"{self._provider}:{name}" if bare else name

    def _is_asked(self, provider: str) -> bool:
        return isinstance(self._providers.get(provider), Provider | Simulator)

    async def desk(self, client: str) -> Desk:
        """The desk of a client, as long as there is one at a time."""
        async with self._opening:
            if found := self._desks.get(client):
                if found[0].day == today() and found[0].calls < _MOST_CALLS:
                    return found[0]
                self._old.append(found)
            await self._close_old()
            told = self._clients.get(client)
            limits = limits_of(self._means.limits, told)
            stack = AsyncExitStack()
            desk = await stack.enter_async_context(Desk(self._means, client or EVERYBODY, limits))
            self._desks[client] = desk, stack
            return desk

    async def _close_old(self) -> None:
        """Close the desks in whose place there are others, once no call is under way there."""
        idle = [each for each in self._old if not each[0].under_way]
        self._old = [each for each in self._old if each[0].under_way]
        for _, stack in idle:
            await stack.aclose()
