"""The models of one event loop: opened by name, each with its policies, all behind one admission."""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, Self
from weakref import WeakKeyDictionary

from msgspec import to_builtins
from msgspec.structs import replace

from stretto.calls import Model
from stretto.models.functions import PROVIDER, THREADS, FunctionModel, Functions
from stretto.models.providers import KNOWN, Local, Provider, from_environment, is_here, key_of, safe, split_model
from stretto.models.simulator import SimulatedProvider, Simulator, StandIn
from stretto.policies.breaker import Circuit
from stretto.policies.composition import Opened
from stretto.policies.governor.gate import Configured, Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Queue, governor
from stretto.policies.latency import Latencies
from stretto.policies.limit import Limit
from stretto.policies.loops import Loops
from stretto.policies.prices import FREE, LISTED, Prices
from stretto.store.known import Place, Remembered
from stretto.store.locations import Location
from stretto.types import Known, Limits, Price

AnyProvider = Provider | Simulator | Functions | Local
"""What answers for the models named `NAME:…`: an endpoint, the simulator, Python functions, or models in files."""

_KINDS: dict[type, str] = {Simulator: "simulator", Local: "local", Functions: "functions"}


class Endpoints(Protocol):
    """`stretto.models.chat.Endpoints`, as far as it is used here; its module is loaded with the first endpoint."""

    telling: set[str]

    def model(self, label: str, name: str, provider: Provider, key: str | None, kind: Any = None) -> Model:
        """The model `name` at `provider`; `kind`: how it is asked, if not live."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Heard:
    """What endpoints have `told` of their models, by provider and models, at which loop time.

    `asking`: set once somebody who asks just now is through. `kept`: what a store said of all models, and when.
    """

    def __init__(self) -> None:
        self.asking: asyncio.Event | None = None
        self.told: dict[tuple[str, ...], tuple[float, dict[str, Known]]] = {}
        self.kept: tuple[Location, float, dict[Place, Remembered]] | None = None


class Pool:
    """Opens models as `Limit(Loops(model))`; what is learned about a model or a key is kept for all runs that share it.

    Used as `async with`, by several runs at once if need be: connections are closed when the last one leaves.
    """

    def __init__(
        self, providers: Mapping[str, AnyProvider], limits: Limits, prices: Mapping[str, Price | None] | None = None
    ) -> None:
        self._providers = providers
        self._limits = limits
        self.prices = Prices()
        self.prices.known |= prices or {}
        self._gate = Gate(limits.parallel, limits.rpm, limits.tpm)
        self._queues: dict[Lane, Queue] = {}
        self._lanes: dict[str, Lane] = {}
        self._endpoints: Endpoints | None = None
        self.simulated: dict[str, SimulatedProvider] = {}
        self._models: dict[str, Opened] = {}
        self._batched: dict[str, Model] = {}
        self._as_told: dict[str, Provider] = {}  # by name, as the environment has them
        self.heard = Heard()
        self._users = 0

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users and self._endpoints is not None:
            await self._endpoints.close()

    def model(self, written: str) -> Opened:
        """The model written `provider:model`; raises `ConfigError` if it cannot be asked (its key is missing, say)."""
        if written not in self._models:
            name, model = split_model(written, "model")
            asked, lane = self._open(name, model)
            queue = self._queues.setdefault(lane, Queue(governor(), self._gate, lane))
            plain = isinstance(self._providers[name], Functions)  # what a function returns is as long as it is
            polite = Limit(
                asked if plain else Loops(asked, streams=self.is_here(written)), queue, self._limits.max_wait
            )
            self._models[written] = Opened(
                written,
                polite,
                lambda: queue.spare,
                Circuit(written),
                Latencies(),
                plain,
                self._batch(name, model),
                self.batch_price(written) or 1.0,
            )
        return self._models[written]

    def endpoint(self, written: str) -> Provider | None:
        """The endpoint that has a model, as the environment has it; None if the model is simulated, or a function."""
        name, _ = split_model(written, "model")
        provider = self._providers[name]
        return self._found(name, provider) if isinstance(provider, Provider) else None

    def _found(self, name: str, provider: Provider) -> Provider:
        if name not in self._as_told:  # every call asks
            self._as_told[name] = from_environment(name, provider, os.environ)
        return self._as_told[name]

    def tells(self, written: str) -> bool:
        """Whether the replies of a model's endpoint have shown that it says how much its models take."""
        provider = self.endpoint(written)
        return provider is not None and self._endpoints is not None and provider.base_url in self._endpoints.telling

    def is_here(self, written: str) -> bool:
        """Whether a model is that of a server on this machine, or in a file here."""
        provider = self.endpoint(written)
        return is_here(provider) if provider else isinstance(self._providers[split_model(written, "model")[0]], Local)

    def context(self, written: str) -> int | None:
        """The tokens with which a model in a file here is served; None if it is in none.

        Raises `ConfigError` if the file is not here, or cannot be served.
        """
        name, model = split_model(written, "model")
        if not isinstance(provider := self._providers[name], Local):
            return None
        from stretto.models.local.model import server_for  # and with it what starts processes

        return server_for(written, model, provider, self._limits.parallel).context

    def look_up_prices(self, models: Iterable[str]) -> None:
        """Begin to find out what models cost that nobody told the price of."""
        wanted, elsewhere = dict[str, tuple[str, str]](), dict[str, tuple[str, str]]()
        for written in models:
            name, model = split_model(written, "model")
            if part := self.batch_price(written):
                self.prices.batches[written] = part
            if written in self.prices.known:
                continue
            if nobody_is_paid(self._providers[name]):
                self.prices.known[written] = FREE
            elif name in LISTED and isinstance(self._providers[name], Provider):
                known = is_the_known_one(name, self._providers[name])
                (wanted if known else elsewhere)[written] = LISTED[name], model
            else:
                self.prices.known[written] = None
        self.prices.look_up(wanted, elsewhere)

    def batch_price(self, written: str) -> float | None:
        """Which part of its price a model's calls cost by its provider's Batch API; None if that has none."""
        given = self._providers[split_model(written, "model")[0]]
        if isinstance(given, Simulator) or (isinstance(given, Provider) and given.batches != "none"):
            return given.batch_price
        return None

    def _batch(self, name: str, model: str) -> Callable[[], Model] | None:
        """How a model is asked by its provider's Batch API, if that has one; opened once, when it is asked first."""
        given, label = self._providers[name], f"{name}:{model}"
        if self.batch_price(label) is None:
            return None

        def opened() -> Model:
            if label not in self._batched:
                self._batched[label] = self._open_batch(name, model, given)
            return self._batched[label]

        return opened

    def _open_batch(self, name: str, model: str, given: AnyProvider) -> Model:
        if isinstance(given, Simulator):
            from stretto.models.simulator.provider import BatchedModel

            return BatchedModel(self._simulated(name, given), model)
        from stretto.models.batches.model import BatchModel  # and with it aiohttp

        assert isinstance(given, Provider)  # noqa: S101 - it has batches
        provider = self._found(name, given)
        key = key_of(name, provider, os.environ)
        return self._connected.model(f"{name}:{model}", model, provider, key, BatchModel)

    def _simulated(self, name: str, provider: Simulator) -> SimulatedProvider:
        return self.simulated.setdefault(name, SimulatedProvider(provider))

    def _open(self, name: str, model: str) -> tuple[Model, Lane]:
        """A model as it is asked, and the lane of those who ask it."""
        provider = self._providers[name]
        if isinstance(provider, Functions):
            function = provider.known[model]
            most = None if inspect.iscoroutinefunction(function) else THREADS
            return FunctionModel(model, function, self._limits.timeout), Lane(Gate(most))
        if isinstance(provider, Simulator):
            simulated = self._simulated(name, provider)
            # One simulated provider is one pool's, and its limits are those of all its models.
            lane = self._lanes.setdefault(name, _simulated_lane(provider, limited=simulated.rates.limited))
            return simulated.connect(model, self._limits.timeout), lane
        if isinstance(provider, Local):
            return self._open_local(f"{name}:{model}", model, provider)
        provider = self._found(name, provider)
        key = key_of(name, provider, os.environ)
        # Two names for one key at one address are one lane, in whatever workflow of this process.
        lane = governor().lane(f"{provider.base_url} {key}", model, _configured(provider), slow_start=_untold(provider))
        return self._connected.model(f"{name}:{model}", model, provider, key), lane

    def _open_local(self, label: str, name: str, provider: Local) -> tuple[Model, Lane]:
        """A model in a file, loaded when it is first asked; its lane is that of its server, all over the process."""
        from stretto.models.local.model import LocalModel, server_for

        server = server_for(label, name, provider, self._limits.parallel)
        lane = governor().lane(f"{server.model.path} {server.slots}", name, Configured(server.slots), slow_start=False)

        def connect(asked: str, at: Provider) -> Model:
            return self._connected.model(label, asked, at, None)

        return LocalModel(server, name, self._limits.timeout, connect), lane

    @property
    def _connected(self) -> Endpoints:
        """The endpoints of this loop; the first call to one makes them."""
        if self._endpoints is None:
            from stretto.models import chat  # aiohttp is half of the start-up, and the simulator needs none of it

            self._endpoints = chat.Endpoints(self._limits.timeout)
        return self._endpoints


