"""Putting a plan before somebody: nothing of it is begun before the decision."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from stretto import events as e
from stretto.engine.deadline import Deadline
from stretto.engine.spine import Spine
from stretto.errors import TaskError
from stretto.ground.text import clean
from stretto.plan.given import given_plan
from stretto.proposal import Again, Decision, Drop, Edit, Go, Leave, Stop, without
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.types import Definition, Plan

Consider = Callable[[Plan], Awaitable[Decision]]
"""Decides about a plan."""


async def approved(
    consider: Consider, new: Callable[[], Spine], definition: Definition, journal: Journal, deadline: Deadline
) -> Spine | None:
    """The spine that has prepared the plan which may be carried out; None if the run is to stop there.

    `new` makes a spine that begins where the journal stands. A plan that is not wanted is withdrawn there, in one event
    with what is to take its place, so that whoever is killed goes on with the one or the other.
    """
    while True:
        spine = new()
        await spine.prepare()
        await journal.settled()
        with deadline.paused():
            decision = await consider(journal.run.plan)
        match decision:
            case Go():
                journal.append(e.PlanApproved())
                return spine
            case Stop():
                journal.append(e.RunInterrupted(reason="stopped at its plan", code="stopped"))
                await journal.settled()
                return None
            case Leave():
                return None
            case _:
                journal.append(withdrawal(decision, journal.run, definition))


def withdrawal(decision: Edit | Drop | Again, run: Run, definition: Definition) -> e.PlanWithdrawn:
    """What the log says of a plan that is not wanted; raises `TaskError` if there cannot be another."""
    if run.basis.only:
        raise TaskError("a rerun of some subtasks (only) takes its plan as it is; go, stop, or rerun all of it")
    match decision:
        case Edit() if run.basis.each:
            raise TaskError("edit: the plan of a map is its list; go, drop some of its rows, or stop and edit the list")
        case Edit(plan):
            return e.PlanWithdrawn(reason="edited", plan=given_plan(plan, definition, "edited plan"))
        case Drop(ids):
            names = (ids,) if isinstance(ids, str) else tuple(ids)
            return e.PlanWithdrawn(reason=f"without {', '.join(names)}", plan=without(run.plan, names))
        case Again(remark):
            if definition.orchestrator is None:
                raise TaskError("again: this workflow has no orchestrator to ask; edit the plan")
            if not remark.strip():
                raise TaskError("again: the remark is empty; say what is to be different")
            return e.PlanWithdrawn(reason="asked for again", remark=clean(remark.strip()))
        case _:
            assert_never(decision)
