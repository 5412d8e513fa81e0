"""Who does what, at which providers and prices: what a run is carried by, and what its log says of that."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from stretto.definitions import knowing
from stretto.mapping import mapped
from stretto.models.simulator import Simulator
from stretto.pool import AnyProvider, recorded
from stretto.roles import models_of, roles
from stretto.types import Basis, Definition, Known, Price


class Team(Struct, frozen=True):
    """A workflow as data, with every provider it may name, and the prices that are told of its models."""

    definition: Definition
    providers: Mapping[str, AnyProvider]
    prices: Mapping[str, Price | None] = {}

    @property
    def models(self) -> list[str]:
        """Every model it may ask, as written, each once."""
        return list(dict.fromkeys(model for _, _, role in roles(self.definition) for model in models_of(role)))

    @property
    def used(self) -> dict[str, AnyProvider]:
        """The providers of these models."""
        return {name: self.providers[name] for name in dict.fromkeys(m.partition(":")[0] for m in self.models)}

    @property
    def simulated(self) -> bool:
        """Whether a part of the answer comes from the simulator."""
        return any(isinstance(provider, Simulator) for provider in self.used.values())

    def record(self) -> dict[str, Any]:
        """All of it as data, as it is kept with a run; without what may be secret in headers and URLs."""
        providers = {name: recorded(provider) for name, provider in self.used.items()}
        prices = {model: to_builtins(self.prices[model]) for model in self.models if self.prices.get(model)}
        return {"definition": to_builtins(self.definition), "providers": providers, "prices": prices}

    def carrying(self, basis: Basis) -> "Team":
        """Who carries a run that begins with this: of a map, its workers alone."""
        return replace(self, definition=mapped(self.definition, basis))

    def knowing(self, known: Mapping[str, Known]) -> "Team":
        """The same with what is known of its models, of which the log is told."""
        if not known:
            return self
        models = self.models
        return replace(self, definition=knowing(self.definition, {m: each for m, each in known.items() if m in models}))
