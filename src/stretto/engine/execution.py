"""The spine: plan, dispatch, collect, synthesize."""

import asyncio
from collections.abc import Callable, Container, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

from stretto import events as e
from stretto import prompts
from stretto.calls import KEPT, Model, Transcript
from stretto.engine.caller import Caller, Errand
from stretto.engine.deadline import Deadline
from stretto.engine.planning import Planning
from stretto.engine.requests import answer_request, direct_request, role_of, worker_request
from stretto.engine.results import CUT, UNPAID, lacking, result_of
from stretto.engine.shaping import Shaping
from stretto.engine.urgencies import Urgencies
from stretto.errors import BudgetError, CallError, DeadlineError, ShapeError, StrettoError, WorkError
from stretto.head import head_of
from stretto.policies.account import Account
from stretto.policies.estimate import most_output
from stretto.runs import coverage_of
from stretto.shapes import Shape
from stretto.store.journal import Journal
from stretto.types import AnswerState, Definition, Request, Result, Role, Subtask

PLANNED = "only its plan was asked for"
"""Why a run ends that has a plan and was to have no more."""
HALF_PLANNED = "the plan is taken as far as it was written"
"""What a run gives up when the deadline comes before its plan is whole."""
UNASKED = "the deadline came before it was asked"
"""Why a subtask is skipped: in the same words in every execution, for it becomes a part of a prompt."""

Answer = tuple[str, AnswerState]
"""A text, and whether it is whole."""