class Pools:
    """A pool for each event loop, which all runs in it share; none of them goes along to another process."""

    def __init__(
        self, providers: Mapping[str, AnyProvider], limits: Limits, prices: Mapping[str, Price | None]
    ) -> None:
        self._made_of = providers, limits, prices
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()

    def here(self) -> Pool:
        """The pool of the running loop."""
        return self._of_loops.setdefault(asyncio.get_running_loop(), Pool(*self._made_of))

    def __reduce__(self) -> tuple[type["Pools"], tuple[Any, ...]]:
        return Pools, self._made_of


def is_the_known_one(name: str, provider: AnyProvider) -> bool:
    """Whether a name stands for the provider everyone knows by it, and not for something else at another URL."""
    return (
        name in KNOWN
        and isinstance(provider, Provider)
        and from_environment(name, provider, os.environ).base_url == KNOWN[name].base_url
    )


def nobody_is_paid(provider: AnyProvider) -> bool:
    """Whether a provider takes no money: the simulator, functions, or a server on this machine."""
    return isinstance(provider, Simulator | Functions | Local) or provider.local


def _simulated_lane(provider: Simulator, *, limited: bool) -> Lane:
    """The lane of a simulated provider; a stand-in's is that of the one it stands for."""
    known = provider.stands_for if isinstance(provider, StandIn) else None
    if known is None:
        return Lane(Gate(), slow_start=limited)
    configured = _configured(known)
    return Lane(Gate(configured.parallel, configured.rpm, configured.tpm), slow_start=_untold(known))


def _configured(provider: Provider) -> Configured:
    return Configured(provider.parallel, provider.rpm, provider.tpm)


def _untold(provider: Provider) -> bool:
    """Whether nobody knows a provider's limits before it was asked."""
    return _configured(provider) == Configured() and not provider.local


def known_providers(
    given: Mapping[str, AnyProvider], functions: Mapping[str, Callable[..., Any]]
) -> dict[str, AnyProvider]:
    """Every provider by its name: those that everybody knows, those that are given, and the one of the functions."""
    ours = {PROVIDER: Functions(dict(functions))} if functions else {}
    return {**KNOWN, "sim": Simulator(), "local": Local(), **given, **ours}


def recorded(provider: AnyProvider) -> dict[str, Any]:
    """A provider as data, as it is kept with a run: without what may be secret in headers and URLs."""
    kind = {"kind": next((kind for each, kind in _KINDS.items() if isinstance(provider, each)), "endpoint")}
    if isinstance(provider, Functions):
        return kind
    if isinstance(provider, Provider):
        headers = dict.fromkeys(provider.headers, "")
        provider = replace(provider, headers=headers, base_url=safe(provider.base_url))
    return {**kind, **to_builtins(provider)}
