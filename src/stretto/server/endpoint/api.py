"""What all addresses under `/api/runs` have in common: the store, the run that is named, what a request holds."""

import asyncio
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from stretto.errors import RunNotFound
from stretto.ground.regex import regex
from stretto.models.error_bodies import Refusal
from stretto.runs import Run
from stretto.server.body import json_in
from stretto.server.endpoint.guard import CLIENT
from stretto.server.endpoint.service import SERVICE, Service
from stretto.server.packed import unpacked
from stretto.server.refused import BadBodyError, RefusedError, not_found
from stretto.store.sqlite import Store

ULID = regex(r"[0-9A-HJKMNP-TV-Z]{26}")
T = TypeVar("T")


def store_of(request: web.Request) -> Store:
    """The store, for whoever may look at all runs: a client has its own key for its own calls only."""
    service: Service = request.app[SERVICE]
    if request[CLIENT]:
        message = "runs are shown to the server's own key only (--api-key-env)"
        raise RefusedError(Refusal(403, "permission_error", "not_allowed", message))
    if service.offer.store is None:
        raise not_found("no_store", "no runs are kept here")
    return Store(service.offer.store)


def run_of(request: web.Request) -> str:
    """The id of the run that is asked about."""
    run = request.match_info["run"]
    if not ULID.fullmatch(run):
        raise no_run(run)
    return run


async def known(store: Store, run: str) -> Run[Any]:
    """A run of the store; raises `RefusedError` if it is not there."""
    try:
        return await asyncio.to_thread(store.run, run)
    except RunNotFound as error:
        raise no_run(run) from error


def no_run(run: str) -> RefusedError:
    """What is said of a run that is none."""
    return not_found("run_not_found", f"there is no run {run[:80]!r}")


def answer(facts: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Facts as JSON."""
    body = msgspec.json.encode(facts)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


async def body_of(request: web.Request) -> bytes:
    """The body of a request; raises `RefusedError` if it takes too long to arrive, or cannot be unpacked."""
    slowest = request.app[SERVICE].offer.slowest
    try:
        if request.content.is_eof():  # it came with its headers, as nearly always
            return await unpacked(request)
        async with asyncio.timeout(slowest):
            return await unpacked(request)
    except TimeoutError:
        message = f"the body did not arrive within {slowest:g} s"
        raise RefusedError(Refusal(408, "timeout", "request_timeout", message), {"connection": "close"}) from None
    except web.RequestPayloadError as error:
        raise BadBodyError("the body is not whole, or not packed (gzip, deflate) as its headers say") from error


def read_as(kind: type[T], body: bytes) -> T:
    """The object of this kind in a body, which may be left out; raises `BadBodyError` naming the field."""
    try:
        return json_in(body or b"{}", kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        raise BadBodyError(f"{where.strip('.`') or 'the body'}: {what}", where.strip(".`") or None) from error