class Execution:
    """One execution of a run: `execute` carries it from wherever its journal stands to the answer.

    `model` gives the model of a role, policies included, which pay from `account`; `replies`: the fingerprints of the
    complete replies that this run has already; `given`: results of subtasks that are not computed; `shape`: that of the
    answer, if a Python type stands behind it. Every fact goes through `journal`. A model may say by a `DeadlineError`
    that the deadline came (in a replay it does).
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
    ) -> None:
        self._definition = definition
        self._task = journal.run.task
        self._samples = journal.run.basis.samples
        self._head = head_of(journal.run.basis.inputs)
        self._given = given or {}
        self._journal = journal
        self._account = account
        self._deadline = _deadline(definition)
        self._urgencies = Urgencies()
        caller = Caller(journal, model, account, self._deadline)
        self._shaping = Shaping(caller, journal, replies, shape)
        self._plan = Planning(definition, journal, caller, self._urgencies, replies, self._head)
        self._performing: dict[str, asyncio.Task[Result]] = {}
        self._errors: list[StrettoError] = []
        self._lateness: list[DeadlineError] = []  # what a model said of the deadline
        self._degraded: set[str] = set()

    async def execute(self) -> None:
        """From the task to the answer; raises what makes an answer impossible."""
        try:
            async with asyncio.TaskGroup() as workers:
                await self._dispatch(workers)
            results = {subtask: task.result() for subtask, task in self._performing.items()}
            answer, state = await self._answer(results)
        finally:
            if self._deadline:
                self._deadline.close()
        fold, plan = self._journal.fold, self._plan.state or "complete"
        coverage = coverage_of(self._plan.book.subtasks, results, plan, state, fold.degraded)
        self._journal.append(
            e.RunFinished(answer=answer, usage=fold.usage, cost=fold.cost, saved=fold.saved, coverage=coverage)
        )
        await self._journal.settled()

    async def plan(self) -> None:
        """From the task to its plan; to execute the run is to go on with it."""
        try:
            async with self._working(), aclosing(self._plan.subtasks()) as plan:
                async for _ in plan:
                    pass
        except TimeoutError:
            raise DeadlineError(self._late("before the plan was whole")) from None
        finally:
            if self._deadline:
                self._deadline.close()
        self._journal.append(e.RunInterrupted(reason=PLANNED))
        await self._journal.settled()

    async def _dispatch(self, workers: asyncio.TaskGroup) -> None:
        """Start each subtask at the moment it is planned."""
        try:
            async with self._working(), aclosing(self._plan.subtasks()) as plan:
                async for subtask in plan:
                    self._urgencies.plan(subtask)
                    self._account.keep(_unpaid(subtask))  # what is told of it, if nothing else can be
                    self._performing[subtask.id] = workers.create_task(self._perform(subtask))
        except TimeoutError:
            if not self._plan.book.subtasks:
                raise DeadlineError(self._late("before there was a plan")) from None
            self._plan.stop("the deadline came before the plan was whole")
            self._degrade("deadline", HALF_PLANNED)

    async def _perform(self, subtask: Subtask) -> Result:
        """Do one subtask as soon as what it needs is there; whatever happens is its result."""
        transcript = Transcript()
        try:
            async with self._working():
                result = await self._result(subtask, transcript)
        except TimeoutError:
            result = self._cut(subtask, transcript)
        except DeadlineError as error:
            self._lateness.append(error)
            result = self._cut(subtask, transcript)
        if transcript.sent_at is not None:
            self._urgencies.finish(subtask, asyncio.get_running_loop().time() - transcript.sent_at)
        else:
            self._urgencies.finish(subtask, 0.0)
        self._account.keep("\n".join(prompts.result_text(subtask, result)), instead_of=_unpaid(subtask))
        self._journal.append(
            e.SubtaskFinished(subtask=subtask.id, outcome=result.outcome, text=result.text, error=result.error)
        )
        await self._journal.settled()  # what others build on is on the disk
        return result

    async def _result(self, subtask: Subtask, transcript: Transcript) -> Result:
        if subtask.id in self._given:
            return self._given[subtask.id]
        if refusal := self._plan.book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal)
        needed = [(self._plan.book[need], await asyncio.shield(self._performing[need])) for need in subtask.needs]
        for need, result in needed:
            if result.outcome != "done":
                return lacking(subtask.id, need.id, result)
        self._journal.append(e.SubtaskStarted(subtask=subtask.id))
        role = role_of(self._definition, subtask)
        sample = self._samples.get(subtask.id, 0)
        request = worker_request(self._definition, self._task, subtask, needed, sample, self._head)
        errand = Errand("worker", self._urgencies.of(subtask.id), subtask.id, subtask.value)
        try:
            finish = await self._shaping.collect(errand, role, request, transcript)
        except BudgetError as error:
            self._errors.append(error)
            self._degrade("budget", f"subtasks are skipped, those of the least value first: {error}", once="skipped")
            return Result(subtask.id, "skipped", error=UNPAID)
        except (CallError, ShapeError) as error:
            self._errors.append(error)
            return Result(subtask.id, "failed", error=str(error))
        return result_of(subtask.id, finish, transcript.text)

    def _cut(self, subtask: Subtask, transcript: Transcript) -> Result:
        """What there is of a subtask when the deadline comes."""
        self._degrade("deadline", "who is still at work is cut, so that the answer can be written in time")
        if transcript.sent_at is None:
            return Result(subtask.id, "skipped", error=UNASKED)
        said = "after it had said this much" if transcript.text else "before it had said anything"
        return Result(subtask.id, "cut", transcript.text, f"the deadline came {said}")

    async def _answer(self, results: Mapping[str, Result]) -> Answer:
        """The answer, shown while it is written."""
        definition, subtasks, plan = self._definition, self._plan.book.subtasks, self._plan.state or "complete"
        role, sample = definition.synthesizer, self._samples.get("synthesizer", 0)
        if not subtasks:
            request = direct_request(definition, self._task, sample, self._head)
            return await self._speak(role or definition.orchestrator, request)
        if not any(result.outcome == "done" or result.text for result in results.values()):
            raise self._no_results(results)
        text = prompts.results_text(subtasks, results, plan)
        asked = answer_request(definition, self._task, subtasks, results, plan, sample, self._head)
        if role is None or asked is None:
            self._journal.append(e.AnswerDelta(text=text.strip()))
            return text.strip(), "complete"
        try:
            return await self._speak(role, asked)
        except (BudgetError, DeadlineError) as error:
            if asked.schema is not None:  # which the results, put together, would not fit
                raise
            budget = isinstance(error, BudgetError)
            why = str(error) if budget else "there was no time to merge them"
            self._degrade("budget" if budget else "deadline", f"the results themselves are the answer: {why}")
        self._journal.append(e.AnswerDelta(text=text.strip(), restart=True))
        return text.strip(), "unmerged"

    async def _speak(self, role: Role, request: Request) -> Answer:
        """Ask for the answer; what was said of it by the deadline is kept, and `DeadlineError` if that is nothing."""
        errand, transcript = Errand("synthesizer", self._urgencies.of_role("synthesizer")), Transcript()
        try:
            async with asyncio.timeout_at(self._deadline.ends_at if self._deadline else None):
                finish = await self._shaping.collect(errand, role, request, transcript, show=True)
        except (TimeoutError, DeadlineError) as error:
            if not transcript.text.strip() or request.schema is not None:
                late = error if isinstance(error, DeadlineError) else None
                raise late or DeadlineError(self._late("before the answer was there")) from None
            self._degrade("deadline", "the answer is kept as far as it was written")
            return transcript.text, "cut"
        text = transcript.text
        if finish not in KEPT:
            raise CallError(f"{request.model}: the answer stopped with finish reason {finish!r}")
        if not text.strip():
            raise CallError(f"{request.model}: the answer has no text before its token limit; raise its max_tokens")
        if finish in CUT and request.schema is not None:
            raise ShapeError(f"{request.model}: the answer ends before it fits its schema: {CUT[finish]}", text=text)
        return text, "truncated" if finish in CUT else "complete"

    def _no_results(self, results: Mapping[str, Result]) -> StrettoError:
        """Nothing has a result: say why, each reason once."""
        reasons = list(dict.fromkeys(result.error or result.outcome for result in results.values()))
        more = f" (and {len(reasons) - 3} other reasons)" if len(reasons) > 3 else ""
        told = f"none of {len(results)} subtasks has a result: {'; '.join(reasons[:3])}{more}"
        if self._errors and all(isinstance(error, BudgetError) for error in self._errors):
            return BudgetError(f"none of {len(results)} subtasks has a result: {self._errors[0]}")
        if self._lateness and not self._errors:
            return self._lateness[0]
        if self._deadline and self._deadline.passed and not self._errors:
            return DeadlineError(f"{self._late('before any subtask was done')}; {told}")
        error = WorkError(told)
        error.__cause__ = self._errors[0] if self._errors else None
        return error

    def _working(self) -> AbstractAsyncContextManager[None]:
        """The time in which workers may work."""
        return self._deadline.work() if self._deadline else nullcontext()

    def _late(self, when: str) -> str:
        seconds = self._deadline.seconds if self._deadline else 0.0
        return f"the deadline of {seconds:g} s came {when}; raise it, or take quicker models"

    def _degrade(self, policy: str, reason: str, *, once: str | None = None) -> None:
        """Say what the run gives up, each reason once; or what is called `once`, whatever its reason."""
        if (once or policy + reason) not in self._degraded:
            self._degraded.add(once or policy + reason)
            self._journal.append(e.RunDegraded(policy=policy, reason=reason))


def _deadline(definition: Definition) -> Deadline | None:
    """The deadline of an execution that begins now, if it has one."""
    limits, role = definition.limits, definition.synthesizer
    if limits.deadline is None:
        return None
    tokens = most_output(role.options) if role else None
    return Deadline(limits.deadline, merges=role is not None, answer_tokens=tokens)


def _unpaid(subtask: Subtask) -> str:
    """What the synthesizer reads of a subtask that was skipped."""
    return "\n".join(prompts.result_text(subtask, Result(subtask.id, "skipped", error=UNPAID)))
