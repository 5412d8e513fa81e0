"""What all addresses under `/api/runs` have in common: the store, the run that is named, the form of an answer."""

from typing import Any

import msgspec
from aiohttp import web

from stretto.errors import RunNotFound
from stretto.ground.regex import regex
from stretto.models.error_bodies import Refusal
from stretto.runs import Run
from stretto.server.endpoint.guard import CLIENT
from stretto.server.endpoint.service import SERVICE, Service
from stretto.server.refused import RefusedError
from stretto.store.sqlite import Store

ULID = regex(r"[0-9A-HJKMNP-TV-Z]{26}")


def store_of(request: web.Request) -> Store:
    """The store, for whoever may look at all runs: a client has its own key for its own calls only."""
    service: Service = request.app[SERVICE]
    if request[CLIENT]:
        message = "runs are shown to the server's own key only (--api-key-env)"
        raise RefusedError(Refusal(403, "permission_error", "not_allowed", message))
    if service.offer.store is None:
        raise RefusedError(Refusal(404, "invalid_request_error", "no_store", "no runs are kept here"))
    return Store(service.offer.store)


def run_of(request: web.Request) -> str:
    """The id of the run that is asked about."""
    run = request.match_info["run"]
    if not ULID.fullmatch(run):
        raise no_run(run)
    return run


def known(store: Store, run: str) -> Run[Any]:
    """A run of the store; raises `RefusedError` if it is not there."""
    try:
        return store.run(run)
    except RunNotFound as error:
        raise no_run(run) from error


def no_run(run: str) -> RefusedError:
    """What is said of a run that is none."""
    return RefusedError(Refusal(404, "invalid_request_error", "run_not_found", f"there is no run {run[:80]!r}"))


def answer(facts: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Facts as JSON."""
    body = msgspec.json.encode(facts)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
