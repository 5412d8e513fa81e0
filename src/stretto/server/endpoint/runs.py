"""`/api/runs`: what runs there are, one of them, its events as they happen, and stopping it."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, get_args

import msgspec
from aiohttp import web

from stretto.errors import RunNotFound
from stretto.events import AnyEvent, encode
from stretto.models.simulator.refusals import Refusal
from stretto.server.endpoint.guard import CLIENT
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.service import SERVICE, Service
from stretto.server.endpoint.watching import elsewhere, here
from stretto.server.refused import BadBodyError, RefusedError
from stretto.store.listing import Wanted
from stretto.store.sqlite import Store
from stretto.store.summary import Standing

_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_SINCE = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.]+Z)?")
_MOST = 100
"""Runs on one page."""
_OPENING = b"retry: 2000\n\n"
_RESUMED = "last-event-id"
_STANDINGS = get_args(Standing)


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/api/runs", _list),
        web.get("/api/runs/{run}", _show),
        web.get("/api/runs/{run}/events", _events),
        web.post("/api/runs/{run}/cancel", _cancel),
    ]


async def _list(request: web.Request) -> web.Response:
    store, wanted = _store(request), _wanted(request)
    try:
        found = await asyncio.to_thread(store.listing, wanted) if store.path.exists() else []
    except RunNotFound as error:
        raise BadBodyError("before: there is no such run", "before") from error
    last = found[-1].run if len(found) == wanted.limit else None
    return _json({"object": "list", "data": found, "next": last})


def _wanted(request: web.Request) -> Wanted:
    """Which runs to list; raises `BadBodyError` for a filter that means nothing."""
    asked = request.query
    for name in asked:
        if name not in {"task", "status", "since", "limit", "before"}:
            raise BadBodyError(f"{name[:80]!r} is no filter; there are task, status, since, limit, before", name[:80])
    status, since, before = asked.get("status"), asked.get("since", ""), asked.get("before", "")
    if status is not None and status not in _STANDINGS:
        raise BadBodyError(f"status is one of {', '.join(_STANDINGS)}", "status")
    if since and not _SINCE.fullmatch(since):
        raise BadBodyError("since is a date (2026-11-29), or a time in UTC (2026-11-29T08:00:00Z)", "since")
    if before and not _ULID.fullmatch(before):
        raise BadBodyError("before is the id of a run", "before")
    limit = asked.get("limit", "20")
    if not re.fullmatch(r"\d{1,3}", limit, re.ASCII) or not 1 <= int(limit) <= _MOST:
        raise BadBodyError(f"limit is a number from 1 to {_MOST}", "limit")
    standing: Any = status
    return Wanted(task=asked.get("task", ""), status=standing, since=since, limit=int(limit), before=before)


async def _show(request: web.Request) -> web.Response:
    run, store = _run(request), _store(request)
    if (carried := request.app[SERVICE].carried.get(run)) and await carried.begun():
        return web.Response(body=carried.stream.run.to_json(), content_type="application/json")
    found = await asyncio.to_thread(_known, store, run)
    return web.Response(body=found.to_json(), content_type="application/json")


async def _events(request: web.Request) -> web.StreamResponse:
    run, store, after = _run(request), _store(request), _after(request)
    carried = request.app[SERVICE].carried.get(run)
    if carried is None:
        known = await asyncio.to_thread(_known, store, run)
        if known.status != "running" and after >= len(await asyncio.to_thread(store.events, run)):
            return web.Response(status=204)  # which tells an EventSource to ask no more
    events = elsewhere(store, run, after) if carried is None else here(carried, after)
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
    run, store = _run(request), _store(request)
    if carried := request.app[SERVICE].carried.get(run):
        carried.stream.stop()
        return _json({"run": run, "status": "stopping"}, status=202)
    known = await asyncio.to_thread(_known, store, run)
    elsewhere_ = await asyncio.to_thread(store.is_carried, run)
    message = f"run {run} {'is carried by another process' if elsewhere_ else f'is {known.status}'}"
    raise RefusedError(Refusal(409, "conflict", "not_carried_here", f"{message}; there is nothing to stop here"))


def _store(request: web.Request) -> Store:
    """The store, for whoever may look at all runs: a client has its own key for its own calls only."""
    service: Service = request.app[SERVICE]
    if request[CLIENT]:
        message = "runs are shown to the server's own key only (--api-key-env)"
        raise RefusedError(Refusal(403, "permission_error", "not_allowed", message))
    if service.offer.store is None:
        raise RefusedError(Refusal(404, "invalid_request_error", "no_store", "no runs are kept here"))
    return Store(service.offer.store)


def _run(request: web.Request) -> str:
    run = request.match_info["run"]
    if not _ULID.fullmatch(run):
        raise _no_run(run)
    return run


def _known(store: Store, run: str) -> Any:
    try:
        return store.run(run)
    except RunNotFound as error:
        raise _no_run(run) from error


def _no_run(run: str) -> RefusedError:
    return RefusedError(Refusal(404, "invalid_request_error", "run_not_found", f"there is no run {run[:80]!r}"))


def _after(request: web.Request) -> int:
    """How many events of the run a client has already."""
    told = request.headers.get(_RESUMED, request.query.get("after", "0"))
    if not re.fullmatch(r"\d{1,9}", told, re.ASCII):
        raise BadBodyError("Last-Event-ID is the number of an event", _RESUMED)
    return int(told)


def _json(facts: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(facts), content_type="application/json")
