"""The spine: plan, dispatch, collect, synthesize."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from msgspec import Struct

from stretto.engine.answering import Answer, Answering
from stretto.engine.deadline import Deadline
from stretto.engine.performing import Performing
from stretto.engine.planning import Planning
from stretto.engine.setbacks import Setbacks
from stretto.errors import CallError, DeadlineError, PlanError, StrettoError
from stretto.ground.turns import my_turn
from stretto.runs import coverage_of
from stretto.types import Coverage, Subtask


class Carried(Struct, frozen=True):
    """What a task came to: its answer, and what that rests on."""

    answer: Answer
    coverage: Coverage


class Spine:
    """Carries a task from its plan to its answer: that of the run, or of a workflow that does a subtask."""

    def __init__(
        self, plan: Planning, work: Performing, answering: Answering, deadline: Deadline, setbacks: Setbacks
    ) -> None:
        self.plan = plan
        self._work = work
        self._answering = answering
        self._deadline = deadline
        self._setbacks = setbacks
        self._ready: list[Subtask] = []  # planned, and not begun
        self._unplanned: StrettoError | None = None  # why there is no plan

    async def prepare(self) -> None:
        """Have the first round of the plan made, and begin nothing of it."""
        await self._read(self._ready.append)

    async def carry(self) -> Carried:
        """From the task, or the plan that was prepared, to the answer; raises what makes an answer impossible."""
        plan, work = self.plan, self._work
        while self._ready or (plan.goes_on and not self._late()):
            async with asyncio.TaskGroup() as workers:  # which are collected where it ends
                await self._dispatch(workers)
            if plan.goes_on and not self._late():
                await plan.look_back(work.results)
        return await self._synthesize()

    async def _dispatch(self, workers: asyncio.TaskGroup) -> None:
        """Start each subtask at the moment it is planned, or at once if it is."""
        ready, self._ready = self._ready, []
        for subtask in ready:
            self._work.start(subtask, workers)
        if not ready:
            with self._work.planning():
                await self._read(lambda subtask: self._work.start(subtask, workers))

    async def _read(self, take: Callable[[Subtask], None]) -> None:
        """Take each subtask of a round at the moment it is planned."""
        try:
            async with self._deadline.work(), aclosing(self.plan.subtasks()) as subtasks:
                async for subtask in subtasks:
                    take(subtask)
        except TimeoutError:
            if not self.plan.book.listed:
                raise DeadlineError(self._setbacks.late("before there was a plan")) from None
            for subtask in self.plan.stop("the deadline came before the plan was whole"):
                take(subtask)
            self._setbacks.degrade("deadline", "half_planned", "the plan is taken as far as it was written")
        except (PlanError, CallError) as error:  # then the task is answered directly, if that can be
            self._unplanned = error
            self.plan.stop(str(error))

    async def _synthesize(self) -> Carried:
        await my_turn()
        subtasks, results, state = self.plan.book.subtasks, self._work.results, self.plan.state or "complete"
        answer = await self._answering.answer(subtasks, results, state, self._unplanned)
        coverage = coverage_of(
            subtasks,
            results,
            state,
            answer.state,
            self._setbacks.told,
            condensed=answer.condensed,
            unread=answer.unread,
            direct=answer.direct,
        )
        return Carried(answer, coverage)

    def _late(self) -> bool:
        """Whether the deadline leaves no time for a further round; if so, it is told."""
        late = self._deadline.passed and self.plan.begun
        if late:
            self._setbacks.degrade("deadline", "no_round", "no further round is planned")
        return late
