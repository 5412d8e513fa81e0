"""What a rehearsal assumes of the world: stand-ins in the place of providers, and limits with one setting changed."""

import asyncio
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.models.providers import PROMISED, SLOTS, Local, Provider
from stretto.models.simulator import Fault, Profile, Simulator, StandIn
from stretto.models.simulator.settings import Tells
from stretto.pool import AnyProvider, Pool
from stretto.types import Definition, Input, Limits, Price
from stretto.workflow import Workflow

AS_IT_IS = "as it is"
_HEDGE = 0.05


class Conditions(Struct, frozen=True):
    """What is assumed of the providers.

    `faults` go wrong at the named provider, or at each (None). `rpm`, `tpm`: what each permits a minute; None is what
    the workflow is configured to keep to; `tells`: what each says of that; `batch`: how many seconds a batch takes
    there, None is what providers promise. `subtasks`: how many a plan has; None is
    what the simulator makes of the task. `profiles` are those of models, as written; the others are as the simulator
    has them.
    """

    faults: tuple[tuple[str | None, Fault], ...] = ()
    rpm: float | None = None
    tpm: float | None = None
    tells: Tells | None = None
    batch: float | None = None
    subtasks: int | None = None
    profiles: Mapping[str, Profile] = {}


class Rehearsal(Struct, frozen=True):
    """A task, its inputs, and what it takes to carry it without the world outside; a price that is None is unknown.

    `assumed`: the models whose price was found by their name alone, and whose it is.
    """

    task: str
    definition: Definition
    providers: dict[str, StandIn]
    prices: dict[str, Price | None]
    inputs: tuple[Input, ...] = ()
    assumed: tuple[str, ...] = ()

    def workflow(self, limits: Limits, seed: int) -> Workflow:
        """The workflow with these limits, and the chance of this seed."""
        definition = self.definition
        workflow = Workflow(
            definition.orchestrator,
            definition.workers,
            definition.synthesizer,
            limits=replace(limits, budget_per_day=None),  # it is of a store, and there is none
            providers={name: replace(provider, seed=provider.seed + seed) for name, provider in self.providers.items()},
            prices=self.prices,
        )
        workflow.jitter = random.Random(seed).uniform
        return workflow


def prepare(workflow: Workflow, task: str, conditions: Conditions, inputs: tuple[Input, ...] = ()) -> Rehearsal:
    """The rehearsal of a task; no key is read, nothing is sent. Raises `ConfigError` for faults of no provider.

    `max_subtasks` is raised to the number of subtasks that is assumed.
    """
    names = dict.fromkeys(model.partition(":")[0] for model in workflow.all_models)
    for at, fault in conditions.faults:
        if at is not None and at not in names:
            raise ConfigError(
                f"fault {fault.kind!r}: no provider {at!r} in this workflow; there are {', '.join(names)}"
            )
    definition, wanted = workflow.definition, conditions.subtasks or 0
    if wanted > definition.limits.max_subtasks:
        definition = replace(definition, limits=replace(definition.limits, max_subtasks=wanted))
    prices, assumed = asyncio.run(_prices(workflow))
    return Rehearsal(
        task,
        definition,
        {name: _stand_in(name, workflow.providers[name], conditions) for name in names},
        prices,
        inputs,
        assumed,
    )


def _stand_in(name: str, provider: AnyProvider, conditions: Conditions) -> StandIn:
    """A simulator that takes a provider's place: as it is configured, if it is one already."""
    match provider:
        case Simulator():
            simulator = provider
        case Provider():
            simulator = Simulator(rpm=provider.rpm, tpm=provider.tpm, batch=PROMISED, batch_price=provider.batch_price)
        case _:  # functions, that have no limits
            simulator = Simulator()
    told = {key: getattr(simulator, key) for key in Simulator.__struct_fields__}
    learned = {model.partition(":")[2]: p for model, p in conditions.profiles.items() if model.startswith(f"{name}:")}
    told |= {
        "faults": (*simulator.faults, *(fault for at, fault in conditions.faults if at in (None, name))),
        "rpm": conditions.rpm or simulator.rpm,
        "tpm": conditions.tpm or simulator.tpm,
        "tells": conditions.tells or simulator.tells,
        "subtasks": conditions.subtasks or simulator.subtasks,
        "batch": simulator.batch if conditions.batch is None else conditions.batch,
        "profiles": {**simulator.profiles, **learned},
        "grain": "line",
    }
    if isinstance(provider, Local):
        told["stands_for"] = Provider("", parallel=provider.parallel or SLOTS, local=True)
    if isinstance(provider, Provider):
        told["stands_for"] = replace(provider, base_url="", key_env=None, headers={})  # nothing there is needed
    return StandIn(**told)


async def _prices(workflow: Workflow) -> tuple[dict[str, Price | None], tuple[str, ...]]:
    """What the models cost, and whose price is assumed; looked up now: in virtual time nobody can wait for it."""
    pool = Pool(workflow.providers, workflow.definition.limits, workflow.prices)
    pool.look_up_prices(workflow.all_models)
    prices = {model: await pool.prices.of(model) for model in workflow.all_models}
    return prices, pool.prices.assumptions(prices)


class Variation(Struct, frozen=True):
    """Limits under a name; `changed` says which of them differ from those at hand."""

    name: str
    limits: Limits
    changed: dict[str, Any] = {}


def vary(limits: Limits, key: str, value: Any) -> Variation:
    """The limits with one of them changed."""
    return Variation(f"{key} {_told(key, value)}", replace(limits, **{key: value}), {key: value})


def usual(limits: Limits, *, free: bool = False) -> list[Variation]:
    """What is worth trying: half and double the calls in flight, budget and deadline; hedging, or not.

    `free`: no model costs anything, so a budget of money is never met.
    """
    tried: list[tuple[str, Any]] = [("parallel", limits.parallel // 2), ("parallel", limits.parallel * 2)]
    tried.append(("hedge", 0.0 if limits.hedge else _HEDGE))
    if limits.budget is not None and not free:
        tried += [("budget", limits.budget / 2), ("budget", limits.budget * 2)]
    if limits.deadline is not None:
        tried += [("deadline", limits.deadline / 2), ("deadline", limits.deadline * 2)]
    variations = [vary(limits, key, value) for key, value in tried]
    return [one for one in variations if one.limits.parallel >= (2 if one.limits.hedge else 1)]


def _told(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if key in {"budget", "budget_per_day"}:
        return f"${Decimal(value).normalize():f}"
    if key == "hedge":
        return f"{100 * value:g} %"
    return f"{value:g} s" if key in ("deadline", "timeout", "max_wait") else str(value)
