"""Which workflow goes on with a run: one by its name, the served one it was carried by, or as it records itself."""

from collections.abc import Mapping
from typing import Any

from msgspec import ValidationError
from msgspec.structs import replace

from stretto.config import Configuration, recorded_providers, recorded_roles
from stretto.errors import ConfigError
from stretto.models.error_bodies import Refusal
from stretto.pool import AnyProvider
from stretto.run.mapping import mapped
from stretto.runs import Run
from stretto.server.endpoint.service import Offer
from stretto.server.refused import RefusedError, conflict
from stretto.store.sqlite import Store
from stretto.types import Definition
from stretto.types.definitions import definition_of
from stretto.workflow import Workflow


def named(offer: Offer, name: str) -> Workflow[Any]:
    """The workflow that is served under a name; raises `RefusedError` if none is."""
    if name not in offer.workflows:
        message = f"there is no workflow {name[:100]!r} here; there are {', '.join(offer.workflows)}"
        raise RefusedError(Refusal(404, "invalid_request_error", "workflow_not_found", message, param="workflow"))
    return offer.workflows[name]


def carrier_of(offer: Offer, store: Store, run: Run[Any]) -> Workflow[Any]:
    """The workflow that a run was carried by at last; raises `RefusedError` if it cannot be had."""
    if run.basis.client:
        raise conflict("single_calls", f"run {run.id} is no task but single calls: there is nothing to go on with")
    try:
        before = definition_of(run.workflow)
        for workflow in offer.workflows.values():
            if _bare(mapped(workflow.definition, run.basis)) == _bare(before):
                return workflow
        return _recorded(offer, store, run)
    except (ConfigError, ValidationError) as error:
        message = f"run {run.id} cannot be carried as it records itself: {error}; name a served workflow for it"
        raise conflict("workflow_needed", message) from error


def _bare(definition: Definition) -> Definition:
    """A definition without what was found out about its models."""
    workers = {
        name: role if role.workflow is None else replace(role, workflow=_bare(role.workflow))
        for name, role in definition.workers.items()
    }
    return replace(definition, workers=workers, known={})


def _recorded(offer: Offer, store: Store, run: Run[Any]) -> Workflow[Any]:
    """A workflow as a run records it, at the providers that are served, and at its own prices."""
    served: dict[str, AnyProvider] = {}
    for workflow in reversed([*offer.workflows.values()]):
        served |= workflow.providers
    imported = store.is_imported(run.id)
    roles = recorded_roles(run.id, run.workflow, imported=imported)
    providers = recorded_providers(run.id, run.workflow, served, imported=imported)

    def make(*definition: Any, **facts: Any) -> Workflow[Any]:
        known: Mapping[str, AnyProvider] = {**facts["providers"], **served}
        return Workflow(*definition, **{**facts, "providers": known})

    return Configuration([roles, providers]).workflow(make, models={}, store=store.location)
