"""The model that is taken where none is named."""

import os

from stretto.config.building import Configuration
from stretto.config.teams import Choice
from stretto.ground.aside import Aside
from stretto.models import discovery
from stretto.models.providers import from_environment, variable


def default_model(configuration: Configuration) -> Choice:
    """The model of the first provider with a key, else of a local server that answers, and why; else `ConfigError`."""
    providers = configuration.endpoints()
    if model := discovery.with_key(providers, os.environ):
        name = model.partition(":")[0]
        variables = (providers[name].key_env, variable(name, "API_KEY"))
        held = next(v for v in variables if v and os.environ.get(v, "").strip())
        return Choice(model, f"{held} is set")
    if model := Aside(discovery.local(providers, os.environ)).result():
        name = model.partition(":")[0]
        return Choice(model, f"{name} answers at {from_environment(name, providers[name], os.environ).base_url}")
    raise discovery.none_found()
