"""Layers of configuration, and the workflow they amount to."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.config.reading import Source
from stretto.config.values import convert, file_beside, limits_of, nearest, price_of, provider_of, role_of, schema_at
from stretto.errors import ConfigError
from stretto.pool import AnyProvider
from stretto.types import Memory, Price, Role
from stretto.workflow import Workflow


class Choice(Struct, frozen=True):
    """A model that was chosen outside of the files, and by what: `-m`, a variable, a key that is there.

    `fallbacks` are the models to ask when that one fails.
    """

    model: str
    by: str
    fallbacks: tuple[str, ...] = ()


class _Part(Struct, frozen=True):
    """A role in a file: its place, what `-m` may call it, and its table; one that `inherits` needs no model."""

    place: str
    names: tuple[str, ...]
    table: dict[str, Any]
    inherits: bool = False

    @property
    def named(self) -> bool:
        """Whether the file says which model it is, or that it is another role's."""
        return bool(self.inherits or self.table.get("model") or self.table.get("models"))


class Configuration:
    """Layers of configuration, the most specific first.

    `[providers]`, `[prices]`, `[limits]` and `[memory]` merge key by key; orchestrator, workers and synthesizer come
    whole from the most specific layer that has any of them.
    """

    def __init__(self, layers: Sequence[Source]) -> None:
        self._layers = layers

    def providers(self) -> dict[str, AnyProvider]:
        """Every provider a layer mentions, over what is known."""
        tables: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for layer in reversed(self._layers):
            for name, table in layer.table.get("providers", {}).items():
                tables[name] = {**tables.get(name, {}), **table}
                places[name] = f"{layer.name}: providers.{name}"
        return {name: provider_of(name, table, places[name]) for name, table in tables.items()}

    def prices(self) -> dict[str, Price]:
        """What the layers say that models cost, merged key by key."""
        tables: dict[str, dict[str, Any]] = {}
        places: dict[str, str] = {}
        for layer in reversed(self._layers):
            for model, table in layer.table.get("prices", {}).items():
                tables[model] = {**tables.get(model, {}), **table}
                places[model] = f'{layer.name}: prices."{model}"'
        return {model: price_of(model, table, places[model]) for model, table in tables.items()}

    def models_missing(self, models: Mapping[str | None, Choice]) -> bool:
        """Whether some role has no model yet."""
        return any(not part.named and _chosen(part, models) is None for part in self._parts())

    def workflow(
        self,
        *,
        models: Mapping[str | None, Choice],
        default: Choice | None = None,
        limits: Mapping[str, Any] | None = None,
        memory: Mapping[str, Any] | None = None,
        store: Path | None = None,
        schema: Path | None = None,
    ) -> Workflow:
        """The workflow.

        `models` is what `-m` says by role (None: all of them), `default` serves roles without any model, `limits`
        and `memory` are flags, `schema` is the file that one names for the answer's JSON schema. Raises `ConfigError`
        naming the file or flag that cannot work.
        """
        layer, parts = self._role_layer(), list(self._parts())
        _check_names(models, parts)
        if schema is not None and "synthesizer" not in layer.table:
            raise ConfigError(f"--schema {schema}: {layer.name} has no synthesizer to write an answer that fits it")
        origins = dict.fromkeys(("workers", *(part.place for part in parts)), layer.name)
        roles: dict[str, Role] = {}
        for part in parts:
            table = part.table
            choice = _chosen(part, models) or (None if part.named else default)
            if choice is not None:
                table = _asked_of(choice, table)
                origins[f"{part.place}.model"] = choice.by
            if file := table.get("prompt_file"):
                path = file_beside(file, f"{part.place}.prompt_file", layer.folder)
                origins[f"{part.place}.prompt"] = f"{path} (prompt_file of {layer.name})"
            if schema is not None and part.place == "synthesizer":
                table = {**{k: v for k, v in table.items() if k != "schema_file"}, "schema": _schema(schema)}
            roles[part.place] = role_of(table, f"{layer.name}: {part.place}", layer.folder)
        origins |= self._limit_origins()
        workers = {
            name: replace(roles[_worker(name)], check=roles.get(_check(name))) for name in layer.table["workers"]
        }
        try:
            return Workflow(
                roles.get("orchestrator"),
                workers,
                roles.get("synthesizer"),
                limits=limits_of({**self._merged("limits"), **(limits or {})}, "limits"),
                memory=convert({**self._merged("memory"), **(memory or {})}, Memory, "memory"),
                providers=self.providers(),
                prices=self.prices(),
                store=store,
            )
        except ConfigError as error:
            raise _located(error, origins) from error

    def _merged(self, section: str) -> dict[str, Any]:
        """What the layers say in a section."""
        merged: dict[str, Any] = {}
        for layer in reversed(self._layers):
            merged |= layer.table.get(section, {})
        return merged

    def _limit_origins(self) -> dict[str, str]:
        return {
            f"limits.{key}": layer.name for layer in reversed(self._layers) for key in layer.table.get("limits", {})
        }

    def _role_layer(self) -> Source:
        """The most specific layer that says who does what."""
        sections = ("orchestrator", "workers", "synthesizer")
        layer = next(layer for layer in self._layers if any(section in layer.table for section in sections))
        if "workers" not in layer.table:
            raise ConfigError(f"{layer.name}: workers is missing beside the other roles; add [workers.general]")
        return layer

    def _parts(self) -> Iterator[_Part]:
        table = self._role_layer().table
        if "orchestrator" in table:
            yield _Part("orchestrator", ("orchestrator",), table["orchestrator"])
        for name, worker in table["workers"].items():
            check = worker.get("check")
            yield _Part(_worker(name), (name, "workers"), {key: worker[key] for key in worker if key != "check"})
            if check:
                table = {"about": check} if isinstance(check, str) else check
                yield _Part(_check(name), (f"{name}.check", "checks"), table, inherits=not table.get("model"))
        if "synthesizer" in table:
            yield _Part("synthesizer", ("synthesizer",), table["synthesizer"])


def _worker(name: str) -> str:
    return f'workers."{name}"'


def _check(name: str) -> str:
    return f"{_worker(name)}.check"


def _chosen(part: _Part, models: Mapping[str | None, Choice]) -> Choice | None:
    """The model that a flag or the environment says for a role; who names the role goes before who means all.

    Who means all means no role that has another's model anyway: that may have a name of its own in a flag.
    """
    names = part.names if part.inherits else (*part.names, None)
    return next((models[name] for name in names if name in models), None)


def _asked_of(choice: Choice, table: dict[str, Any]) -> dict[str, Any]:
    """The table with a chosen model in place of each that it names; of an ensemble it gives every reply."""
    chosen = {**table, "model": [choice.model, *choice.fallbacks] if choice.fallbacks else choice.model}
    if models := table.get("models"):
        chosen |= {"models": [], "samples": len(models) * table.get("samples", 1)}
    return chosen


def _schema(file: Path) -> dict[str, Any]:
    return schema_at(file, f"--schema {file}")


def _check_names(models: Mapping[str | None, Choice], parts: Sequence[_Part]) -> None:
    names = list(dict.fromkeys(name for part in parts for name in part.names))
    for role in models:
        if role is not None and role not in names:
            raise ConfigError(f"-m {role}=…: no role {role!r}{nearest(role, names)}; there are {', '.join(names)}")


def _located(error: ConfigError, origins: Mapping[str, str]) -> ConfigError:
    """The error with the file or flag its place came from."""
    text = str(error)
    places = [place for place in origins if text.startswith((f"{place}:", f"{place}."))]
    return type(error)(f"{origins[max(places, key=len)]}: {text}") if places else error
