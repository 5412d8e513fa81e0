"""Doing one subtask: whatever happens is its result."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from stretto import events as e
from stretto import prompts
from stretto.engine.caller import Errand
from stretto.engine.deadline import Deadline
from stretto.engine.inquiry import Inquiry
from stretto.engine.requests import part_task, repetition_of, role_of, sample_of
from stretto.engine.results import lacking, unasked, unpaid
from stretto.engine.setbacks import Setbacks
from stretto.engine.urgencies import Urgencies
from stretto.engine.work import verified, work
from stretto.head import Heads
from stretto.plan.book import PlanBook
from stretto.policies.account import Account
from stretto.store.journal import Journal
from stretto.types import Basis, Definition, Result, Role, Subtask


class Performing:
    """Does the subtasks of one plan, each as soon as what it needs is there.

    `path`: the subtask that has this plan, with a slash behind it; empty for the run's own. `within` has a subtask of
    this name done by a workflow, for which it is this task. `given`: results of subtasks that are not computed.
    """

    def __init__(
        self,
        definition: Definition,
        task: str,
        path: str,
        book: PlanBook,
        *,
        basis: Basis,
        heads: Heads,
        given: Mapping[str, Result],
        inquiry: Inquiry,
        within: Callable[[Definition, str, str], Awaitable[Result]],
        journal: Journal,
        account: Account,
        deadline: Deadline,
        setbacks: Setbacks,
    ) -> None:
        self._definition = definition
        self._task = task
        self._path = path
        self._book = book
        self._basis = basis
        self._heads = heads
        self._given = given
        self._inquiry = inquiry
        self._within = within
        self._journal = journal
        self._account = account
        self._deadline = deadline
        self._setbacks = setbacks
        self._urgencies = Urgencies()
        self._performing: dict[str, asyncio.Task[Result]] = {}

    @property
    def results(self) -> Mapping[str, Result]:
        """What the subtasks came to; all of them must be over."""
        return {subtask: task.result() for subtask, task in self._performing.items()}

    def start(self, subtask: Subtask, workers: asyncio.TaskGroup) -> None:
        """Begin with a subtask that was planned."""
        self._urgencies.plan(subtask)
        self._keep(unpaid(subtask.id), subtask)  # what is told of it, if nothing else can be
        self._performing[subtask.id] = workers.create_task(self._perform(subtask))

    async def _perform(self, subtask: Subtask) -> Result:
        result, seconds = await self._result(subtask)
        self._urgencies.finish(subtask, seconds)
        self._keep(result, subtask, instead_of=unpaid(subtask.id))
        self._journal.append(
            e.SubtaskFinished(
                subtask=self._path + subtask.id,
                outcome=result.outcome,
                text=result.text,
                error=result.error,
                verdict=result.verdict,
                remark=result.remark,
                tokens=result.tokens,
                code=result.code,
            )
        )
        await self._journal.settled()  # what others build on is on the disk
        return result

    async def _result(self, subtask: Subtask) -> tuple[Result, float]:
        """The result of a subtask, and how many seconds its calls took."""
        if (given := self._given.get(self._path + subtask.id)) is not None:
            return given, 0.0
        if refusal := self._book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal), 0.0
        try:
            async with self._deadline.work():
                needs = [need for need in subtask.needs if need in self._performing]
                needed = [(self._book[need], await asyncio.shield(self._performing[need])) for need in needs]
        except TimeoutError:
            self._setbacks.cut()
            return unasked(subtask.id), 0.0
        role = role_of(self._definition, subtask)
        if (lacks := lacking(role, subtask, needed)) is not None:
            return lacks, 0.0
        self._journal.append(e.SubtaskStarted(subtask=self._path + subtask.id))
        return await self._asked(subtask, role, needed)

    async def _asked(
        self, subtask: Subtask, role: Role, needed: Sequence[tuple[Subtask, Result]]
    ) -> tuple[Result, float]:
        """What whoever does a subtask makes of it."""
        full, head = self._path + subtask.id, self._heads.of(subtask.reads)
        sample = sample_of(self._basis, full) + repetition_of(subtask, self._book.subtasks)
        errand = Errand("worker", self._urgencies.of(subtask.id), full, subtask.value)
        if role.workflow is None:
            return await self._inquiry.answer(work(self._definition, self._task, subtask, needed, sample, head), errand)
        began = asyncio.get_running_loop().time()
        result = await self._within(role.workflow, part_task(role, self._task, subtask, needed), full)
        seconds = asyncio.get_running_loop().time() - began
        if result.verdict is not None:  # what is known to lack something is doubtful anyway
            return result, seconds
        asking = verified(self._definition, self._task, subtask, needed, result, sample, head)
        checked, more = await self._inquiry.answer(asking, errand)
        return checked, seconds + more

    def _keep(self, result: Result, subtask: Subtask, instead_of: Result | None = None) -> None:
        """The run's synthesizer will read this, which must be paid for, too; others are paid like workers."""
        if self._account.limited and not self._path:
            before = _told(subtask, instead_of) if instead_of else ""
            self._account.keep(_told(subtask, result), instead_of=before)


def _told(subtask: Subtask, result: Result) -> str:
    """What the synthesizer reads of a subtask."""
    return "\n".join(prompts.result_text(subtask, result))
