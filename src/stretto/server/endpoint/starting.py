"""`POST /api/runs`, and going on with a run or running it again: the server carries what comes of it by itself."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct, ValidationError

from stretto.config import Configuration, recorded_providers, recorded_roles
from stretto.errors import ConfigError, RunBusy, RunNotFound, TaskError
from stretto.ground.regex import regex
from stretto.plan.given import PlanFile
from stretto.pool import AnyProvider
from stretto.run.mapping import mapped
from stretto.run.opening import NothingKept
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.server.endpoint.api import answer, body_of, known, no_run, read_as, run_of, store_of
from stretto.server.endpoint.hosting import HOSTING, Approver, Hosting
from stretto.server.endpoint.service import SERVICE, Offer
from stretto.server.refused import BadBodyError, conflict, not_found
from stretto.store import idempotency
from stretto.store.sqlite import Store
from stretto.types import Input
from stretto.types.definitions import definition_of, knowing
from stretto.workflow import Workflow

KEY = "Idempotency-Key"
KEY_FORM = regex(r"[ -~]{0,255}")


class Text(Struct, forbid_unknown_fields=True):
    """A text that a task comes with, and what it is called."""

    name: str
    text: str


class Start(Struct, forbid_unknown_fields=True, kw_only=True):
    """A task for a workflow.

    `inputs`: texts that it comes with. `plan`: carry out this one, and ask for none. `direct`: one call answers it.
    `approve`: the plan waits for an answer. `fresh`: what is asked anew though recorded, as `Workflow.stream` takes it.
    """

    workflow: str
    task: str
    inputs: tuple[Text, ...] = ()
    plan: PlanFile | None = None
    direct: bool = False
    approve: bool = False
    fresh: tuple[str, ...] = ()


class Resume(Struct, forbid_unknown_fields=True, kw_only=True):
    """`workflow`: the one that goes on with the run; None: as the run records itself."""

    workflow: str | None = None


class Rerun(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be another way in a rerun, as `Workflow.rerun` takes it; `workflow`: as for `Resume`."""

    workflow: str | None = None
    plan: PlanFile | None = None
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    approve: bool = False


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.post("/api/runs", _start),
        web.post("/api/runs/{run}/resume", _resume),
        web.post("/api/runs/{run}/rerun", _rerun),
    ]


async def _start(request: web.Request) -> web.Response:
    store, asked = store_of(request), read_as(Start, await body_of(request))
    workflow = named(request.app[SERVICE].offer, asked.workflow)
    inputs = [Input(each.name, each.text) for each in asked.inputs]

    def stream(approve: Approver | None) -> RunStream[Any]:
        return workflow.stream(
            asked.task, plan=asked.plan, fresh=asked.fresh, inputs=inputs, approve=approve, direct=asked.direct
        )

    return await _begun(request, store, asked, stream)


async def _resume(request: web.Request) -> web.Response:
    run, store, asked = run_of(request), store_of(request), read_as(Resume, await body_of(request))
    kept = await known(store, run)
    workflow = await _workflow(request.app[SERVICE].offer, store, kept, asked.workflow)
    approver = Approver() if kept.basis.approve and kept.approval != "given" else None
    stream = workflow.resume(run, approve=approver)
    with _told(run):
        await request.app[HOSTING].begin(stream, approver, here=asked.workflow is not None)
    return answer({"run": run, "status": "running"}, 202)


async def _rerun(request: web.Request) -> web.Response:
    run, store, asked = run_of(request), store_of(request), read_as(Rerun, await body_of(request))
    kept = await known(store, run)
    workflow = await _workflow(request.app[SERVICE].offer, store, kept, asked.workflow)

    def stream(approve: Approver | None) -> RunStream[Any]:
        return workflow.rerun(run, plan=asked.plan, only=asked.only, fresh=asked.fresh, approve=approve)

    return await _begun(request, store, asked, stream, run)


