"""Executing a run: from wherever its journal stands to the answer."""

import asyncio
from collections.abc import Callable, Container, Mapping
from contextlib import aclosing

from stretto import events as e
from stretto.calls import Model
from stretto.engine.answering import Answering
from stretto.engine.approving import Consider, approved
from stretto.engine.caller import Caller
from stretto.engine.deadline import Deadline
from stretto.engine.inquiry import Inquiry
from stretto.engine.performing import Performing
from stretto.engine.planning import Planning
from stretto.engine.setbacks import Setbacks
from stretto.engine.shaping import Shaping
from stretto.engine.spine import Spine
from stretto.engine.steering import Steering
from stretto.engine.within import Within
from stretto.errors import DeadlineError
from stretto.head import Heads
from stretto.policies.account import Account
from stretto.policies.estimate import most_output
from stretto.runs import Part
from stretto.shapes import Shape
from stretto.store.journal import Journal
from stretto.types import Definition, Result, Role

PLANNED = "only its plan was asked for"
"""Why a run ends that has a plan and was to have no more."""


class Execution:
    """One execution of a run: `execute` carries it to the answer.

    `model` gives the model of a role, policies included, which pay from `account`; `replies`: the fingerprints of the
    complete replies that this run has already; `given`: results of subtasks that are not computed; `shape`: that of the
    answer, if a Python type stands behind it. Every fact goes through `journal`. A model may say by a `DeadlineError`
    that the deadline came (in a replay it does). `consider` decides about the plan before anything of it is begun.
    `began`: when the time until the deadline did, if not now. `streamed`: workers are, too. `steering` stops subtasks,
    or has them asked anew.
    """

    def __init__(
        self,
        definition: Definition,
        journal: Journal,
        model: Callable[[Role], Model],
        account: Account,
        replies: Container[str],
        given: Mapping[str, Result] | None = None,
        shape: Shape | None = None,
        consider: Consider | None = None,
        began: float | None = None,
        *,
        streamed: bool = False,
    ) -> None:
        self._clock = asyncio.get_running_loop().time  # for those, too, who ask from another thread
        self._definition = definition
        self._journal = journal
        self._account = account
        self._replies = replies
        self._given = given or {}
        self._consider = consider
        self._before = journal.run
        self._heads = Heads(self._before.basis.inputs)
        self._deadline = _deadline(definition, began)
        self._setbacks = Setbacks(journal, self._deadline)
        self._caller = Caller(journal, model, account, self._deadline, streamed=streamed)
        self.steering = Steering(journal, self._caller)
        self._shaping = Shaping(self._caller, journal, replies, shape)
        self._inquiry = Inquiry(self._shaping, self._setbacks, self._deadline)
        self._within = Within(self._spine, self._part, self._deadline, self._setbacks)

    def heard(self, call: str) -> int:
        """The characters that a call in flight has been answered with so far."""
        transcript = self._caller.under_way.get(call)
        return transcript.letters if transcript else 0

    def replying(self, call: str) -> float | None:
        """Seconds since the reply to a call in flight began; None if it has not."""
        transcript = self._caller.under_way.get(call)
        if transcript is None or transcript.heard_at is None:
            return None
        return self._clock() - transcript.heard_at

    def saying(self, call: str) -> str:
        """What a call in flight has been answered so far."""
        transcript = self._caller.under_way.get(call)
        return transcript.text if transcript else ""

    async def execute(self) -> None:
        """From the task to the answer, unless it is stopped at its plan; raises what makes an answer impossible."""
        try:
            spine = await self._begun()
            if spine is None:
                return
            carried = await spine.carry()
        finally:
            self._close()
        fold, answer = self._journal.fold, carried.answer
        self._journal.append(
            e.RunFinished(
                answer=answer.text,
                usage=fold.usage,
                cost=fold.cost,
                saved=fold.saved,
                coverage=carried.coverage,
                citations=answer.citations,
                remarks=answer.remarks,
                assumed=self._account.assumed,
            )
        )
        await self._journal.settled()

    async def plan(self) -> None:
        """From the task to its plan; to execute the run is to go on with it."""
        try:
            async with self._deadline.work(), aclosing(self._own_spine().plan.subtasks()) as plan:
                async for _ in plan:
                    pass
        except TimeoutError:
            raise DeadlineError(self._setbacks.late("before the plan was whole")) from None
        finally:
            self._close()
        self._journal.append(e.RunInterrupted(reason=PLANNED))
        await self._journal.settled()

    def _close(self) -> None:
        self._deadline.close()
        self._within.close()

    async def _begun(self) -> Spine | None:
        """The spine of the run, its plan approved if somebody is to consider it; None if the run stops there."""
        if self._consider is None:
            return self._own_spine()
        return await approved(self._consider, self._own_spine, self._definition, self._journal, self._deadline)

    def _part(self, subtask: str) -> Part:
        """What a workflow within a subtask has come to so far."""
        return self._journal.run.part(subtask)

    def _own_spine(self) -> Spine:
        """The spine of the run's own task, from where the journal stands."""
        self._before = self._journal.run
        return self._spine(self._definition, self._before.task, "")

    def _spine(self, definition: Definition, task: str, path: str) -> Spine:
        """The spine of a task: the run's or, with the `path` of a subtask, one of a workflow within it."""
        journal, deadline, setbacks = self._journal, self._deadline, self._setbacks
        before = journal.run if path else self._before  # what does a subtask may begin a second time
        basis = before.basis
        plan = Planning(
            definition,
            task,
            path,
            before=before,
            head=self._heads.of(),
            replies=self._replies,
            most=self._definition.limits.max_subtasks,
            caller=self._caller,
            inquiry=self._inquiry,
            journal=journal,
        )
        work = Performing(
            definition,
            task,
            path,
            plan.book,
            heads=self._heads,
            given=self._given,
            inquiry=self._inquiry,
            within=self._within.result,
            journal=journal,
            account=self._account,
            deadline=deadline,
            setbacks=setbacks,
            said=self._caller.said,
        )
        self.steering.enter(path, work)
        answering = Answering(
            definition,
            task,
            path,
            basis=basis,
            heads=self._heads,
            inquiry=self._inquiry,
            shaping=self._shaping,
            journal=journal,
            deadline=deadline,
            setbacks=setbacks,
        )
        return Spine(plan, work, answering, deadline, setbacks)


def _deadline(definition: Definition, began: float | None) -> Deadline:
    limits, role = definition.limits, definition.synthesizer
    tokens = most_output(role.options) if role else None
    return Deadline(limits.deadline, merges=role is not None, answer_tokens=tokens, began=began)
