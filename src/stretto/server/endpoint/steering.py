"""Steering a run that is carried here: what is decided about its plan."""

import asyncio
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from stretto.definitions import definition_of
from stretto.engine.approving import withdrawal
from stretto.errors import TaskError
from stretto.models.simulator.refusals import Refusal
from stretto.plan.given import PlanFile
from stretto.proposal import Again, Decision, Drop, Edit, Go, Stop
from stretto.runs import Run
from stretto.server.endpoint.api import answer, known, run_of, store_of
from stretto.server.endpoint.hosting import HOSTING
from stretto.server.endpoint.received import body_of, read_as
from stretto.server.endpoint.service import SERVICE
from stretto.server.refused import BadBodyError, RefusedError, conflict


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


def routes() -> list[web.RouteDef]:
    """The routes of this module."""
    return [
        web.get("/api/runs/{run}/proposal", _proposal),
        web.post("/api/runs/{run}/answer", _answer),
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
