"""The page at `/`: its files, and what it is told of a run while that goes on."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Self

import msgspec
from aiohttp import web

from stretto.errors import NoStore, RunNotFound, StrettoError
from stretto.events import AnyEvent, PlanApproved, PlanFinished
from stretto.page.content import plain
from stretto.page.pieces import Foretold, Pieces
from stretto.page.said import Said, calls_of, said_of
from stretto.page.site import HEADERS, assets, shell
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.server.endpoint.api import answer, known, no_run, run_of, store_of
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.service import SERVICE, Carried, elsewhere
from stretto.server.refused import BadBodyError
from stretto.store.sqlite import Store

_EVERY = 0.15
"""Seconds between two pieces: what is told in between is told together."""
_MANY = 200
"""Events that would hold up everybody else for a time that is felt."""
_KEPT = 1000
"""Runs of which it is remembered when they were to be done."""
_log = logging.getLogger("stretto.serve")


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
    if carried := await service.begun(run):
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
    carried = await request.app[SERVICE].begun(run)
    told = carried.stream.run if carried else await known(store, run)
    if "input" in asked:
        texts = {f"i{number}": one.text for number, one in enumerate(told.basis.inputs, 1)}
        return answer(plain({"text": texts.get(asked["input"], "")}))
    if "row" not in asked:
        raise BadBodyError("row is the key of a row, input the id of an input", "row")
    saying: Callable[[str], str] = carried.stream.saying if carried else lambda _: ""
    return answer(plain(await asyncio.to_thread(_row, store, told, asked["row"], saying)))


def _row(store: Store, run: Run[Any], key: str, saying: Callable[[str], str]) -> Said:
    wanted = {call.fingerprint for call in calls_of(run, key)}
    try:
        found = store.records(run.id, wanted)
    except NoStore:
        found = {}
    return said_of(run, key, {name: (one.request, one.reply) for name, one in found.items()}, saying)


class Foretelling:
    """Reckons when a run will be done, once for each plan that it has, and has that stand in `known` by the run.

    `known` has None for a run about which somebody is reckoning. Used as `async with`.
    """

    def __init__(self, known: dict[str, Foretold | None], run: str, stream: RunStream[Any] | None) -> None:
        self._known = known
        self._run = run
        self._stream = stream
        self._reckoning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reckoning is not None:
            self._reckoning.cancel()
            await asyncio.wait([self._reckoning])

    def consider(self, events: Iterable[AnyEvent], second: float) -> None:
        """What has happened until a second of the run: if there is a plan now, it is reckoned what that will take."""
        if self._stream is None or not any(isinstance(event, PlanFinished | PlanApproved) for event in events):
            return
        run, before = self._stream.run, self._known.get(self._run)
        planned = len(run.plan.subtasks)
        waits = run.basis.approve and run.approval != "given"
        known = self._run in self._known and (before is None or before.subtasks == planned)
        if planned and not waits and not known and (self._reckoning is None or self._reckoning.done()):
            self._known[self._run] = None
            self._reckoning = asyncio.create_task(self._reckon(self._stream, second, planned))

    async def _reckon(self, stream: RunStream[Any], second: float, planned: int) -> None:
        try:
            if proposal := await stream.forecast():
                total, took = proposal.total, proposal.total.seconds
                soon, late = round(second + took.p50, 3), round(second + took.p95, 3)
                self._known[self._run] = Foretold(round(second, 3), soon, late, total.known, planned)
        except StrettoError as error:  # the run goes on without
            _log.warning("run %s: it cannot be foretold: %s", self._run, error)
        finally:
            if self._run in self._known and self._known[self._run] is None:  # else it was gone on with meanwhile
                del self._known[self._run]
            while len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]
