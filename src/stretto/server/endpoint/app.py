"""The endpoint's routes, and what all of them have in common."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from stretto.cluster import Cluster
from stretto.cluster.orders import obey
from stretto.errors import StrettoError
from stretto.ground.ids import new_ulid
from stretto.models.error_bodies import Refusal
from stretto.server.body import ChatBody, json_object, read_body
from stretto.server.endpoint import openapi, page, runs, starting
from stretto.server.endpoint.api import answer, body_of
from stretto.server.endpoint.asked import answering, asked_of, chat_asked, check_options, with_function
from stretto.server.endpoint.carrying import Calling, Carrying, request_of
from stretto.server.endpoint.completions import Completion
from stretto.server.endpoint.guard import CLIENT, guarding
from stretto.server.endpoint.hosting import HOSTING, Hosting
from stretto.server.endpoint.responses import Response, Voice
from stretto.server.endpoint.service import SERVICE, Offer, Service
from stretto.server.listening import health_routes
from stretto.server.refused import OURS, BadBodyError, RefusedError, not_found, refusal_of, refused
from stretto.store.locations import Server

REUSE = "x-stretto-reuse"
REQUEST_ID = web.RequestKey("request_id", str)
_OF_BASE = ("/models", "/chat/completions", "/responses")
_SINCE = int(time.time())
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger("stretto.serve")


def endpoint_app(offer: Offer) -> web.Application:
    """An application that serves workflows as models."""
    app = web.Application(client_max_size=offer.largest, middlewares=[_telling, guarding(offer.guard, page.is_file)])
    app[SERVICE] = Service(offer)
    app[HOSTING] = Hosting(app[SERVICE])
    app.cleanup_ctx.append(_closed)
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/v1/models/{name:.+}", _model)
    app.router.add_post("/v1/chat/completions", _chat_completions)
    app.router.add_post("/v1/responses", _responses)
    app.router.add_routes([*runs.routes(), *starting.routes(), *openapi.routes(), *page.routes()])
    app.router.add_routes(health_routes(app[SERVICE].gauges))
    app.on_response_prepare.append(_sign)
    return app


@web.middleware
async def _telling(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Whatever goes wrong is told in one form, and nothing of how it came about."""
    request[REQUEST_ID] = new_ulid()
    try:
        return await handler(request)
    except RefusedError as error:
        return refused(error.refusal, error.headers)
    except StrettoError as error:
        _log.warning("%s: %s", type(error).__name__, error)
        return refused(refusal_of(error))
    except web.HTTPException as error:
        return refused(_refusal(error, request), {"allow": error.headers["allow"]} if "allow" in error.headers else {})
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the log tells it, and the client that there is one
        _log.exception("request %s", request[REQUEST_ID])
        return refused(OURS)


def _refusal(error: web.HTTPException, request: web.Request) -> Refusal:
    """An error of the server below us in our form."""
    base = "; the base URL ends in /v1" if request.path in _OF_BASE else ""
    told = {
        404: ("not_found", f"there is nothing at {request.path[:200]}{base}"),
        405: ("method_not_allowed", f"{request.method[:20]} is not for this address"),
        413: ("request_too_large", "the body is too large"),
    }
    code, message = told.get(error.status, ("invalid_request", error.reason))
    return Refusal(error.status, "invalid_request_error", code, message)


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """What every response says."""
    response.headers["x-request-id"] = request.get(REQUEST_ID, "")
    response.headers["server"] = "stretto"
    response.headers["x-content-type-options"] = "nosniff"
    response.headers.update(request.app[SERVICE].offer.guard.shared(request))


async def _models(request: web.Request) -> web.Response:
    listed = [_facts(name) for name in _listed(request.app[SERVICE].offer)]
    return answer({"object": "list", "data": listed})


def _listed(offer: Offer) -> list[str]:
    """The workflows, and the models that they ask, which can be asked alone if there is a door for that."""
    theirs = [model for workflow in offer.workflows.values() for model in workflow.all_models] if offer.door else []
    return list(
        dict.fromkeys([*offer.workflows, *(model for model in theirs if offer.door and offer.door.models(model))])
    )


