"""Steering a run, wherever it is carried: what is decided about its plan, one subtask stopped or asked anew."""

import asyncio
from typing import Any

from aiohttp import web
from msgspec import Struct

from stretto.cluster.orders import Order
from stretto.engine.approving import withdrawal
from stretto.errors import RunBusy, TaskError
from stretto.proposal import Again, Answer, Decision, Drop, Edit, Stop
from stretto.runs import Run
from stretto.server.endpoint.api import answer, body_of, known, read_as, run_of, store_of
from stretto.server.endpoint.hosting import HOSTING
from stretto.server.endpoint.service import SERVICE
from stretto.server.refused import BadBodyError, RefusedError, conflict, not_found
from stretto.types.definitions import definition_of


class Anew(Struct, forbid_unknown_fields=True, kw_only=True):
    """A subtask is asked anew; `remark`: what is to be different, which its prompt says."""

    remark: str = ""


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/api/runs/{run}/proposal", _proposal),
        web.post("/api/runs/{run}/answer", _answer),
        web.post("/api/runs/{run}/subtasks/{subtask:.+}/stop", _stop),
        web.post("/api/runs/{run}/subtasks/{subtask:.+}/again", _again),
    ]


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
