"""The spine: plan, dispatch, collect, synthesize."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from itertools import count
from typing import Literal

from msgspec.structs import replace

from stretto import events as e
from stretto import prompts
from stretto.calls import KEPT, Call, Chunk, Done, Model, Restarted, Text, Transcript, fingerprint
from stretto.errors import CallError, PlanError, WorkError
from stretto.ledger import Ledger
from stretto.plan import PlanBook, plan_schema, rest_request, worker_for
from stretto.plan_reader import Broken, Draft, PlanReader
from stretto.runs import coverage_of
from stretto.store.journal import Journal
from stretto.types import Definition, Message, PlanState, Reply, Request, Result, Role, RoleName, Subtask

_PRIORITY: Mapping[RoleName, int] = {"orchestrator": 0, "synthesizer": 1, "worker": 2}


class Execution:
    """One execution of a run: `execute` carries it from wherever its journal stands to the answer.

    `model` gives the model of a role, policies included; `replies` holds the complete replies this run has already, by
    fingerprint. Every fact goes through `journal`.
    """

    def __init__(
        self, definition: Definition, journal: Journal, model: Callable[[str], Model], replies: Mapping[str, Reply]
    ) -> None:
        before = journal.run
        self._definition = definition
        self._task = before.task
        self._journal = journal
        self._model = model
        self._replies = replies
        self._calls = count(len(before.calls) + 1)
        self._book = PlanBook(definition.workers, definition.limits.max_subtasks, before.plan.subtasks)
        self._plan_state: PlanState | None = before.plan.state
        self._analysis = ""
        self._remarks: list[str] = []
        self._performing: dict[str, asyncio.Task[Result]] = {}
        self._errors: list[CallError] = []

    async def execute(self) -> None:
        """From the task to the answer; raises what makes an answer impossible."""
        async with asyncio.TaskGroup() as workers, aclosing(self._plan()) as plan:
            async for subtask in plan:
                self._performing[subtask.id] = workers.create_task(self._perform(subtask))
        results = {subtask: task.result() for subtask, task in self._performing.items()}
        state = self._plan_state or "complete"
        answer, finish = await self._answer(results, state)
        self._journal.append(
            e.RunFinished(
                answer=answer,
                usage=self._journal.fold.usage,
                cost=self._journal.fold.cost,
                saved=self._journal.fold.saved,
                coverage=coverage_of(self._book.subtasks, results, state, finish),
            )
        )
        await self._journal.settled()

    # -- plan

    async def _plan(self) -> AsyncGenerator[Subtask, None]:
        """Every subtask, at the moment its line of the plan is complete; first those planned before."""
        for subtask in self._book.subtasks:
            yield subtask
        if self._plan_state is not None:
            return
        request = self._plan_request()
        if not self._book.subtasks or fingerprint(request) in self._replies:
            async for subtask in self._read_plan(request):
                yield subtask
        if self._plan_state is None:
            async for subtask in self._read_plan(self._rest_request(request)):
                yield subtask
        if self._plan_state is None and not self._book.subtasks:
            raise PlanError("the orchestrator wrote no plan that can be read: " + "; ".join(self._remarks[-2:]))
        self._plan_state = self._plan_state or "incomplete"
        self._journal.append(
            e.PlanFinished(
                state=self._plan_state,
                subtasks=len(self._book.subtasks),
                analysis=self._analysis,
                remarks=tuple(self._remarks),
            )
        )

    async def _read_plan(self, request: Request) -> AsyncGenerator[Subtask, None]:
        """The subtasks of one reply of the orchestrator; sets the plan's state if the plan is whole then."""
        role = self._definition.orchestrator
        reader, transcript = PlanReader(), Transcript()
        remarks = len(self._remarks)
        self._book.expect_again()
        try:
            async with aclosing(self._ask("orchestrator", None, request, role)) as chunks:
                async for chunk in chunks:
                    transcript.take(chunk)
                    if isinstance(chunk, Restarted):
                        reader = PlanReader()
                        self._book.expect_again()
                    for item in reader.feed(chunk.text) if isinstance(chunk, Text) else ():
                        subtask = self._take(item)
                        if self._plan_state == "bounded":
                            return
                        if subtask:
                            yield subtask
        except CallError as error:
            if not self._book.subtasks and not transcript.text:
                raise
            self._remarks.append(f"the plan broke off: {error}")
        self._analysis = self._analysis or reader.analysis
        self._remarks.extend(_remark(broken) for broken in reader.end())
        if reader.state != "closed":
            self._remarks.append(_unclosed(reader.state, transcript.text))
        if len(self._remarks) == remarks:
            self._plan_state = "complete"

    def _take(self, item: Draft | Broken) -> Subtask | None:
        """Take what the reader found into the plan; None if it is nothing new."""
        if isinstance(item, Broken):
            self._remarks.append(_remark(item))
            return None
        if self._book.knows(item):
            return None
        if self._book.full:
            self._plan_state = "bounded"
            self._remarks.append(f"the plan is longer than max_subtasks = {self._definition.limits.max_subtasks}")
            return None
        subtask, remark = self._book.take(item)
        self._journal.append(
            e.SubtaskPlanned(
                subtask=subtask.id,
                type=subtask.type,
                description=subtask.description,
                needs=subtask.needs,
                remark=remark,
            )
        )
        return subtask

    # -- workers

    async def _perform(self, subtask: Subtask) -> Result:
        """Do one subtask as soon as what it needs is there; whatever happens is its result."""
        result = await self._result(subtask)
        self._journal.append(
            e.SubtaskFinished(subtask=subtask.id, outcome=result.outcome, text=result.text, error=result.error)
        )
        await self._journal.settled()  # what others build on is on the disk
        return result

    async def _result(self, subtask: Subtask) -> Result:
        if refusal := self._book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal)
        needed = [(self._book[need], await asyncio.shield(self._performing[need])) for need in subtask.needs]
        for need, result in needed:
            if result.outcome != "done":
                return Result(subtask.id, "skipped", error=f"it needs {need.id!r}, which is {result.outcome}")
        self._journal.append(e.SubtaskStarted(subtask=subtask.id))
        role = self._definition.workers[worker_for(subtask.type, self._definition.workers) or subtask.type]
        request = _request(role, self._worker_prompt(role, subtask, prompts.needs_text(needed)))
        try:
            text, finish = await self._collect("worker", subtask.id, request, role)
        except CallError as error:
            self._errors.append(error)
            return Result(subtask.id, "failed", error=str(error))
        if finish == "length":
            return Result(
                subtask.id, "truncated", text, "the reply met its token limit; raise max_tokens of this worker"
            )
        if finish not in KEPT:
            return Result(subtask.id, "failed", error=f"the model stopped with finish reason {finish!r}")
        return Result(subtask.id, "done", text)

    def _worker_prompt(self, role: Role, subtask: Subtask, needs: str) -> str:
        prompt = prompts.template("worker", role.prompt)
        values = {
            "original_task": self._task,
            "task_type": subtask.type,
            "task_description": subtask.description,
            "needs": needs,
        }
        filled = prompts.fill(prompt, values)
        return filled if "{needs}" in prompt else filled + needs  # a prompt without the placeholder loses nothing

    # -- answer

    async def _answer(
        self, results: Mapping[str, Result], plan: PlanState
    ) -> tuple[str, Literal["complete", "truncated"]]:
        """The answer, streamed as `answer_delta`s, and whether it is whole."""
        subtasks = self._book.subtasks
        role = self._definition.synthesizer
        if not subtasks:
            role = role or self._definition.orchestrator
            return await self._speak(_request(role, self._task), role)
        if not any(result.text for result in results.values()):
            raise _no_results(results, self._errors)
        text = prompts.results_text(subtasks, results, plan)
        if role is None:
            self._journal.append(e.AnswerDelta(text=text.strip()))
            return text.strip(), "complete"
        prompt = prompts.template("synthesizer", role.prompt)
        values = {"task": self._task, "worker_responses": text}
        return await self._speak(_request(role, prompts.fill(prompt, values)), role)

    async def _speak(self, request: Request, role: Role) -> tuple[str, Literal["complete", "truncated"]]:
        text, finish = await self._collect("synthesizer", None, request, role, show=True)
        if finish not in KEPT:
            raise CallError(f"{request.model}: the answer stopped with finish reason {finish!r}")
        return text, "truncated" if finish == "length" else "complete"

    # -- calls

    async def _collect(
        self, role_name: RoleName, subtask: str | None, request: Request, role: Role, *, show: bool = False
    ) -> tuple[str, str]:
        """The whole text of a reply and its finish reason; with `show` the text is the answer and shown as it comes."""
        transcript, finish = Transcript(), ""
        async with aclosing(self._ask(role_name, subtask, request, role)) as chunks:
            async for chunk in chunks:
                transcript.take(chunk)
                if isinstance(chunk, Done):
                    finish = chunk.finish
                elif show and isinstance(chunk, Text | Restarted):
                    text = chunk.text if isinstance(chunk, Text) else ""
                    self._journal.append(e.AnswerDelta(text=text, restart=isinstance(chunk, Restarted)))
        return transcript.text, finish

    async def _ask(
        self, role_name: RoleName, subtask: str | None, request: Request, role: Role
    ) -> AsyncGenerator[Chunk, None]:
        """One call, with its events."""
        call = Call(
            id=f"c{next(self._calls)}",
            run=self._journal.run_id,
            role=role_name,
            subtask=subtask,
            request=request,
            fingerprint=fingerprint(request),
            stream=role.stream or role_name != "worker",
            priority=_PRIORITY[role_name],
            described=role_name == "orchestrator" and prompts.describes_plan(role.prompt or ""),
        )
        ledger = Ledger(call, self._journal)
        try:
            async with aclosing(self._model(request.model).stream(call)) as chunks:
                async for chunk in chunks:
                    ledger.note(chunk)
                    yield chunk
        except CallError as error:
            ledger.finish(error=str(error), request_id=error.request_id)
            raise
        except GeneratorExit:
            ledger.finish(finish="stopped")
            raise

    def _plan_request(self) -> Request:
        role, workers = self._definition.orchestrator, self._definition.workers
        most = self._definition.limits.max_subtasks
        values = {"task": self._task, "workers": prompts.worker_lines(workers), "max_subtasks": str(most)}
        prompt = prompts.fill(prompts.template("orchestrator", role.prompt), values)
        return replace(_request(role, prompt), schema=plan_schema(workers, most))

    def _rest_request(self, first: Request) -> Request:
        rest = Message("user", rest_request(self._book.subtasks))
        return replace(first, messages=(*first.messages, rest))


def _request(role: Role, prompt: str) -> Request:
    system = (Message("system", role.system),) if role.system else ()
    return Request(role.model, (*system, Message("user", prompt)), role.options)


def _remark(broken: Broken) -> str:
    return f"entry {broken.place} of the plan is no subtask ({broken.why}): {broken.excerpt}"


def _unclosed(state: str, text: str) -> str:
    if state == "open":
        return "the plan's list of tasks was cut off"
    return f"the reply has no list of tasks: {text[:200]!r}"


def _no_results(results: Mapping[str, Result], errors: list[CallError]) -> WorkError:
    """Every subtask failed: say why, each reason once."""
    reasons = list(dict.fromkeys(result.error or result.outcome for result in results.values()))
    more = f" (and {len(reasons) - 3} other reasons)" if len(reasons) > 3 else ""
    error = WorkError(f"none of {len(results)} subtasks has a result: {'; '.join(reasons[:3])}{more}")
    error.__cause__ = errors[0] if errors else None
    return error