async def _workflow(offer: Offer, store: Store, run: Run[Any], name: str | None) -> Workflow[Any]:
    """Who goes on with a run of the store."""
    return await asyncio.to_thread(carrier_of, offer, store, run) if name is None else named(offer, name)


async def _begun(
    request: web.Request,
    store: Store,
    asked: Start | Rerun,
    make: Callable[[Approver | None], RunStream[Any]],
    origin: str = "",
) -> web.Response:
    """A new run, once it has begun; or that which was begun when this was sent before, under the same key."""
    hosting, key = request.app[HOSTING], request.headers.get(KEY, "")
    if not KEY_FORM.fullmatch(key):
        raise BadBodyError(f"{KEY}: 255 characters of ASCII at the most", KEY)
    with _told(origin):
        approver = Approver() if asked.approve else None
        stream = make(approver)
        with hosting.claiming(stream.run_id):
            run = await _claimed(hosting, store, key, _digest(asked, origin), stream.run_id) if key else stream.run_id
            is_new = run == stream.run_id
            await (hosting.begin(stream, approver) if is_new else hosting.begun(run))
    carried = request.app[SERVICE].carried.get(run)
    status = "running" if carried and not carried.ended else (await known(store, run)).status
    return answer({"run": run, "status": status}, 201 if is_new else 200, {"Location": f"/api/runs/{run}"})


async def _claimed(hosting: Hosting, store: Store, key: str, digest: str, run: str) -> str:
    """The run that a key stands for; this one, if it stands for none yet, or for one that was never begun."""
    while True:
        stands, what = await asyncio.to_thread(idempotency.claim, store.location, key, digest, run)
        if stands != run:
            await hosting.claimed(stands)
        if stands != run and not hosting.carries(stands) and not await asyncio.to_thread(store.has, stands):
            await asyncio.to_thread(idempotency.release, store.location, key, stands)
        elif what != digest:
            raise conflict("idempotency_key_reused", f"{KEY}: another request was sent with this key; take a new one")
        else:
            return stands


def _digest(asked: Struct, origin: str) -> str:
    """What is asked, in short."""
    form = msgspec.json.encode((type(asked).__name__, origin, asked), order="deterministic")
    return hashlib.sha256(form).hexdigest()


@contextmanager
def _told(run: str) -> Iterator[None]:
    """What keeps a run from beginning as what a client is told of it; `run`: the one that it goes on with, if any."""
    try:
        yield
    except TaskError as error:
        raise BadBodyError(str(error)) from error
    except RunNotFound as error:
        raise no_run(run) from error
    except RunBusy as error:
        raise conflict("run_busy", f"run {run} is being carried by another process") from error
    except NothingKept as error:
        raise conflict("nothing_kept", str(error)) from error


def named(offer: Offer, name: str) -> Workflow[Any]:
    """The workflow that is served under a name; raises `RefusedError` if none is."""
    if name not in offer.workflows:
        message = f"there is no workflow {name[:100]!r} here; there are {', '.join(offer.workflows)}"
        raise not_found("workflow_not_found", message, "workflow")
    return offer.workflows[name]


def carrier_of(offer: Offer, store: Store, run: Run[Any]) -> Workflow[Any]:
    """The workflow that a run was carried by at last; raises `RefusedError` if it cannot be had."""
    if run.basis.client:
        raise conflict("single_calls", f"run {run.id} is no task but single calls: there is nothing to go on with")
    try:
        before = definition_of(run.workflow)
        for workflow in offer.workflows.values():
            # Without what was found out about their models.
            if knowing(mapped(workflow.definition, run.basis), {}) == knowing(before, {}):
                return workflow
        return _recorded(offer, store, run)
    except (ConfigError, ValidationError) as error:
        message = f"run {run.id} cannot be carried as it records itself: {error}; name a served workflow for it"
        raise conflict("workflow_needed", message) from error


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
