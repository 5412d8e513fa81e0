"""The spine: plan, dispatch, collect, synthesize."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, nullcontext

from msgspec import Struct

from stretto import prompts
from stretto.engine.answering import Answer, Answering
from stretto.engine.asking import Said
from stretto.engine.caller import Errand
from stretto.engine.condensing import condensed_for
from stretto.engine.means import Means
from stretto.engine.performing import Performing
from stretto.engine.planning import Planning
from stretto.engine.requests import part_task
from stretto.engine.results import result_said
from stretto.engine.urgencies import of_role
from stretto.errors import CallError, DeadlineError, PlanError, StoreError, StrettoError, cause_of
from stretto.runs import coverage_of
from stretto.types import Coverage, Definition, Result, Role, Subtask, Verdict


class Carried(Struct, frozen=True):
    """What a task came to: its answer, and what that rests on."""

    answer: Answer
    coverage: Coverage


class Spine:
    """Carries a task from its plan to its answer: that of the run or, with a `path`, a part of it."""

    def __init__(self, means: Means, definition: Definition, task: str, path: str = "") -> None:
        self._means = means
        self._definition = definition
        self._path = path
        self._task = task
        self.plan = Planning(means, definition, task, path)
        self._ready: list[Subtask] = []  # planned, and not begun
        self._unplanned: StrettoError | None = None  # why there is no plan
        self._work = Performing(means, definition, task, path, self.plan.book, self._within)

    async def prepare(self) -> None:
        """Have the first round of the plan made, and begin nothing of it."""
        await self._read(self._ready.append)

    async def carry(self) -> Carried:
        """From the task, or the plan that was prepared, to the answer; raises what makes an answer impossible."""
        plan, work = self.plan, self._work
        while self._ready or (plan.goes_on and not self._late()):
            async with asyncio.TaskGroup() as workers:
                await self._dispatch(workers)
            if plan.goes_on and not self._late():
                await self._look_back()
        subtasks, results, state = plan.book.subtasks, work.results, plan.state or "complete"
        answering = Answering(self._means, self._definition, self._task, self._path)
        answer = await answering.answer(subtasks, results, state, self._unplanned)
        degraded = self._means.journal.fold.degraded
        coverage = coverage_of(
            subtasks,
            results,
            state,
            answer.state,
            degraded,
            condensed=answer.condensed,
            unread=answer.unread,
            direct=answer.direct,
        )
        return Carried(answer, coverage)

    def _late(self) -> bool:
        """Whether the deadline leaves no time for a further round; if so, it is told."""
        deadline = self._means.deadline
        late = deadline is not None and deadline.passed and self.plan.begun
        if late:
            self._means.setbacks.degrade("deadline", "no_round", "no further round is planned")
        return late

    async def _look_back(self) -> None:
        """Let the orchestrator see what there is so far, as far as it can take it in."""
        definition, plan, role = self._definition, self.plan, self._definition.orchestrator
        assert role is not None  # noqa: S101 - without one there is one round
        results, subtasks = self._work.results, plan.book.subtasks
        asking = condensed_for(definition, role, plan.next_request, self._task, subtasks, results)
        short, _ = await self._means.inquiry.answer(asking, Errand("worker", of_role("orchestrator")), self._path)
        plan.see(short.shown, short.changed)

    async def _dispatch(self, workers: asyncio.TaskGroup) -> None:
        """Start each subtask at the moment it is planned, or at once if it is."""
        if ready := self._ready:
            self._ready = []
            for subtask in ready:
                self._work.start(subtask, workers)
            return
        await self._read(lambda subtask: self._work.start(subtask, workers))

    async def _read(self, take: Callable[[Subtask], None]) -> None:
        """Take each subtask of a round at the moment it is planned."""
        deadline, setbacks = self._means.deadline, self._means.setbacks
        try:
            async with deadline.work() if deadline else nullcontext(), aclosing(self.plan.subtasks()) as plan:
                async for subtask in plan:
                    take(subtask)
        except TimeoutError:
            if not self.plan.book.listed:
                raise DeadlineError(setbacks.late("before there was a plan")) from None
            for subtask in self.plan.stop("the deadline came before the plan was whole"):
                take(subtask)
            setbacks.degrade("deadline", "half_planned", "the plan is taken as far as it was written")
        except (PlanError, CallError) as error:  # then the task is answered directly, if that can be
            self._unplanned = error
            self.plan.stop(str(error))

    async def _within(self, subtask: Subtask, role: Role, needed: Sequence[tuple[Subtask, Result]]) -> Result:
        """Have a subtask done by a workflow, as a task of its own; whatever happens is its result."""
        assert role.workflow is not None  # noqa: S101 - whoever asks has looked
        task, deadline = part_task(role, self._task, subtask, needed), self._means.deadline
        spine = Spine(self._means, role.workflow, task, f"{self._path}{subtask.id}/")
        try:
            async with deadline.work() if deadline else nullcontext():
                carried = await spine.carry()
        except TimeoutError:
            self._means.setbacks.cut()
            error = "the deadline came before its workflow had an answer"
            return Result(subtask.id, "cut", self._done_within(subtask), error)
        except Exception as failure:  # noqa: BLE001 - what is no fault of the workflow's is raised again
            return _failed(subtask.id, cause_of(failure))
        verdict: Verdict | None = None if carried.coverage.complete else "unchecked"
        return Result(subtask.id, "done", carried.answer.text, verdict=verdict, remark=_gaps(carried.coverage))

    def _done_within(self, subtask: Subtask) -> str:
        """What its workflow has of a subtask that is cut: the results that are whole, which are paid for."""
        part = self._means.journal.run.part(f"{self._path}{subtask.id}")
        done = [each for each in part.plan.subtasks if each.id in part.results and part.results[each.id].text.strip()]
        done = [each for each in done if part.results[each.id].outcome == "done"]
        return prompts.joined_text(done, part.results, "complete").strip() if done else ""


def _failed(subtask: str, cause: BaseException) -> Result:
    """The result of a subtask whose workflow has none; what is no fault of the workflow's is raised."""
    if isinstance(cause, StoreError) or not isinstance(cause, StrettoError):
        raise cause
    return result_said(subtask, Said(error=cause))


def _gaps(coverage: Coverage) -> str:
    """What the answer of a workflow lacks, in few words."""
    if coverage.complete:
        return ""
    gaps = [f"{missing.subtask} ({missing.type}) is {missing.outcome}" for missing in coverage.missing]
    gaps += [f"{doubtful.subtask} ({doubtful.type}) is doubtful" for doubtful in coverage.doubtful]
    gaps += ["the end of its plan is missing"] if coverage.plan != "complete" else []
    gaps += [f"its answer is {coverage.answer}"] if coverage.answer != "complete" else []
    if coverage.direct:
        return f"answered directly, without its subtasks: {coverage.direct}"
    return f"of its own {sum(coverage.counts.values())} subtasks: {', '.join(gaps)}"
