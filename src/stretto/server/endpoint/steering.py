"""Steering a run that is carried here: what is decided about its plan, and one subtask stopped or asked anew."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from stretto.definitions import definition_of
from stretto.engine.approving import withdrawal
from stretto.errors import TaskError
from stretto.models.simulator.refusals import Refusal
from stretto.plan.given import PlanFile
from stretto.proposal import Again, Decision, Drop, Edit, Go, Stop
from stretto.run_stream import RunStream
from stretto.runs import Run
from stretto.server.endpoint.api import answer, known, run_of, store_of
from stretto.server.endpoint.hosting import HOSTING
from stretto.server.endpoint.received import body_of, read_as
from stretto.server.endpoint.service import SERVICE
from stretto.server.refused import BadBodyError, RefusedError, conflict
from stretto.store.sqlite import Store


class Answer(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is decided about a proposal; `edit` comes with a `plan`, `drop` with `ids`, `again` with a `remark`."""

    decision: Literal["go", "edit", "drop", "again", "stop"]
    plan: PlanFile | None = None
    ids: tuple[str, ...] = ()
    remark: str = ""

    def decided(self) -> Decision:
        """The decision itself; raises `BadBodyError` if it lacks its plan."""
        match self.decision:
            case "go":
                return Go()
            case "edit":
                if self.plan is None:
                    raise BadBodyError("plan: edit comes with the plan that is to be carried out", "plan")
                return Edit(self.plan)
            case "drop":
                return Drop(self.ids)
            case "again":
                return Again(self.remark)
            case "stop":
                return Stop()


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
    approver = request.app[HOSTING].approver(run)
    if approver is None or approver.proposal is None:
        await asyncio.to_thread(known, store, run)
        message = f"no plan of run {run} waits for an answer here"
        raise RefusedError(Refusal(404, "invalid_request_error", "no_proposal", message))
    return answer(approver.proposal)


async def _answer(request: web.Request) -> web.Response:
    run, store, asked = run_of(request), store_of(request), read_as(Answer, await body_of(request))
    decision, approver = asked.decided(), request.app[HOSTING].approver(run)
    if approver is None or approver.proposal is None:
        await asyncio.to_thread(known, store, run)
        raise conflict("nothing_waits", f"no plan of run {run} waits for an answer here")
    service = request.app[SERVICE]
    if isinstance(decision, Edit | Drop | Again):
        _check(decision, service.carried[run].stream.run)
    approver.answer(decision, None if isinstance(decision, Stop) else service.runs.place())
    return answer({"run": run, "decision": asked.decision}, 202)


def _check(decision: Edit | Drop | Again, run: Run[Any]) -> None:
    """Raise `BadBodyError` for what would end the run with an error."""
    try:
        withdrawal(decision, run, definition_of(run.workflow))
    except TaskError as error:
        raise BadBodyError(str(error)) from error


async def _stop(request: web.Request) -> web.Response:
    stream = await _carried(request, store_of(request), run_of(request))
    return _steered(request, stream.stop_subtask, stream)


async def _again(request: web.Request) -> web.Response:
    run, store, asked = run_of(request), store_of(request), read_as(Anew, await body_of(request))
    stream = await _carried(request, store, run)
    return _steered(request, lambda subtask: stream.again(subtask, asked.remark), stream)


async def _carried(request: web.Request, store: Store, run: str) -> RunStream[Any]:
    """The stream of a run that is carried here; raises `RefusedError` if it is not."""
    carried = request.app[SERVICE].carried.get(run)
    if carried is None or not await carried.begun():
        await asyncio.to_thread(known, store, run)
        raise conflict("not_carried_here", f"run {run} is not carried here; none of its subtasks can be steered")
    return carried.stream


def _steered(request: web.Request, steer: Callable[[str], None], stream: RunStream[Any]) -> web.Response:
    """What is said of a subtask that was steered."""
    subtask = request.match_info["subtask"]
    within, _, own = subtask.rpartition("/")
    if own not in {each.id for each in stream.run.part(within).plan.subtasks}:
        message = f"there is no subtask {subtask[:80]!r} in the plan of this run"
        raise RefusedError(Refusal(404, "invalid_request_error", "subtask_not_found", message))
    try:
        steer(subtask)
    except TaskError as error:
        raise conflict("not_steered", str(error)) from error
    return answer({"run": stream.run_id, "subtask": subtask}, 202)
