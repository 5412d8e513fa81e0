"""The simulator's routes, and running them."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager

from aiohttp import web

from stretto.calls import fingerprint
from stretto.models.error_bodies import Refusal
from stretto.models.simulator.provider import SimulatedProvider
from stretto.models.simulator.script import Script
from stretto.models.simulator.settings import PROFILES, Simulator
from stretto.server.body import ChatBody, read_body
from stretto.server.listening import listening
from stretto.server.packed import unpacked
from stretto.server.refused import BadBodyError, refused
from stretto.server.sim.batches import Batches
from stretto.server.sim.ticker import CompletionStream, Ticker, models_body, whole

PROVIDER = web.AppKey("provider", SimulatedProvider)
"""Where an application keeps its provider, with its counts."""

_TICKER = web.AppKey("ticker", Ticker)

_LARGEST_BODY = 256 * 2**20
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"


def simulator_app(simulator: Simulator) -> web.Application:
    """An application that answers `/v1/chat/completions`, `/v1/models`, `/v1/files` and `/v1/batches`.

    Its counts are in `app[PROVIDER]`.
    """
    app = web.Application(client_max_size=_LARGEST_BODY)
    app[PROVIDER] = SimulatedProvider(simulator)
    app[_TICKER] = Ticker()
    app.router.add_post("/v1/chat/completions", _listened_to)
    app.router.add_get("/v1/models", _models)
    app.router.add_routes(Batches(app[PROVIDER]).routes())
    return app


async def serve(simulator: Simulator, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Run the simulator until this is cancelled; `ready` is told its base URL once it accepts connections."""
    async with listening(simulator_app(simulator), host, port) as base_url:
        ready(base_url)
        await asyncio.Event().wait()


async def _models(_: web.Request) -> web.Response:
    return web.Response(body=models_body(PROFILES), content_type="application/json")


async def _listened_to(request: web.Request) -> web.StreamResponse:
    """The reply; a caller who leaves in the middle of it is no error to be reported."""
    try:
        return await _chat_completions(request)
    except ConnectionError:
        return web.Response()


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    provider = request.app[PROVIDER]
    start = asyncio.get_running_loop().time()
    with provider.flight():
        try:
            chat = read_body(await unpacked(request))
        except BadBodyError as error:
            return refused(error.refusal, {})
        asked = chat.request
        script = provider.ask(asked.model, asked, fingerprint(asked), start)
        headers = {**provider.rates.headers(start), "x-stretto-simulated": "true"}
        if isinstance(script, Refusal):
            return refused(script, headers)
        headers["x-request-id"] = script.request_id
        await _sleep_until(start + script.ttft)
        if script.fault is not None and (failed := _failed(request, script, headers)):
            return failed
        say = _say if chat.stream else _say_at_once
        response = await say(request, chat, script, start, headers)
        if not script.breaks:
            provider.complete(fingerprint(asked), script)
        return response


def _failed(request: web.Request, script: Script, headers: Mapping[str, str]) -> web.Response | None:
    """The answer of a fault that takes the place of the whole reply, if it is one."""
    assert script.fault is not None  # noqa: S101 - asked only if there is one
    if refusal := script.fault.refusal():
        return refused(refusal, headers)
    if script.fault.kind == "html":
        return web.Response(body=_PAGE, content_type="text/html", headers=headers)
    if script.fault.kind == "reset":
        _reset(request)
        return web.Response()
    return None


async def _say(
    request: web.Request, chat: ChatBody, script: Script, start: float, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The reply as server-sent events, each piece when it is due."""
    events = CompletionStream(script, chat.request.model)
    response = web.StreamResponse(headers={**headers, "cache-control": "no-cache"})
    response.content_type = "text/event-stream"
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(events.opening())
    # The first write sent the headers; from here on the ticker frames and writes by itself, because a coroutine and a
    # task's wake-up for each piece would cost several times what the piece costs.
    if not await request.app[_TICKER].say(script, start, lambda texts: _write(request, events.pieces(texts))):
        raise ConnectionResetError("the caller has left")
    if script.breaks:
        await _break_off(request, script)
        return response
    await response.write(events.closing(usage_wanted=chat.usage_wanted))
    await response.write_eof()
    return response


async def _say_at_once(
    request: web.Request, chat: ChatBody, script: Script, start: float, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The reply as one JSON object, when the last piece is due."""
    await _sleep_until(start + script.due(0 if script.trickles else script.stops_at))
    body = whole(script, chat.request.model)
    if not script.breaks:
        reply = web.Response(body=body, content_type="application/json", headers=headers)
        await reply.prepare(request)
        await reply.write_eof()  # sent here, so that it counts as complete only if it was
        return reply
    response = web.StreamResponse(headers={**headers, "content-length": str(len(body))})
    response.content_type = "application/json"
    await response.prepare(request)
    if script.trickles:
        await _trickle(request, response, script, body, start)
    else:
        await response.write(body[: len(body) // 2])
        await _break_off(request, script)
    return response


async def _trickle(
    request: web.Request, response: web.StreamResponse, script: Script, body: bytes, start: float
) -> None:
    """A plain reply byte by byte, never all of it."""
    for said in range(min(script.stops_at, len(body) - 1)):
        await _sleep_until(start + script.due(said))
        await response.write(body[said : said + 1])
    await _break_off(request, script)


def _write(request: web.Request, events: bytes) -> bool:
    transport = request.transport
    if transport is None or transport.is_closing():
        return False
    transport.write(b"%x\r\n%b\r\n" % (len(events), events))
    return True


async def _break_off(request: web.Request, script: Script) -> None:
    """End the connection in the middle of a reply: at once, or after the silence the fault asks for."""
    if script.fault is not None and script.fault.kind == "silence":
        await asyncio.sleep(script.fault.seconds)
    if request.transport is not None:
        request.transport.close()


def _reset(request: web.Request) -> None:
    """End the connection with a reset instead of a proper end: what a crashed server looks like."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


async def _sleep_until(moment: float) -> None:
    delay = moment - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)


@contextmanager
def served(simulator: Simulator) -> Iterator[tuple[str, SimulatedProvider]]:
    """The simulator on a free loopback port for as long as this is open: its base URL, and the provider's counts."""
    app, ready, stop = simulator_app(simulator), Future[str](), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        try:
            async with listening(app) as base_url:
                ready.set_result(base_url)
                await stop.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="stretto-simulator")
    thread.start()
    try:
        yield ready.result(), app[PROVIDER]
    finally:
        if loop.is_running():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
