"""The spine: plan, dispatch, collect, synthesize."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Literal

from stretto import events as e
from stretto import prompts
from stretto.calls import KEPT, Model
from stretto.engine.caller import Caller, request_for
from stretto.engine.planning import Planning
from stretto.errors import CallError, WorkError
from stretto.plan.book import worker_for
from stretto.runs import coverage_of
from stretto.store.journal import Journal
from stretto.types import Definition, Reply, Request, Result, Role, Subtask

Answer = tuple[str, Literal["complete", "truncated"]]
"""A text, and whether it is whole."""


class Execution:
    """One execution of a run: `execute` carries it from wherever its journal stands to the answer.

    `model` gives the model of a role, policies included; `replies` holds the complete replies this run has already, by
    fingerprint. Every fact goes through `journal`.
    """

    def __init__(
        self, definition: Definition, journal: Journal, model: Callable[[str], Model], replies: Mapping[str, Reply]
    ) -> None:
        self._definition = definition
        self._task = journal.run.task
        self._journal = journal
        self._caller = Caller(journal, model)
        self._plan = Planning(definition, journal, self._caller, replies)
        self._performing: dict[str, asyncio.Task[Result]] = {}
        self._errors: list[CallError] = []

    async def execute(self) -> None:
        """From the task to the answer; raises what makes an answer impossible."""
        async with asyncio.TaskGroup() as workers, aclosing(self._plan.subtasks()) as plan:
            async for subtask in plan:
                self._performing[subtask.id] = workers.create_task(self._perform(subtask))
        results = {subtask: task.result() for subtask, task in self._performing.items()}
        answer, finish = await self._answer(results)
        self._journal.append(
            e.RunFinished(
                answer=answer,
                usage=self._journal.fold.usage,
                cost=self._journal.fold.cost,
                saved=self._journal.fold.saved,
                coverage=coverage_of(self._plan.book.subtasks, results, self._plan.state or "complete", finish),
            )
        )
        await self._journal.settled()

    async def _perform(self, subtask: Subtask) -> Result:
        """Do one subtask as soon as what it needs is there; whatever happens is its result."""
        result = await self._result(subtask)
        self._journal.append(
            e.SubtaskFinished(subtask=subtask.id, outcome=result.outcome, text=result.text, error=result.error)
        )
        await self._journal.settled()  # what others build on is on the disk
        return result

    async def _result(self, subtask: Subtask) -> Result:
        if refusal := self._plan.book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal)
        needed = [(self._plan.book[need], await asyncio.shield(self._performing[need])) for need in subtask.needs]
        for need, result in needed:
            if result.outcome != "done":
                return Result(subtask.id, "skipped", error=f"it needs {need.id!r}, which is {result.outcome}")
        self._journal.append(e.SubtaskStarted(subtask=subtask.id))
        role = self._definition.workers[worker_for(subtask.type, self._definition.workers) or subtask.type]
        request = request_for(role, prompts.worker_prompt(role, self._task, subtask, needed))
        try:
            text, finish = await self._caller.collect("worker", role, request, subtask=subtask.id)
        except CallError as error:
            self._errors.append(error)
            return Result(subtask.id, "failed", error=str(error))
        if finish == "length":
            why = "the reply met its token limit; raise max_tokens of this worker"
            return Result(subtask.id, "truncated", text, why)
        if finish not in KEPT:
            return Result(subtask.id, "failed", error=f"the model stopped with finish reason {finish!r}")
        return Result(subtask.id, "done", text)

    async def _answer(self, results: Mapping[str, Result]) -> Answer:
        """The answer, shown while it is written."""
        subtasks = self._plan.book.subtasks
        role = self._definition.synthesizer
        if not subtasks:
            role = role or self._definition.orchestrator
            return await self._speak(role, request_for(role, self._task))
        if not any(result.outcome == "done" or result.text for result in results.values()):
            raise _no_results(results, self._errors)
        text = prompts.results_text(subtasks, results, self._plan.state or "complete")
        if role is None:
            self._journal.append(e.AnswerDelta(text=text.strip()))
            return text.strip(), "complete"
        values = {"task": self._task, "worker_responses": text}
        return await self._speak(
            role, request_for(role, prompts.fill(prompts.template("synthesizer", role.prompt), values))
        )

    async def _speak(self, role: Role, request: Request) -> Answer:
        text, finish = await self._caller.collect("synthesizer", role, request, show=True)
        if finish not in KEPT:
            raise CallError(f"{request.model}: the answer stopped with finish reason {finish!r}")
        if not text.strip():
            raise CallError(f"{request.model}: the answer has no text before its token limit; raise its max_tokens")
        return text, "truncated" if finish == "length" else "complete"


def _no_results(results: Mapping[str, Result], errors: list[CallError]) -> WorkError:
    """Every subtask failed: say why, each reason once."""
    reasons = list(dict.fromkeys(result.error or result.outcome for result in results.values()))
    more = f" (and {len(reasons) - 3} other reasons)" if len(reasons) > 3 else ""
    error = WorkError(f"none of {len(results)} subtasks has a result: {'; '.join(reasons[:3])}{more}")
    error.__cause__ = errors[0] if errors else None
    return error
