"""The page at `/`: its files, and what it is told of a run while that goes on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from stretto.errors import NoStore, RunNotFound
from stretto.events import AnyEvent
from stretto.page.content import plain
from stretto.page.pieces import Foretold, Pieces
from stretto.page.said import Said, calls_of, said_of
from stretto.page.site import HEADERS, assets, shell
from stretto.runs import Run
from stretto.server.endpoint.api import known, no_run, run_of, store_of
from stretto.server.endpoint.foretelling import Foretelling
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.service import SERVICE
from stretto.server.endpoint.watching import Carried, elsewhere
from stretto.server.refused import BadBodyError
from stretto.store.sqlite import Store

_EVERY = 0.15
"""Seconds between two pieces: what is told in between is told together."""
_MANY = 200
"""Events that would hold up everybody else for a time that is felt."""


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/", _shell),
        web.get("/runs/{run}", _shell),
        web.get("/page/{name}", _asset),
        web.get("/page/runs/{run}", _pieces),
        web.get("/page/runs/{run}/said", _said),
    ]


def is_file(request: web.Request) -> bool:
    """Whether this asks for a file of the page: it is the same for all, and says nothing of any run."""
    return request.match_info.handler in {_shell, _asset}


async def _shell(_: web.Request) -> web.Response:
    return _file("text/html", shell())


async def _asset(request: web.Request) -> web.Response:
    if (found := assets().get(request.match_info["name"])) is None:
        raise web.HTTPNotFound
    return _file(*found)


def _file(kind: str, body: bytes) -> web.Response:
    response = web.Response(body=body, content_type=kind, charset="utf-8", headers=HEADERS)
    response.enable_compression()
    return response


async def _pieces(request: web.Request) -> web.StreamResponse:
    """A run as server-sent pieces, until nobody carries it any more; whoever comes again begins with the whole."""
    run, store, service = run_of(request), store_of(request), request.app[SERVICE]
    carried = service.carried.get(run)
    if carried is not None and await carried.begun():
        return await _followed(request, Pieces(carried.stream.heard, carried.stream.replying), _paced(carried), carried)
    if await asyncio.to_thread(store.is_awaited, run):
        return await _followed(request, Pieces(), elsewhere(store, run, 0, service.heed))
    body = await asyncio.to_thread(_whole, store, run, service.foretold.get(run))
    response = web.Response(body=body, content_type="text/event-stream", headers={"cache-control": "no-cache"})
    response.enable_compression()
    return response


async def _followed(
    request: web.Request,
    pieces: Pieces,
    batches: AsyncGenerator[Sequence[AnyEvent], None],
    carried: Carried | None = None,
) -> web.StreamResponse:
    """A run that somebody carries."""
    run, service = run_of(request), request.app[SERVICE]
    async with (
        Sending(request, b"", {}, service.offer.silence) as sending,
        Foretelling(service.foretold, run, carried.stream if carried else None) as foretelling,
        aclosing(batches),
    ):
        async for batch in batches:
            answer = carried.answer if carried else None
            told = (pieces, batch, answer, service.foretold.get(run))
            await sending.send(_told(*told) if len(batch) < _MANY else await asyncio.to_thread(_told, *told))
            foretelling.consider(batch, pieces.second(datetime.now(UTC)))
        pieces.stop()
        return await sending.end(_told(pieces) + b": over\n\n")


def _whole(store: Store, run: str, foretold: Foretold | None) -> bytes:
    """A run that nobody carries; raises `RefusedError` if there is none."""
    pieces = Pieces()
    try:
        pieces.take(store.events(run))
    except RunNotFound as error:
        raise no_run(run) from error
    pieces.stop()
    return _told(pieces, (), None, foretold)


async def _paced(carried: Carried) -> AsyncGenerator[Sequence[AnyEvent], None]:
    """The events of a run that is carried here, a few times a second: none, too, for what is heard may be more."""
    after = 0
    while True:
        over, new = carried.over, carried.events[after:]
        after += len(new)
        yield new
        if over:
            return
        await asyncio.sleep(_EVERY)


def _told(
    pieces: Pieces,
    events: Sequence[AnyEvent] = (),
    answer: str | None = None,
    foretold: Foretold | None = None,
) -> bytes:
    pieces.take(events)
    piece = pieces.piece(datetime.now(UTC), answer, foretold)
    return b"data: %b\n\n" % msgspec.json.encode(piece) if piece else b""


async def _said(request: web.Request) -> web.Response:
    """What was said in a row (`row`), or what an input says (`input`)."""
    run, store, asked = run_of(request), store_of(request), request.query
    carried = request.app[SERVICE].carried.get(run)
    here = carried if carried is not None and await carried.begun() else None
    told = here.stream.run if here else await asyncio.to_thread(known, store, run)
    if "input" in asked:
        texts = {f"i{number}": one.text for number, one in enumerate(told.basis.inputs, 1)}
        return _json({"text": texts.get(asked["input"], "")})
    if "row" not in asked:
        raise BadBodyError("row is the key of a row, input the id of an input", "row")
    return _json(await asyncio.to_thread(_row, store, told, asked["row"], here.stream.saying if here else _silent))


def _row(store: Store, run: Run[Any], key: str, saying: Callable[[str], str]) -> Said:
    wanted = {call.fingerprint for call in calls_of(run, key)}
    try:
        found = store.records(run.id, wanted)
    except NoStore:
        found = {}
    return said_of(run, key, {name: (one.request, one.reply) for name, one in found.items()}, saying)


def _silent(_: str) -> str:
    return ""


def _json(facts: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(plain(facts)), content_type="application/json")
