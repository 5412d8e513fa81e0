"""Stretto's ways: the cookbook's prompts as the example has them, and the presets."""

import runpy
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bench.gauntlet.setting import Setting
from bench.gauntlet.tasks import ROOT
from stretto import Role, Workflow
from stretto.config import presets
from stretto.types import Definition

COOKBOOK = "cookbook"
SPECIAL = ("documents", "review")
"""Presets made for one kind of task; on any other an answer is all that is expected of them."""


def names() -> list[str]:
    """Every workflow that can be asked."""
    return [*(name for name in presets() if name != "translate"), COOKBOOK]


def workflow(name: str, setting: Setting, time: int) -> Workflow:
    """The workflow of that name with the model under test in every role."""
    model = setting.endpoint.model
    found = _cookbook(model) if name == COOKBOOK else Workflow.from_toml(name, models=model)
    definition = found.definition
    return Workflow(
        _with(definition.orchestrator, setting, time),
        {type_: _sure(_with(role, setting, time)) for type_, role in definition.workers.items()},
        _with(definition.synthesizer, setting, time),
        limits=replace(definition.limits, attempts=2),
        store=setting.store,
    )


def definition_of(name: str, setting: Setting) -> Definition:
    """Who does what in the workflow of that name."""
    return workflow(name, setting, 1).definition


def _cookbook(model: str) -> Workflow:
    example: Mapping[str, Any] = runpy.run_path(str(ROOT / "examples" / "cookbook.py"))
    flow: Workflow = example["workflow"]
    roles = flow.definition
    return Workflow(
        replace(_sure(roles.orchestrator), model=model),
        {type_: replace(role, model=model) for type_, role in roles.workers.items()},
        replace(_sure(roles.synthesizer), model=model),
    )


def _with(role: Role | None, setting: Setting, time: int) -> Role | None:
    """The role with the gauntlet's options where it has none of its own; samples differ, so they have no seed."""
    if role is None:
        return None
    return replace(role, options={**setting.options(time, seeded=role.samples == 1), **role.options})


def _sure(role: Role | None) -> Role:
    assert role is not None
    return role
