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
    """The workflow of that name with the model under test in every role; samples are to differ, so have no seed."""
    model = setting.endpoint.model
    known = setting.endpoint.providers
    found = _cookbook(setting) if name == COOKBOOK else Workflow.from_toml(name, model=model, providers=known)
    definition = found.definition
    return Workflow(
        _with(definition.orchestrator, setting.options(time, plans=True)),
        {
            type_: _sure(_with(role, setting.options(time, seeded=role.samples == 1)))
            for type_, role in definition.workers.items()
        },
        _with(definition.synthesizer, setting.options(time)),
        limits=replace(definition.limits, attempts=2),
        providers=known,
        store=setting.store,
    )


def definition_of(name: str, setting: Setting) -> Definition:
    """Who does what in the workflow of that name."""
    return workflow(name, setting, 1).definition


def _cookbook(setting: Setting) -> Workflow:
    example: Mapping[str, Any] = runpy.run_path(str(ROOT / "examples" / "cookbook.py"))
    flow: Workflow = example["workflow"]
    roles, model = flow.definition, setting.endpoint.model
    return Workflow(
        replace(_sure(roles.orchestrator), model=model),
        {type_: replace(role, model=model) for type_, role in roles.workers.items()},
        replace(_sure(roles.synthesizer), model=model),
        providers=setting.endpoint.providers,
    )


def _with(role: Role | None, options: Mapping[str, Any]) -> Role | None:
    """The role with these options where it has none of its own."""
    return role and replace(role, options={**options, **role.options})


def _sure(role: Role | None) -> Role:
    assert role is not None
    return role
