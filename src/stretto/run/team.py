"""Who does what, at which providers and prices: what a run is carried by, and what its log says of that."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from stretto.models.functions import PROVIDER, Functions, speakers
from stretto.models.simulator import Simulator
from stretto.pool import AnyProvider, known_providers, recorded
from stretto.run.mapping import mapped
from stretto.run.roles import AnyModel, Worker, as_mapping, as_role, as_worker, roles
from stretto.types import Basis, Definition, Known, Limits, Memory, Price, Role
from stretto.types.checks import check_prices, checked_limits, checked_memory, taken
from stretto.types.definitions import knowing, waiting


class Settings(TypedDict, total=False):
    """What `Workflow.from_toml` takes beside the file and the `answer`."""

    model: AnyModel | None
    limits: Mapping[str, Any] | None
    memory: Mapping[str, Any] | None
    providers: Mapping[str, AnyProvider] | None
    prices: Mapping[str, Price | None] | None
    store: str | Path | None
    batch: bool | None


@runtime_checkable
class Made(Protocol):
    """A workflow, which lives above, or a team."""

    @property
    def definition(self) -> Definition:
        """Who does what."""
        ...

    @property
    def providers(self) -> Mapping[str, AnyProvider]:
        """Every provider it may name."""
        ...

    @property
    def prices(self) -> Mapping[str, Price | None]:
        """What is told of its models' prices."""
        ...


class Team(Struct, frozen=True):
    """A workflow as data, with every provider it may name, and the prices that are told of its models."""

    definition: Definition
    providers: Mapping[str, AnyProvider]
    prices: Mapping[str, Price | None] = {}

    @property
    def all_models(self) -> list[str]:
        """Every model it may ask, as written, each once."""
        return list(dict.fromkeys(model for _, _, role in roles(self.definition) for model in role.all_models))

    @property
    def used(self) -> dict[str, AnyProvider]:
        """The providers of these models."""
        return {name: self.providers[name] for name in dict.fromkeys(m.partition(":")[0] for m in self.all_models)}

    @property
    def simulated(self) -> bool:
        """Whether a part of the answer comes from the simulator."""
        return any(isinstance(provider, Simulator) for provider in self.used.values())

    def record(self) -> dict[str, Any]:
        """All of it as data, as it is kept with a run; without what may be secret in headers and URLs."""
        providers = {name: recorded(provider) for name, provider in self.used.items()}
        prices = {model: to_builtins(self.prices[model]) for model in self.all_models if self.prices.get(model)}
        return {"definition": to_builtins(self.definition), "providers": providers, "prices": prices}

    def carrying(self, basis: Basis) -> "Team":
        """Who carries a run that begins with this: of a map, its workers alone."""
        return replace(self, definition=mapped(self.definition, basis))

    def knowing(self, known: Mapping[str, Known]) -> "Team":
        """The same with what is known of its models, of which the log is told."""
        if not known:
            return self
        models = self.all_models
        return replace(self, definition=knowing(self.definition, {m: each for m, each in known.items() if m in models}))


def team_of(
    orchestrator: Role | str | None,
    workers: Mapping[str, Worker | Made],
    synthesizer: Role | str | None,
    limits: Limits | Mapping[str, Any] | None,
    memory: Memory | Mapping[str, Any] | None,
    providers: Mapping[str, AnyProvider] | None,
    prices: Mapping[str, Price | None] | None,
) -> Team:
    """What a user says of a workflow; raises `ConfigError`. A worker that is one itself does its subtasks as tasks.

    What such a one knows of providers and prices is known here, too, and may be told otherwise.
    """
    functions: dict[str, Callable[..., Any]] = {}
    definition = Definition(
        None if orchestrator is None else as_role(orchestrator, "orchestrator"),
        {name: as_worker(name, _unfolded(worker), functions) for name, worker in as_mapping(workers).items()},
        None if synthesizer is None else as_role(synthesizer, "synthesizer"),
        checked_limits(taken(Limits, limits, "limits")),
        checked_memory(taken(Memory, memory, "memory")),
    )
    told = dict(providers or {})
    known: dict[str, Price | None] = {}
    for each in workers.values():
        if isinstance(each, Made):
            theirs = each.providers.get(PROVIDER)
            functions |= theirs.known if isinstance(theirs, Functions) else {}
            told = {**each.providers, **told}
            known |= each.prices
    known |= prices or {}
    check_prices(known)
    return Team(definition, known_providers(told, functions), known)


def batched(definition: Definition, batch: bool | None) -> Definition:
    """The definition all of whose workers go out with their provider's batches, or none; None: as their roles say.

    A function has no provider, and stays as it is.
    """
    return definition if batch is None else waiting(definition, lambda role: batch and bool(speakers(role)))


def _unfolded(worker: Worker | Made) -> Worker:
    """A workflow as the role that it plays in another."""
    return Role(workflow=worker.definition) if isinstance(worker, Made) else worker
