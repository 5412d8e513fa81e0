"""A plan, round by round: what is asked for it, and asking once for the rest of one that did not arrive whole."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Container, Iterator, Mapping
from contextlib import aclosing

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import Transcript, fingerprint
from stretto.engine.caller import PLAN, Caller, Errand
from stretto.engine.condensing import condensed_for
from stretto.engine.inquiry import Inquiry
from stretto.engine.intake import Intake
from stretto.engine.requests import (
    again_request,
    plan_request,
    planner_of,
    rest_of_plan,
    round_request,
    sample_of,
)
from stretto.engine.urgencies import of_role
from stretto.errors import PlanError
from stretto.plan.given import fixed_plan
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.types import Basis, Definition, Head, Plan, PlanState, Request, Result, Subtask

_BREATH = 64  # subtasks of a given plan that are taken in without a pause


class Planning:
    """A plan, round by round: `subtasks()` yields each one at the moment its line is complete.

    `book` holds those taken in. What was planned `before`, in earlier executions, is taken as given. With a `path` it
    is the plan of a workflow that does a subtask. `replies`: the fingerprints of those there are already; `most`:
    subtasks of the whole run.
    """

    def __init__(
        self,
        definition: Definition,
        task: str,
        path: str,
        *,
        before: Run,
        head: Head | None,
        replies: Container[str],
        most: int,
        caller: Caller,
        inquiry: Inquiry,
        journal: Journal,
    ) -> None:
        self._definition = definition
        self._task = task
        self._path, self._within = path, path.rstrip("/")
        self._caller = caller
        self._inquiry = inquiry
        self._journal = journal
        self._replies = replies
        self._urgency = urgency = of_role("orchestrator")
        self._errand = Errand("worker", urgency, self._within, part=PLAN) if path else Errand("orchestrator", urgency)
        self._before = before.part(self._within).plan
        self._executions = before.executions
        self._withdrawn = () if path else before.withdrawn
        self._sample = sample_of(before.basis, f"{path}orchestrator")
        self._head = head
        self._given = self._given_plan(before.basis)
        self._results: Mapping[str, Result] = {}
        self._condensed: Collection[str] = ()
        known = [subtask for subtask in self._before.subtasks if subtask.round == 1]
        self._intake = Intake(definition, journal, path, most, known)
        self.book = self._intake.book

    @property
    def state(self) -> PlanState | None:
        """How whole the plan of the round is; None until nothing will be added to it."""
        return self._intake.state

    @property
    def begun(self) -> bool:
        """Whether there was a round."""
        return self._intake.round > 0

    @property
    def goes_on(self) -> bool:
        """Whether there may be subtasks in a further round."""
        intake = self._intake
        if intake.round == 0:
            return True
        if self._given is not None or intake.round >= self._definition.limits.rounds or self.state != "complete":
            return False
        return any(s.round == intake.round for s in self.book.subtasks) and not intake.full

    async def look_back(self, results: Mapping[str, Result]) -> None:
        """Let the orchestrator see what all subtasks so far came to, as far as it can take it in."""
        asking = condensed_for(
            self._definition,
            planner_of(self._definition),
            lambda found: self._request(self._intake.round + 1, found),
            self._task,
            self.book.subtasks,
            results,
        )
        short, _ = await self._inquiry.answer(asking, Errand("worker", self._urgency), self._path)
        self._results, self._condensed = short.shown, short.changed

    async def subtasks(self) -> AsyncGenerator[Subtask, None]:
        """Every subtask of the next round; raises `PlanError` if there is no plan to be had."""
        self._begin()
        intake = self._intake
        for subtask in intake.planned:
            yield subtask
        if self.state is not None:
            return
        if (given := self._given) is not None:
            for subtask in given.subtasks[len(self.book.subtasks) :]:
                if intake.full:
                    break
                self.book.go_on([subtask])
                yield intake.tell(subtask)
                if self.book.listed % _BREATH == 0:  # who reads the events, and the calls, go on meanwhile
                    await asyncio.sleep(0)
            whole = len(self.book.subtasks) >= len(given.subtasks)
            intake.state, intake.analysis = given.state if whole else "bounded", given.analysis
            self._finish()
            return
        for request in self._requests():
            transcript = Transcript()
            reply = self._caller.ask(self._errand, planner_of(self._definition), request, transcript)
            async with aclosing(intake.read(reply, transcript)) as subtasks:
                async for subtask in subtasks:
                    yield subtask
        if self.state is None and not self.book.subtasks:
            raise PlanError("the orchestrator wrote no plan that can be read: " + "; ".join(intake.remarks[-2:]))
        self._finish()

    def stop(self, why: str) -> list[Subtask]:
        """Take the plan as it is, because nothing more of it is waited for; the subtasks that were held back."""
        if self.state is not None:
            return []
        intake = self._intake
        held = intake.settle()
        intake.remarks.append(why)
        self._finish()
        return held

    def _given_plan(self, basis: Basis) -> Plan | None:
        """The plan that nobody is asked for, if there is one."""
        fixed = fixed_plan(self._definition, basis.inputs)
        if self._path and fixed is None and basis.plans:
            return basis.plans.get(fingerprint(self._first_request))
        return fixed if self._path or basis.plan is None else basis.plan

    def _begin(self) -> None:
        """The next round: what is known of it from an earlier execution, and nothing else yet."""
        intake, before = self._intake, self._before
        intake.begin()
        self.book.reopen({id_ for id_, result in self._results.items() if result.outcome != "done"})
        self.book.go_on(s for s in before.subtasks if s.round == intake.round)
        over = before.rounds >= intake.round
        # What was missing of it then (a deadline may have come) is asked for now. Of an earlier round nothing was.
        intake.state = ("complete" if before.rounds > intake.round else before.state) if over else None
        if intake.state == "incomplete":
            intake.state = None

    def _finish(self) -> None:
        intake = self._intake
        intake.state = intake.state or "incomplete"
        self._journal.append(
            e.PlanFinished(
                state=intake.state,
                subtasks=len(intake.planned),
                analysis=intake.analysis,
                remarks=tuple(intake.remarks),
                round=intake.round,
                within=self._within,
            )
        )

    @property
    def _first_request(self) -> Request:
        return plan_request(self._definition, self._task, self._sample, self._head)

    def _request(self, number: int, results: Mapping[str, Result], condensed: Collection[str] = ()) -> Request:
        """What the orchestrator is asked for a round."""
        request = self._first_request
        for withdrawn in self._withdrawn:
            request = again_request(request, withdrawn.plan, withdrawn.remark)
        if number == 1:
            return request
        earlier = [subtask for subtask in self.book.subtasks if subtask.round < number and subtask.id in results]
        return round_request(request, earlier, results, number, self._definition.limits.rounds, condensed)

    def _requests(self) -> Iterator[Request]:
        """What the orchestrator is asked: for its plan; then, if it is not whole, once for the rest of it."""
        intake = self._intake
        request, replies = self._request(intake.round, self._results, self._condensed), self._replies
        if not intake.planned or fingerprint(request) in replies:
            yield request
        if intake.state is None:
            rest = rest_of_plan(request, intake.planned)
            again = fingerprint(rest) in replies
            unread, known = intake.unread, len(intake.planned)
            yield rest
            if intake.state == "complete" and len(intake.planned) - known < unread:
                intake.state = "incomplete"
                intake.remarks.append(f"{unread} entries could not be read, and the repair did not bring them all")
            if again and intake.state is None and not self.book.subtasks:
                # An earlier execution ended on just these replies; to read them once more would change nothing.
                yield replace(request, sample=request.sample + self._executions)
