"""The door for single calls: a run for each client, whose calls are asked from outside."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from decimal import Decimal
from functools import partial
from typing import Self

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from stretto import events as e
from stretto.calls import Chunk, Transcript, Urgency
from stretto.config.clients import Client
from stretto.engine.caller import Caller, Errand
from stretto.engine.deadline import Deadline
from stretto.errors import ConfigError, NoStore
from stretto.ground.ids import new_ulid
from stretto.models.providers import Provider
from stretto.models.simulator import Simulator
from stretto.policies.account import Account
from stretto.policies.bounds import Bounds
from stretto.policies.composition import Composition
from stretto.policies.memo import Replies
from stretto.policies.spending import Amount
from stretto.pool import AnyProvider, Pool, known_providers, recorded
from stretto.run.knowing import find_out
from stretto.run.opening import is_sampled
from stretto.store.journal import Journal
from stretto.store.listing import Wanted
from stretto.store.locations import Location
from stretto.store.recall import Recall
from stretto.store.spent import spent, today
from stretto.store.sqlite import Store
from stretto.types import Basis, Coverage, Definition, Limits, Memory, Price, Reply, Request, Role

EVERYBODY = "everybody"
"""Whose calls these are where nobody has a key of their own."""
_MOST_MODELS = 1000
"""Different models of one run: each is kept open, and their names come from outside."""
_ALL = 1_000_000

_MOST_CALLS = 10_000
"""Calls of one run: what is told of each is kept until it ends."""


class Means(Struct, frozen=True):
    """What single calls are answered with."""

    providers: Mapping[str, AnyProvider] = {}
    prices: Mapping[str, Price | None] = {}
    limits: Limits = Limits()
    memory: Memory = Memory()
    store: Location | None = None


class Desk:
    """Asks a client's calls through all policies, and records them. `limits` has what the client may use in a day.

    Used as `async with`. `calls`: how many were asked, of which so many are `under_way`.
    """

    def __init__(self, means: Means, client: str, limits: Limits) -> None:
        self.run_id = new_ulid()
        self.day = today()
        self.calls = self.under_way = 0
        self._means = means
        self._client = client
        self._limits = limits
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._opened = set[str]()

    async def __aenter__(self) -> Self:
        means, task = self._means, f"single calls of {self._client}"
        try:
            self._pool = await self._stack.enter_async_context(
                Pool(known_providers(means.providers, {}), self._limits, means.prices)
            )
            spent = await asyncio.to_thread(spent_today, means.store, task) if self._limits.budget else Decimal(0)
            if means.store is not None:
                self._stack.enter_context(Store(means.store).carrying(self.run_id))
            self._journal = await self._stack.enter_async_context(
                Journal(self.run_id, store=means.store, show=lambda _: None, keeps_texts=means.memory.record == "all")
            )
            self._journal.append(e.RunStarted(task=task, workflow=self._record(), basis=Basis(client=self._client)))
            await self._journal.settled()
            self._account = Account(self._limits, Amount(spent), self._pool.prices.assumed)
            plain, recalling = (self._composed(replies) for replies in (Replies(shared=False), self._recalled()))
            endless = Deadline(None, merges=False)
            self._plain = Caller(self._journal, plain.model, self._account, endless)
            self._recalling = Caller(self._journal, recalling.model, self._account, endless, self._plain.numbers)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        fold = self._journal.fold
        try:
            self._journal.append(e.RunFinished(answer="", usage=fold.usage, coverage=Coverage(), cost=fold.cost))
        finally:
            await self._stack.aclose()

    async def ask(
        self, models: Sequence[str], request: Request, transcript: Transcript, *, stream: bool, reuse: bool
    ) -> AsyncGenerator[Chunk, None]:
        """The reply to one call of the first of these models, each other of which is a fallback.

        `reuse`: a reply that any run of the store has recorded answers it. Raises `CallError`, and `ConfigError` for a
        model that cannot be asked.
        """
        for model in models:
            await self._open(model)
        self.calls += 1
        self.under_way += 1
        caller = self._recalling if reuse or self._means.memory.reuse == "store" else self._plain
        errand, role = Errand("worker", Urgency(0), watched=stream), Role(tuple(models), stream=stream)
        try:
            async with aclosing(caller.ask(errand, role, request, transcript)) as chunks:
                async for chunk in chunks:
                    yield chunk
            await self._journal.settled()  # who has the whole reply may count on it, whatever happens to us
        finally:
            self.under_way -= 1

    async def _open(self, model: str) -> None:
        """Look up what a model costs, the first time that it is asked; raises `ConfigError` if it cannot be."""
        if model in self._opened:
            return
        async with self._opening:
            if len(self._opened) >= _MOST_MODELS:
                raise ConfigError(f"{model}: {_MOST_MODELS} other models were asked here today, and no more can be")
            self._pool.model(model)
            self._pool.look_up_prices([model])
            priced = await self._pool.prices.of(model) is not None
            if not priced and self._limits.budget is not None and self._limits.unpriced == "refuse":
                raise ConfigError(f"{model}: its price is unknown, so the budget of {self._client} cannot be kept")
            self._opened.add(model)

    def _composed(self, replies: Replies) -> Composition:
        asking = partial(find_out, self._pool, self._means.store)
        bounds = Bounds({}, self._pool, self._limits.max_subtasks, asking)
        return Composition(self._pool.model, self._limits, self._account, self._pool.prices, replies, bounds=bounds)

    def _recalled(self) -> Replies:
        """What the store has of earlier calls, those of runs included."""
        if self._means.store is None:
            return Replies()
        recall = self._stack.enter_context(Recall(self._means.store))

        def find(key: str, request: Request) -> tuple[str, Reply] | None:
            return None if is_sampled(request) and not self._means.memory.reuse_sampled else recall.reply(key)

        return Replies(earlier=find)

    def _record(self) -> dict[str, object]:
        definition = Definition(None, {}, None, self._limits, self._means.memory)
        providers = {name: recorded(provider) for name, provider in self._means.providers.items()}
        return {"definition": to_builtins(definition), "providers": providers, "prices": {}}


def limits_of(limits: Limits, client: Client | None) -> Limits:
    """What a client's calls may use: as much at once as a run may, with a budget and a pace of their own."""
    budget, rpm = (client.budget, client.rpm) if client else (None, None)
    return replace(limits, budget=budget, budget_per_day=None, tokens=None, deadline=None, rpm=rpm)


def spent_today(store: Location | None, task: str) -> Decimal:
    """What calls of this name have cost today, US dollars; what a kill has cut off, the most that it may have."""
    if store is None:
        return Decimal(0)
    kept = Store(store)
    try:
        runs = kept.listing(Wanted(task=task, since=today(), limit=_ALL))
    except NoStore:
        return Decimal(0)
    return spent(kept, (each for each in runs if each.task == task))


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
