"""A workflow from one file, for Python: nothing else is read, whatever lies here; and the model where none is named."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stretto.config.building import Configuration
from stretto.config.reading import Source, checked, read_file, read_preset, read_workflow
from stretto.config.teams import Choice
from stretto.errors import ConfigError
from stretto.ground.aside import Aside
from stretto.models import discovery
from stretto.models.providers import from_environment, keys_held
from stretto.pool import AnyProvider
from stretto.run.roles import AnyModel
from stretto.store.locations import location_of
from stretto.types import Price

_T = TypeVar("_T")


def load(
    make: Callable[..., _T],
    named: str | Path,
    *,
    model: AnyModel | None = None,
    limits: Mapping[str, Any] | None = None,
    memory: Mapping[str, Any] | None = None,
    providers: Mapping[str, AnyProvider] | None = None,
    prices: Mapping[str, Price | None] | None = None,
    store: str | Path | None = None,
    batch: bool | None = None,
) -> _T:
    """What `make` makes of the roles, limits and providers in a file or preset; all else goes before it, key by key.

    A model that nobody names is `STRETTO_MODEL`, else the one that the command line would find.
    """

    def made(*roles: Any, **facts: Any) -> _T:
        facts["providers"] = {**facts["providers"], **(providers or {})}
        facts["prices"] = {**facts["prices"], **(prices or {})}
        return make(*roles, **facts)

    given = {name: dict(table) for name, table in (("limits", limits), ("memory", memory)) if table}
    file = read_file(named) if isinstance(named, Path) else read_workflow(named)
    configuration = Configuration([checked(Source("from_toml", None, given)), file, read_preset("general")])
    chosen = _chosen(model)
    default = None
    if configuration.models_missing(chosen):
        usual = os.environ.get("STRETTO_MODEL")
        default = Choice(usual, "STRETTO_MODEL") if usual else default_model(configuration)
    where = None if store is None else location_of(store)
    return configuration.workflow(made, models=chosen, default=default, store=where, flags={"batch": batch})


def default_model(configuration: Configuration) -> Choice:
    """The model of the first provider with a key, else of a local server that answers, and why; else `ConfigError`."""
    providers = configuration.endpoints()
    if model := discovery.with_key(providers, os.environ):
        name = model.partition(":")[0]
        return Choice(model, f"{keys_held(name, providers[name], os.environ)[0]} is set")
    if model := Aside(discovery.local(providers, os.environ)).result():
        name = model.partition(":")[0]
        return Choice(model, f"{name} answers at {from_environment(name, providers[name], os.environ).base_url}")
    raise discovery.none_found()


def _chosen(model: AnyModel | None) -> dict[str | None, Choice]:
    if model is None:
        return {}
    if isinstance(model, Mapping):
        return {role: _choice(f"model[{role!r}]", named) for role, named in model.items()}
    return {None: _choice("model", model)}


def _choice(place: str, named: str | Sequence[str]) -> Choice:
    names = [named] if isinstance(named, str) else list(named)
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"from_toml: {place}: expected provider:model, or a list of such, got {named!r}"[:300])
    return Choice(names[0], f"from_toml: {place}", tuple(names[1:]))
