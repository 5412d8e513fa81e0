"""Executing a run: from wherever its journal stands to the answer."""

from collections.abc import Callable, Container, Mapping
from contextlib import aclosing, nullcontext

from stretto import events as e
from stretto.calls import Model
from stretto.engine.approving import Consider, approved
from stretto.engine.means import means_of
from stretto.engine.spine import Spine
from stretto.errors import DeadlineError
from stretto.policies.account import Account
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
    `began`: when the time until the deadline did, if not now.
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
    ) -> None:
        self._journal = journal
        self._means = means_of(definition, journal, model, account, replies, given or {}, shape, began)
        self._deadline = self._means.deadline
        self._definition = definition
        self._consider = consider
        self._spine = self._new_spine()

    def heard(self, call: str) -> int:
        """The characters that a call in flight has been answered with so far."""
        transcript = self._means.caller.under_way.get(call)
        return transcript.letters if transcript else 0

    async def execute(self) -> None:
        """From the task to the answer, unless it is stopped at its plan; raises what makes an answer impossible."""
        try:
            if self._consider is not None:
                spine = await approved(self._consider, self._new_spine, self._means, self._definition)
                if spine is None:
                    return
                self._spine = spine
            carried = await self._spine.carry()
        finally:
            if self._deadline:
                self._deadline.close()
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
                assumed=self._means.account.assumed,
            )
        )
        await self._journal.settled()

    def _new_spine(self) -> Spine:
        return Spine(self._means, self._definition, self._journal.run.task)

    async def plan(self) -> None:
        """From the task to its plan; to execute the run is to go on with it."""
        deadline = self._deadline
        try:
            async with deadline.work() if deadline else nullcontext(), aclosing(self._spine.plan.subtasks()) as plan:
                async for _ in plan:
                    pass
        except TimeoutError:
            raise DeadlineError(self._means.setbacks.late("before the plan was whole")) from None
        finally:
            if deadline:
                deadline.close()
        self._journal.append(e.RunInterrupted(reason=PLANNED))
        await self._journal.settled()
