"""Doing one subtask: whatever happens is its result."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext

from stretto import events as e
from stretto import prompts
from stretto.engine.caller import Errand
from stretto.engine.means import Means
from stretto.engine.requests import repetition_of, role_of, sample_of
from stretto.engine.results import lacking, unasked, unpaid
from stretto.engine.urgencies import Urgencies
from stretto.engine.work import verified, work
from stretto.plan.book import PlanBook
from stretto.types import Definition, Result, Role, Subtask

Within = Callable[[Subtask, Role, Sequence[tuple[Subtask, Result]]], Awaitable[Result]]
"""Has a subtask done by the workflow that its role names."""


class Performing:
    """Does the subtasks of one plan, each as soon as what it needs is there.

    `path`: the subtask that has this plan, with a slash behind it; empty for the run's own. `within` does those whose
    worker is a workflow.
    """

    def __init__(
        self,
        means: Means,
        definition: Definition,
        task: str,
        path: str,
        book: PlanBook,
        within: Within,
    ) -> None:
        self._means = means
        self._definition = definition
        self._task = task
        self._path = path
        self._book = book
        self._within = within
        self._basis = means.journal.run.basis
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
        journal = self._means.journal
        journal.append(
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
        await journal.settled()  # what others build on is on the disk
        return result

    async def _result(self, subtask: Subtask) -> tuple[Result, float]:
        """The result of a subtask, and how many seconds its calls took."""
        full = self._path + subtask.id
        if full in self._means.given:
            return self._means.given[full], 0.0
        if refusal := self._book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal), 0.0
        deadline = self._means.deadline
        try:
            async with deadline.work() if deadline else nullcontext():
                needs = [need for need in subtask.needs if need in self._performing]
                needed = [(self._book[need], await asyncio.shield(self._performing[need])) for need in needs]
        except TimeoutError:
            self._means.setbacks.cut()
            return unasked(subtask.id), 0.0
        role, head = role_of(self._definition, subtask), self._means.heads.of(subtask.reads)
        if (lacks := lacking(role, subtask, needed)) is not None:
            return lacks, 0.0
        self._means.journal.append(e.SubtaskStarted(subtask=full))
        sample = sample_of(self._basis, full)
        if subtask.round > 1:
            sample += repetition_of(subtask, self._book.subtasks)
        errand = Errand("worker", self._urgencies.of(subtask.id), full, subtask.value)
        if role.workflow is not None:
            began = asyncio.get_running_loop().time()
            result = await self._within(subtask, role, needed)
            seconds = asyncio.get_running_loop().time() - began
            if result.verdict is not None:  # what is known to lack something is doubtful anyway
                return result, seconds
            asking = verified(self._definition, self._task, subtask, needed, result, sample, head)
            checked, more = await self._means.inquiry.answer(asking, errand)
            return checked, seconds + more
        asking = work(self._definition, self._task, subtask, needed, sample, head)
        return await self._means.inquiry.answer(asking, errand)

    def _keep(self, result: Result, subtask: Subtask, instead_of: Result | None = None) -> None:
        """The run's synthesizer will read this, which must be paid for, too; others are paid like workers."""
        account = self._means.account
        if account.limited and not self._path:
            before = _told(subtask, instead_of) if instead_of else ""
            account.keep(_told(subtask, result), instead_of=before)


def _told(subtask: Subtask, result: Result) -> str:
    """What the synthesizer reads of a subtask."""
    return "\n".join(prompts.result_text(subtask, result))
