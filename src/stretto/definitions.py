"""The definition of a workflow, read back from what is recorded of a run."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from stretto.types import Definition, Known, Limits

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
    workers = {
        name: role if role.workflow is None else replace(role, workflow=knowing(role.workflow, known))
        for name, role in definition.workers.items()
    }
    return replace(definition, workers=workers, known=dict(known))


def unlimited(definition: Definition) -> Definition:
    """A definition as it is walked without the world: what enters a request stays, nothing is held back or cut off."""
    limits = definition.limits
    kept = Limits(max_subtasks=limits.max_subtasks, rounds=limits.rounds, budget=limits.budget, tokens=limits.tokens)
    return replace(definition, limits=kept)
