"""`/api/runs`: what runs there are, one of them, its events as they happen, and steering it, wherever it is carried."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any, get_args

from aiohttp import web
from msgspec import Struct

from stretto.cluster.orders import Order
from stretto.engine.approving import withdrawal
from stretto.errors import NoStore, RunBusy, RunNotFound, TaskError
from stretto.events import AnyEvent, encode
from stretto.ground.regex import regex
from stretto.proposal import Again, Answer, Decision, Drop, Edit, Stop
from stretto.runs import Run
from stretto.server.endpoint.api import ULID, answer, body_of, known, read_as, run_of, store_of
from stretto.server.endpoint.hosting import HOSTING
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.service import AFTER, SERVICE, elsewhere, here
from stretto.server.refused import BadBodyError, RefusedError, conflict, not_found
from stretto.store.listing import Wanted
from stretto.store.summary import Standing
from stretto.types.definitions import definition_of

SINCE = regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z)?")
MOST = 100
"""Runs on one page."""
_OPENING = b"retry: 2000\n\n"
_RESUMED = "last-event-id"
STANDINGS = get_args(Standing)


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/api/runs", _list),
        web.get("/api/runs/{run}", _show),
        web.get("/api/runs/{run}/events", _events),
        web.post("/api/runs/{run}/cancel", _cancel),
        web.get("/api/runs/{run}/proposal", _proposal),
        web.post("/api/runs/{run}/answer", _answer),
        web.post("/api/runs/{run}/subtasks/{subtask:.+}/stop", _stop),
        web.post("/api/runs/{run}/subtasks/{subtask:.+}/again", _again),
    ]


async def _list(request: web.Request) -> web.Response:
    store, wanted = store_of(request), _wanted(request)
    try:
        found = await asyncio.to_thread(store.listing, wanted)
    except NoStore:  # nothing was kept yet, or it is being made
        found = []
    except RunNotFound as error:
        raise BadBodyError("before: there is no such run", "before") from error
    last = found[-1].run if len(found) == wanted.limit else None
    return answer({"object": "list", "data": found, "next": last})


def _wanted(request: web.Request) -> Wanted:
    """Which runs to list; raises `BadBodyError` for a filter that means nothing."""
    asked = request.query
    for name in asked:
        if name not in {"task", "status", "since", "limit", "before"}:
            raise BadBodyError(f"{name[:80]!r} is no filter; there are task, status, since, limit, before", name[:80])
    status, since, before = asked.get("status"), asked.get("since"), asked.get("before")
    if status is not None and status not in STANDINGS:
        raise BadBodyError(f"status is one of {', '.join(STANDINGS)}", "status")
    if since is not None and not SINCE.fullmatch(since):
        raise BadBodyError("since is a date (2026-11-29), or a time in UTC (2026-11-29T08:00:00Z)", "since")
    if before is not None and not ULID.fullmatch(before):
        raise BadBodyError("before is the id of a run", "before")
    limit = asked.get("limit", "20")
    if not re.fullmatch(r"\d{1,3}", limit, re.ASCII) or not 1 <= int(limit) <= MOST:
        raise BadBodyError(f"limit is a number from 1 to {MOST}", "limit")
    standing: Any = status
    return Wanted(task=asked.get("task", ""), status=standing, since=since or "", limit=int(limit), before=before or "")


async def _show(request: web.Request) -> web.Response:
    run, store = run_of(request), store_of(request)
    carried = await request.app[SERVICE].begun(run)
    found = carried.stream.run if carried else await known(store, run)
    return web.Response(body=found.to_json(), content_type="application/json")


async def _events(request: web.Request) -> web.StreamResponse:
    run, store, after = run_of(request), store_of(request), _after(request)
    carried = request.app[SERVICE].carried.get(run)
    if carried is None:
        kept = await known(store, run)
        over = kept.status != "running" and not await asyncio.to_thread(store.is_queued, run)
        if over and after >= len(await asyncio.to_thread(store.events, run)):
            return web.Response(status=204)  # which tells an EventSource to ask no more
    heed = request.app[SERVICE].heed
    events = elsewhere(store, run, after, heed) if carried is None else here(carried, after)
    async with Sending(request, _OPENING, {}, request.app[SERVICE].offer.silence) as sending:
        return await _told(sending, events)


async def _told(sending: Sending, events: AsyncGenerator[Sequence[AnyEvent], None]) -> web.StreamResponse:
    async with aclosing(events) as batches:
        async for batch in batches:
            await sending.send(b"".join(map(_event, batch)))
    return await sending.end(b": over\n\n")


def _event(event: AnyEvent) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq or 0, event.kind.encode(), encode(event))


async def _cancel(request: web.Request) -> web.Response:
    run, store = run_of(request), store_of(request)
    if carried := request.app[SERVICE].carried.get(run):
        carried.stream.stop()
        return answer({"run": run, "status": "stopping"}, status=202)
    kept = await known(store, run)
    if (cluster := request.app[SERVICE].cluster) and kept.status == "running":
        with suppress(RunBusy):
            return answer({"run": run, "status": (await cluster.cancel(run)).status}, status=202)
    elsewhere_ = await asyncio.to_thread(store.is_carried, run)
    message = f"run {run} {'is carried by another process' if elsewhere_ else f'is {kept.status}'}"
    raise conflict("not_carried_here", f"{message}; there is nothing to stop here")


def _after(request: web.Request) -> int:
    """How many events of the run a client has already."""
    asked = {"after": request.query.get("after", "0"), _RESUMED: request.headers.get(_RESUMED, "0")}
    for name, told in asked.items():
        if not AFTER.fullmatch(told):
            raise BadBodyError(f"{name} is the number of an event", name)
    return int(asked[_RESUMED] if _RESUMED in request.headers else asked["after"])


class Anew(Struct, forbid_unknown_fields=True, kw_only=True):
    """A subtask is asked anew; `remark`: what is to be different, which its prompt says."""

    remark: str = ""


async def _proposal(request: web.Request) -> web.Response:
    run, store = run_of(request), store_of(request)
    approver, cluster = request.app[HOSTING].approver(run), request.app[SERVICE].cluster
    if approver is not None and approver.proposal is not None:
        return answer(approver.proposal)
    if cluster is not None and (told := await cluster.proposal(run)) is not None:
        return answer(told)
    await known(store, run)
    raise not_found("no_proposal", f"no plan of run {run} waits for an answer")


async def _answer(request: web.Request) -> web.Response:
    run, store, asked = run_of(request), store_of(request), read_as(Answer, await body_of(request))
    try:
        decision = asked.decided()
    except TaskError as error:
        raise BadBodyError(str(error), "plan") from error
    service, approver = request.app[SERVICE], request.app[HOSTING].approver(run)
    if approver is not None and approver.proposal is not None:
        _check(decision, service.carried[run].stream.run)
        approver.answer(decision, None if isinstance(decision, Stop) else service.runs.place())
    elif service.cluster is not None and await service.cluster.proposal(run) is not None:
        _check(decision, await known(store, run))
        try:
            await service.cluster.answer(run, asked)
        except TaskError as error:
            raise _nothing_waits(run) from error
    else:
        await known(store, run)
        raise _nothing_waits(run)
    return answer({"run": run, "decision": asked.decision}, 202)


def _nothing_waits(run: str) -> RefusedError:
    return conflict("nothing_waits", f"no plan of run {run} waits for an answer")


def _check(decision: Decision, run: Run[Any]) -> None:
    """Raise `BadBodyError` for what would end the run with an error."""
    if not isinstance(decision, Edit | Drop | Again):
        return
    try:
        withdrawal(decision, run, definition_of(run.workflow))
    except TaskError as error:
        raise BadBodyError(str(error)) from error


async def _stop(request: web.Request) -> web.Response:
    return await _steered(request, Order(run_of(request), request.match_info["subtask"], "stop"))


async def _again(request: web.Request) -> web.Response:
    asked = read_as(Anew, await body_of(request))
    return await _steered(request, Order(run_of(request), request.match_info["subtask"], "again", asked.remark))


async def _steered(request: web.Request, order: Order) -> web.Response:
    """Have an order followed, here or by whoever carries its run; what is said of that."""
    run, subtask, store, service = order.run, order.subtask, store_of(request), request.app[SERVICE]
    carried = await service.begun(run)
    now = carried.stream.run if carried else await known(store, run)
    if not carried and (service.cluster is None or not await asyncio.to_thread(store.is_carried, run)):
        raise conflict("not_carried_here", f"run {run} is not carried here; none of its subtasks can be steered")
    within, _, own = subtask.rpartition("/")
    if own not in {each.id for each in now.part(within).plan.subtasks}:
        raise not_found("subtask_not_found", f"there is no subtask {subtask[:80]!r} in the plan of this run")
    try:
        if carried:
            order.follow(carried.stream)
        elif service.cluster is not None:
            await service.cluster.order(order)
    except TaskError as error:
        raise conflict("not_steered", str(error)) from error
    except RunBusy as error:
        raise conflict("not_answered", str(error)) from error
    return answer({"run": run, "subtask": subtask}, 202)
