"""What a rehearsal assumes of the world, and the workflow with stand-ins in the place of its providers."""

import asyncio
import random
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.models.providers import PROMISED, SLOTS, Local, Provider
from stretto.models.simulator import Fault, Profile, Simulator, StandIn
from stretto.models.simulator.settings import Tells
from stretto.pool import AnyProvider, Pool
from stretto.types import Definition, Input, Limits, Price
from stretto.workflow import Workflow


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
