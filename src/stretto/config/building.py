"""Layers of configuration, and the workflow they amount to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from stretto.config.clients import Client, client_of
from stretto.config.reading import Source
from stretto.config.teams import Choice, Part, Team
from stretto.config.values import among, convert, limits_of, price_of, provider_of, schema_at
from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, Provider
from stretto.pool import AnyProvider
from stretto.store.locations import Location, written
from stretto.types import Limits, Memory, Price, Role

_T = TypeVar("_T")


class Configuration:
    """Layers of configuration, the most specific first.

    `[providers]`, `[prices]`, `[limits]` and `[memory]` merge key by key; orchestrator, workers and synthesizer come
    whole from the most specific layer that has any of them.
    """

    def __init__(self, layers: Sequence[Source]) -> None:
        self.layers = tuple(layers)

    def providers(self) -> dict[str, AnyProvider]:
        """Every provider a layer mentions, over what is known."""
        return {name: provider_of(name, table, at) for name, table, at in self._tables("providers", ".{}")}

    def endpoints(self) -> dict[str, Provider]:
        """Every provider with an endpoint, known or configured."""
        return {**KNOWN, **{name: each for name, each in self.providers().items() if isinstance(each, Provider)}}

    def prices(self) -> dict[str, Price]:
        """What the layers say that models cost, merged key by key."""
        return {model: price_of(model, table, at) for model, table, at in self._tables("prices", '."{}"')}

    def clients(self) -> dict[str, Client]:
        """Who the layers say may ask an endpoint, merged key by key."""
        return {name: client_of(table, at) for name, table, at in self._tables("clients", ".{}")}

    def _tables(self, section: str, named: str) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Each table of a section by its name, merged, and the place where the most specific layer has it."""
        found: dict[str, tuple[dict[str, Any], str]] = {}
        for layer in reversed(self.layers):
            for name, table in layer.table.get(section, {}).items():
                before, _ = found.get(name, ({}, ""))
                found[name] = {**before, **table}, f"{layer.name}: {section}{named.format(name)}"
        return ((name, *each) for name, each in found.items())

    def limits(self, flags: Mapping[str, Any]) -> Limits:
        """The limits that layers and flags say."""
        return limits_of(self._merged("limits", Limits, flags), "limits")

    def memory(self, flags: Mapping[str, Any]) -> Memory:
        """What layers and flags say is remembered."""
        return convert(self._merged("memory", Memory, flags), Memory, "memory")

    def models_missing(self, models: Mapping[str | None, Choice]) -> bool:
        """Whether some role has no model yet."""
        return any(not part.named and part.chosen(models) is None for part in self.team().parts())

    def workflow(
        self,
        make: Callable[..., _T],
        *,
        models: Mapping[str | None, Choice],
        default: Choice | None = None,
        flags: Mapping[str, Any] | None = None,
        store: Location | None = None,
    ) -> _T:
        """What `make` (`Workflow`, which lives above) makes of it.

        `models` is what `-m` says by role (None: all of them), `default` serves roles without any model. `flags` say
        limits, what is remembered, and as `schema` the file with the answer's JSON schema, as `max_tokens` the bound of
        replies of workers and the synthesizer, as `batch` whether all workers go out with batches; None: as the layers
        say. Raises `ConfigError` naming the file or flag that cannot work.
        """
        flags = flags or {}
        schema, max_tokens, batch = (flags.get(name) for name in ("schema", "max_tokens", "batch"))
        team = self.team()
        layer, parts = team.source, list(team.parts())
        _check_names(models, parts)
        if schema is not None and "synthesizer" not in layer.table:
            raise ConfigError(f"--schema {schema}: {layer.name} has no synthesizer to write an answer that fits it")
        origins = dict.fromkeys(("workers", *(part.place for part in parts)), layer.name)
        roles: dict[str, Role] = {}
        for part in parts:
            choice = part.chosen(models) or (None if part.named else default)
            if choice is not None:
                origins[f"{part.place}.model"] = choice.by
            if path := part.prompt_file:
                origins[f"{part.place}.prompt"] = f"{path} (prompt_file of {part.source.name})"
            if schema is not None and part.place == "synthesizer":
                facts = {key: value for key, value in part.table.items() if key != "schema_file"}
                part = replace(part, table={**facts, "schema": schema_at(schema, f"--schema {schema}")})  # noqa: PLW2901
            if max_tokens is not None and part.bounded:
                origins[f"{part.place}.options"] = f"--max-tokens {max_tokens}"
                part = part.within(max_tokens)  # noqa: PLW2901
            if batch and part.works:
                origins[f"{part.place}.batch"] = "batch"
            roles[part.place] = part.role(choice)
        origins |= {
            f"limits.{key}": each.name for each in reversed(self.layers) for key in each.table.get("limits", {})
        }
        try:
            definition = team.definition(roles, self.limits(flags))
            return make(
                definition.orchestrator,
                definition.workers,
                definition.synthesizer,
                limits=definition.limits,
                memory=self.memory(flags),
                providers=self.providers(),
                prices=self.prices(),
                store=None if store is None else written(store),
                batch=batch,
            )
        except ConfigError as error:
            raise _located(error, origins) from error

    def _merged(self, section: str, kind: type[Struct], flags: Mapping[str, Any]) -> dict[str, Any]:
        """What the layers say in a section, and what flags say instead."""
        merged: dict[str, Any] = {}
        for layer in reversed(self.layers):
            merged |= layer.table.get(section, {})
        return merged | {key: flags[key] for key in kind.__struct_fields__ if flags.get(key) is not None}

    def team(self) -> Team:
        """Who does what, in the most specific layer that says it."""
        sections = ("orchestrator", "workers", "synthesizer")
        return Team(next(layer for layer in self.layers if any(section in layer.table for section in sections)))


def _check_names(models: Mapping[str | None, Choice], parts: Sequence[Part]) -> None:
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    for role in models:
        if role is not None and role not in names:
            raise ConfigError(f"-m {role}=…: no role {role!r}{among(role, names)}")


def _located(error: ConfigError, origins: Mapping[str, str]) -> ConfigError:
    """The error with the file or flag its place came from."""
    text = str(error)
    places = [place for place in origins if text.startswith((f"{place}:", f"{place}."))]
    return type(error)(f"{origins[max(places, key=len)]}: {text}") if places else error
