"""The definition of a workflow, read back from what is recorded of a run."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stretto.types import Definition, Known, Limits, Role

_ENDLESS = ("timeout", "max_wait")  # JSON has no infinity: it writes null


def endless(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Limits as they were recorded, with those that had no end."""
    return {**limits, **{name: math.inf for name in _ENDLESS if name in limits and limits[name] is None}}


def definition_of(workflow: Mapping[str, Any]) -> Definition:
    """What `RunStarted.workflow` or `RunResumed.workflow` says; raises `msgspec.ValidationError` if that is none."""
    facts = workflow.get("definition")
    if isinstance(facts, dict) and isinstance(limits := facts.get("limits"), dict):
        facts = {**facts, "limits": endless(limits)}
    return msgspec.convert(facts, Definition)


def knowing(definition: Definition, known: Mapping[str, Known]) -> Definition:
    """The definition with what is known of its models, in the workflows of its workers too."""
    within = _workers(definition, lambda workflow: knowing(workflow, known), lambda role: role)
    return replace(within, known=dict(known))


def waiting(definition: Definition, can: Callable[[Role], bool]) -> Definition:
    """The definition whose workers go out with their provider's batches where they `can`, and live where not."""
    return _workers(
        definition, lambda workflow: waiting(workflow, can), lambda role: replace(role, batch=bool(can(role)))
    )


def _workers(
    definition: Definition, within: Callable[[Definition], Definition], own: Callable[[Role], Role]
) -> Definition:
    """The definition with other workers: those that are workflows made anew by `within`, all others by `own`."""
    workers = {
        name: own(role) if role.workflow is None else replace(role, workflow=within(role.workflow))
        for name, role in definition.workers.items()
    }
    return replace(definition, workers=workers)


def unlimited(definition: Definition) -> Definition:
    """A definition as it is walked without the world: what enters a request stays, nothing is held back or cut off."""
    limits = definition.limits
    kept = Limits(max_subtasks=limits.max_subtasks, rounds=limits.rounds, budget=limits.budget, tokens=limits.tokens)
    return replace(definition, limits=kept)
