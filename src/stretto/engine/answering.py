"""The answer, written from the results."""

import asyncio
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stretto import events as e
from stretto import prompts
from stretto.calls import KEPT, LOOPED, Transcript
from stretto.engine.caller import ANSWER, Errand
from stretto.engine.condensing import condensed
from stretto.engine.means import Means
from stretto.engine.requests import answer_request, cites, direct_request, sample_of
from stretto.engine.results import CUT
from stretto.engine.telling import Telling
from stretto.engine.urgencies import of_role
from stretto.engine.windows import narrowed
from stretto.errors import BudgetError, CallError, ContextError, DeadlineError, ShapeError
from stretto.references import References
from stretto.types import AnswerState, Citation, Definition, Head, PlanState, Request, Result, Role, Subtask


class Answer(Struct, frozen=True):
    """A text, and whether it is whole.

    `condensed`: the subtasks whose results were made shorter for who wrote it; `unread`: those there was no room for.
    `citations`: what its passages rest on; `remarks`: what was removed from it.
    """

    text: str
    state: AnswerState
    condensed: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    remarks: tuple[str, ...] = ()


class Answering:
    """Has the answer to a task written: that of the run, shown as it comes, or (with a `path`) a subtask's."""

    def __init__(self, means: Means, definition: Definition, task: str, path: str) -> None:
        self._means = means
        self._definition = definition
        self._task = task
        self._shown = not path
        self._sample = sample_of(means.journal.run.basis, f"{path}synthesizer")
        urgency = of_role("synthesizer")
        within = path.rstrip("/")
        self._errand = Errand("worker", urgency, within, part=ANSWER) if path else Errand("synthesizer", urgency)
        self._condensing = Errand("worker", urgency)
        self._path = path

    async def answer(self, subtasks: Sequence[Subtask], results: Mapping[str, Result], plan: PlanState) -> Answer:
        """The answer; raises what makes one impossible."""
        definition, role, head = self._definition, self._definition.synthesizer, self._means.heads.of()
        if any(subtask.reads for subtask in subtasks):  # then they are too much for one
            head = None
        if not subtasks:
            request = direct_request(definition, self._task, self._sample, head)
            writer = role or definition.orchestrator
            assert writer is not None  # noqa: S101 - without an orchestrator there are subtasks
            return await self._speak(writer, request, None)
        if not any(result.outcome == "done" or result.text for result in results.values()):
            raise self._means.setbacks.nothing_done(results)
        if role is None:
            # Workers of one type do parts of the same thing.
            told = prompts.joined_text if len(definition.workers) == 1 else prompts.unmerged_text
            text = told(subtasks, results, plan).strip()
            self._show(text)
            return Answer(text, "complete")
        try:
            return await self._merged(definition, role, subtasks, results, plan, head)
        except (BudgetError, DeadlineError) as error:
            if role.schema is not None:  # which the results, put together, would not fit
                raise
            budget = isinstance(error, BudgetError)
            why = str(error) if budget else "there was no time to merge them"
            policy = "budget" if budget else "deadline"
            self._means.setbacks.degrade(policy, f"the results themselves are the answer: {why}")
        text = prompts.unmerged_text(subtasks, results, plan).strip()
        self._show(text, restart=True)
        return Answer(text, "unmerged")

    async def _merged(
        self,
        definition: Definition,
        role: Role,
        subtasks: Sequence[Subtask],
        results: Mapping[str, Result],
        plan: PlanState,
        head: Head | None,
        *,
        again: bool = True,
    ) -> Answer:
        """The answer from the results; if they are too long for its writer, they are made shorter and asked `again`."""
        short, _ = await self._means.inquiry.answer(
            condensed(definition, self._task, subtasks, results, head, plan), self._condensing, self._path
        )
        read = [subtask for subtask in subtasks if subtask.id not in short.left_out]
        asked = answer_request(definition, self._task, read, short.results, plan, self._sample, head, short.changed)
        assert asked is not None  # noqa: S101 - there is a synthesizer
        try:
            answer = await self._speak(role, asked, self._references(read, results))
        except ContextError as error:
            narrower = narrowed(definition, role, asked, error) if again else None
            if narrower is None:
                raise
            return await self._merged(narrower, role, subtasks, results, plan, head, again=False)
        return replace(answer, condensed=short.changed, unread=short.left_out)

    def _references(self, read: Sequence[Subtask], results: Mapping[str, Result]) -> References | None:
        """What reads the references of an answer that is asked for them."""
        if not cites(self._definition):
            return None
        known = [subtask.id for subtask in read if results[subtask.id].text.strip()]
        inputs = self._means.journal.run.basis.inputs
        return References(known, inputs, list(results))

    async def _speak(self, role: Role, request: Request, references: References | None) -> Answer:
        """Ask for the answer; what was said of it by the deadline is kept, and `DeadlineError` if that is nothing."""
        transcript, deadline, setbacks = Transcript(), self._means.deadline, self._means.setbacks
        telling = Telling(self._means.journal, references, shown=self._shown)
        try:
            async with asyncio.timeout_at(deadline.ends_at if deadline else None):
                finish = await self._means.shaping.collect(self._errand, role, request, transcript, telling)
        except (TimeoutError, DeadlineError) as error:
            if not transcript.text.strip() or request.schema is not None:
                late = error if isinstance(error, DeadlineError) else None
                raise late or DeadlineError(setbacks.late("before the answer was there")) from None
            setbacks.degrade("deadline", "the answer is kept as far as it was written")
            return _answer(telling.end(transcript.text), "cut", references)
        text = transcript.text
        if finish not in KEPT:
            raise CallError(f"{request.model}: the answer stopped with finish reason {finish!r}")
        if not text.strip():
            why = "does nothing but repeat itself" if finish == LOOPED else "has no text before its token limit"
            raise CallError(f"{request.model}: the answer {why}; raise its max_tokens, or take another model")
        if finish in CUT and request.schema is not None:
            raise ShapeError(f"{request.model}: the answer ends before it fits its schema: {CUT[finish]}", text=text)
        return _answer(telling.end(text), "truncated" if finish in CUT else "complete", references)

    def _show(self, text: str, *, restart: bool = False) -> None:
        if self._shown:
            self._means.journal.append(e.AnswerDelta(text=text, restart=restart))


def _answer(text: str, state: AnswerState, references: References | None) -> Answer:
    if references is None:
        return Answer(text, state)
    return Answer(text, state, citations=references.citations, remarks=references.remarks)
