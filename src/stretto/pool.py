"""The models of one event loop: opened by name, each with its policies, all behind one admission."""

import os
from collections.abc import Mapping
from typing import Protocol, Self

from stretto.calls import Model
from stretto.models.providers import Provider, from_environment, key_of, split_model
from stretto.models.simulator import SimulatedProvider, Simulator
from stretto.policies.governor.gate import Configured, Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Queue, governor
from stretto.policies.limit import Limit
from stretto.policies.retry import Retry
from stretto.types import Limits

AnyProvider = Provider | Simulator


class Endpoints(Protocol):
    """`stretto.models.chat.Endpoints`, as far as it is used here; its module is loaded with the first endpoint."""

    def model(self, label: str, name: str, provider: Provider, key: str | None) -> Model:
        """The model `name` at `provider`."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Pool:
    """Opens models as `Retry(Limit(model))`; what is learned about a model or a key is kept for all runs that share it.

    Used as `async with`, by several runs at once if need be: connections are closed when the last one leaves.
    """

    def __init__(self, providers: Mapping[str, AnyProvider], limits: Limits) -> None:
        self._providers = providers
        self._limits = limits
        self._gate = Gate(limits.parallel, limits.rpm, limits.tpm)
        self._queues: dict[Lane, Queue] = {}
        self._endpoints: Endpoints | None = None
        self._simulated: dict[str, SimulatedProvider] = {}
        self._lanes: dict[str, Lane] = {}
        self._models: dict[str, Model] = {}
        self._users = 0

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users and self._endpoints is not None:
            await self._endpoints.close()

    def model(self, written: str) -> Model:
        """The model written `provider:model`; raises `ConfigError` if it cannot be asked (its key is missing, say)."""
        if written not in self._models:
            name, model = split_model(written, "model")
            self._models[written] = self._open(name, model)
        return self._models[written]

    def _open(self, name: str, model: str) -> Model:
        provider = self._providers[name]
        if isinstance(provider, Simulator):
            simulated = self._simulated.setdefault(name, SimulatedProvider(provider))
            # One simulated provider is one pool's, and its limits are those of all its models.
            lane = self._lanes.setdefault(name, Lane(Gate(), slow_start=simulated.limited))
            return self._limited(simulated.connect(model, self._limits.timeout), lane)
        provider = from_environment(name, provider, os.environ)
        key = key_of(name, provider, os.environ)
        configured = Configured(provider.parallel, provider.rpm, provider.tpm)
        # Two names for one key at one address are one lane, in whatever workflow of this process.
        lane = governor().lane(
            f"{provider.base_url} {key}",
            model,
            configured,
            slow_start=configured == Configured() and not provider.local,
        )
        if self._endpoints is None:
            from stretto.models import chat  # aiohttp is half of the start-up, and the simulator needs none of it

            self._endpoints = chat.Endpoints(self._limits.timeout)
        return self._limited(self._endpoints.model(f"{name}:{model}", model, provider, key), lane)

    def _limited(self, model: Model, lane: Lane) -> Model:
        most = self._limits.max_wait
        queue = self._queues.setdefault(lane, Queue(governor(), self._gate, lane))
        return Retry(Limit(model, queue, most), self._limits.attempts, most)