async def _model(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    offer = request.app[SERVICE].offer
    if name not in offer.workflows and not (offer.door and offer.door.models(name)):
        raise _unknown(request.app[SERVICE], name)
    return answer(_facts(name))


def _facts(name: str) -> dict[str, str | int]:
    owner = name.partition(":")[0] if ":" in name else "stretto"
    return {"id": name, "object": "model", "created": _SINCE, "owned_by": owner}


def _unknown(service: Service, name: str) -> RefusedError:
    known = ", ".join(service.offer.workflows) + (", and PROVIDER:MODEL" if service.offer.door else "")
    return not_found("model_not_found", f"there is no model {name[:100]!r} here; there are {known}", "model")


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    chat = _read(request, read_body(await body_of(request)))
    id_, name = request[REQUEST_ID], chat.request.model
    voice = Completion(id_, name, usage_wanted=chat.usage_wanted, function=chat.function)
    return await _answer(request, chat, voice)


async def _responses(request: web.Request) -> web.StreamResponse:
    body = json_object(await body_of(request))
    chat = _read(request, chat_asked(body))
    voice = Response(request[REQUEST_ID], chat.request.model, body, function=chat.function)
    return await _answer(request, chat, voice)


def _read(request: web.Request, chat: ChatBody) -> ChatBody:
    return with_function(chat, ignore=request.app[SERVICE].offer.ignore_tools)


async def _answer(request: web.Request, chat: ChatBody, voice: Voice) -> web.StreamResponse:
    """What was asked, answered by the model that it names."""
    service, name = request.app[SERVICE], chat.request.model
    if name not in service.offer.workflows:
        return await _call(request, chat, voice)
    check_options(chat.request.options)
    workflow = answering(service.offer.workflows[name], chat)
    asked = asked_of(chat)
    stream = workflow.stream(asked.task, inputs=asked.inputs, direct=asked.direct)
    with service.runs.place() as place:
        carrying = Carrying(stream, place, voice, service.carrying, whole=workflow.shape is not None)
        return await carrying.give(request, stream=chat.stream)


async def _call(request: web.Request, chat: ChatBody, voice: Voice) -> web.StreamResponse:
    """What was asked, answered by one call of a model that is no workflow."""
    service, door = request.app[SERVICE], request.app[SERVICE].offer.door
    models = door.models(chat.request.model) if door else None
    if door is None or models is None:
        raise _unknown(service, chat.request.model)
    asked, reuse = request_of(chat, models), _reuses(request)
    desk = await door.desk(request[CLIENT])
    with service.calls.place() as place:
        calling = Calling(desk, models, asked, place, voice, reuse=reuse)
        return await calling.give(request, stream=chat.stream)


def _reuses(request: web.Request) -> bool:
    """Whether a client wants replies that were recorded."""
    wanted = request.headers.get(REUSE, "off")
    if wanted not in {"off", "store"}:
        raise BadBodyError(f"{REUSE} is store or off", REUSE)
    return wanted == "store"


async def _closed(app: web.Application) -> AsyncIterator[None]:
    """What the server carries, and what came through the door, is closed with the application."""
    service = app[SERVICE]
    async with _cluster(service) as service.cluster:
        yield
        await app[HOSTING].close()
        if door := app[SERVICE].offer.door:
            await door.close()


@asynccontextmanager
async def _cluster(service: Service) -> AsyncIterator[Cluster | None]:
    """Workers on other machines, if the store is one that they reach; what others want of our runs is heard in turn."""
    if not isinstance(location := service.offer.store, Server):
        yield None
        return
    async with Cluster(location) as found:
        ears = asyncio.create_task(obey(location, service.stream, service.stop_run), name="stretto-ears")
        try:
            yield found
        finally:
            ears.cancel()
            await asyncio.wait([ears])
