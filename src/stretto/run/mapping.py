"""What a map is carried by: a workflow without orchestrator, with a synthesizer only if there is to be one answer."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from stretto.errors import ConfigError, TaskError
from stretto.ground.text import clean
from stretto.maps import Listing, filled_in, listed, plan_of
from stretto.models.functions import speakers
from stretto.plan.book import worker_for
from stretto.types import Basis, Definition, Each, Plan, Role


def mapping_of(
    template: str, items: Sequence[Any], worker: str, then: str = "", schema: dict[str, Any] | None = None
) -> tuple[Each, Plan]:
    """The map of these items, and its plan; raises `TaskError` naming the place that is wrong."""
    for name, text in (("template", template), ("then", then)):
        if not isinstance(text, str):
            raise TaskError(f"{name}: must be a text, not {type(text).__name__}")
    if not template.strip():
        raise TaskError("the template is empty; say what is to be done with each {item}")
    places = items.places if isinstance(items, Listing) else [f"items[{place}]" for place in range(len(items))]
    data = listed(items)
    each = Each(clean(template), data, clean(then), schema)
    return each, plan_of(each, filled_in(template, data, places), worker)


def worker_of(definition: Definition, named: str | None) -> str:
    """Who does the items: the worker that is named, else the only one; raises `ConfigError` if that is not plain."""
    workers = definition.workers
    if named is None and len(workers) == 1:
        return next(iter(workers))
    if named is None or named not in workers:
        why = f"there is no {named!r}" if named else "one of them does all rows"
        raise ConfigError(f"worker: {why}; say which (--worker): {', '.join(workers)}")
    return named


def mapped(definition: Definition, basis: Basis) -> Definition:
    """The workflow as a run that begins with this needs it: as it is, if that is no map."""
    if basis.each is None or basis.plan is None:
        return definition
    return for_each(definition, basis.each, basis.plan)


def for_each(definition: Definition, each: Each, plan: Plan) -> Definition:
    """The workflow as a map needs it; one that is so already stays as it is.

    The rows of a list are no matter of `max_subtasks`, which holds for workflows that do one.
    """
    names = {worker_for(subtask.type, definition.workers) for subtask in plan.subtasks}
    workers = {name: role for name, role in definition.workers.items() if name in names} or definition.workers
    shaped = {name: _shaped(role, each.schema, f'workers."{name}"') for name, role in workers.items()}
    within = max(map(_within, shaped.values()))
    most = max(definition.limits.max_subtasks, len(plan.subtasks) * (1 + within))
    writer = _writer(definition.synthesizer, next(iter(shaped.values()))) if each.then else None
    limits = replace(definition.limits, max_subtasks=most, rounds=1)
    return replace(definition, orchestrator=None, workers=shaped, synthesizer=writer, limits=limits)


def _shaped(role: Role, schema: dict[str, Any] | None, place: str) -> Role:
    """The worker, whose results fit this schema."""
    if schema is None:
        return role
    if role.workflow is not None and (writer := role.workflow.synthesizer) is not None:
        return replace(role, workflow=replace(role.workflow, synthesizer=replace(writer, schema=schema)))
    if not speakers(role):
        raise ConfigError(f"{place}: it is no model that writes its results, so they cannot be made to fit a schema")
    return replace(role, schema=schema)


def _within(role: Role) -> int:
    """How many subtasks a workflow may plan that does one."""
    if role.workflow is None:
        return 0
    return role.workflow.limits.max_subtasks * (1 + max(map(_within, role.workflow.workers.values())))


def _writer(synthesizer: Role | None, worker: Role) -> Role:
    """Who writes the one answer from all results: the synthesizer, else the worker's model."""
    if synthesizer is not None:
        return replace(synthesizer, schema=None)
    models = speakers(worker)
    if not models:
        raise ConfigError("then: it is the synthesizer that writes one answer; give the workflow one")
    return Role(models, options=worker.options, context=worker.context)
