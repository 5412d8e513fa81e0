"""What a run with these flags would be: the workflow, its settings, its prices, and why it could not be."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from msgspec import Struct

from stretto.cli.diagnosis import Check, State
from stretto.cli.meaning import layers
from stretto.config import Choice, Configuration, default_model, read_preset
from stretto.config.origins import Value, values
from stretto.errors import ConfigError
from stretto.ground.extras import installing
from stretto.models import discovery
from stretto.models.providers import Local, Provider, from_environment, key_of
from stretto.pool import Pool
from stretto.store.locations import Location
from stretto.types import Price
from stretto.workflow import Workflow

_REMEDY = "set a key (TOGETHER_API_KEY, OPENAI_API_KEY, …), start a local server, or name a model (-m PROVIDER:MODEL)"


class Outlook(Struct):
    """What there is to be said of the configuration.

    `files`: of the models that are files of this machine.
    `models`: those that the workflow asks.
    `needed`: the providers that the workflow asks or a file configures; `refused`: those that refuse their key.
    """

    configuration: Configuration
    settings: list[Value] = []
    faults: list[Check] = []
    prices: list[Check] = []
    files: list[Check] = []
    needed: set[str] = set()
    refused: set[str] = set()
    models: Sequence[str] = ()


def outlook(
    named: str | None, models: Mapping[str | None, Choice], flags: Mapping[str, Any], store: Location, *, offline: bool
) -> Outlook:
    """The outlook for `stretto run` with these; whatever is wrong is a fault in it, not an error."""
    general = read_preset("general")
    try:
        explicit, usual = layers(named, untrusted="skip")
        seen = Outlook(Configuration([*explicit, *usual, general]))
        seen.faults += _mistrust(named)
        _look(seen, models, flags, store, offline=offline)
    except ConfigError as error:
        seen = Outlook(Configuration([general]), faults=[_fault("configuration", error)])
    return seen


def _mistrust(named: str | None) -> list[Check]:
    """That a file here counts for nothing, because nobody has given their word for it."""
    try:
        layers(named, untrusted="refuse")
    except ConfigError as error:
        return [_fault("not allowed", error)]
    return []


def _look(
    seen: Outlook, models: Mapping[str | None, Choice], flags: Mapping[str, Any], store: Location, *, offline: bool
) -> None:
    configuration = seen.configuration
    seen.needed |= set(configuration.providers())
    default = None
    if configuration.models_missing(models):
        try:
            default = _by_key(configuration) if offline else default_model(configuration)
        except ConfigError as error:
            what = str(error).partition(". Ways")[0]
            seen.faults.append(Check("model", "fault", f"{what}; {_REMEDY}"))
    seen.settings += values(configuration, models, default, flags)
    if seen.faults:
        return
    try:
        workflow = configuration.workflow(Workflow, models=models, default=default, flags=flags, store=store)
    except ConfigError as error:
        seen.faults.append(_fault("workflow", error))
        return
    seen.models = workflow.all_models
    names = dict.fromkeys(model.partition(":")[0] for model in workflow.all_models)
    seen.needed |= set(names)
    for name in names:
        if isinstance(provider := workflow.providers[name], Provider):
            try:
                key_of(name, from_environment(name, provider, os.environ), os.environ)
            except ConfigError as error:
                seen.faults.append(_fault(name, error))
        elif isinstance(provider, Local):
            from stretto.cli.local import checks

            seen.files += checks(workflow)
    seen.prices += asyncio.run(_prices(workflow))


def _by_key(configuration: Configuration) -> Choice:
    """The model that is taken where none is named, as far as no server is asked."""
    model = discovery.with_key(configuration.endpoints(), os.environ)
    if model is None:
        raise ConfigError("no model is named and no key is set; with --offline no local server is asked for one")
    return Choice(model, "a key is set")


async def _prices(workflow: Workflow) -> list[Check]:
    """What the workflow's models cost; not knowing it is a fault under a budget of money that is to be kept."""
    pool = Pool(workflow.providers, workflow.definition.limits, workflow.prices)
    told = list[Check]()
    pool.look_up_prices(workflow.all_models)
    limits = workflow.definition.limits
    binding = limits.budget is not None and limits.unpriced == "refuse"
    for model in workflow.all_models:
        price = await pool.prices.of(model)
        state: State = "ok" if price else "fault" if binding else "off"
        assumed = pool.prices.assumed.get(model)
        source = "[prices]" if model in workflow.prices else f"assumed: {assumed}" if assumed else "genai-prices"
        told.append(Check(model, state, _told(price, source)))
    return told


def _told(price: Price | None, source: str) -> str:
    if price is None:
        listed = "" if find_spec("genai_prices") else f", or: {installing('prices')}"
        return f"unknown: no cost is told, and a budget of money cannot be kept; say it under [prices]{listed}"
    if not price.input and not price.output:
        return "nothing"
    return f"${price.input:f} in, ${price.output:f} out a million tokens ({source})"


def _fault(name: str, error: ConfigError) -> Check:
    return Check(name, "fault", " ".join(str(error).split()))
