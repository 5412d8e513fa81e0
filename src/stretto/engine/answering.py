"""The answer, written from the results."""

from collections.abc import Container, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stretto import events as e
from stretto import prompts
from stretto.calls import KEPT, LOOPED, Restarted, Transcript
from stretto.engine.caller import ANSWER, Errand
from stretto.engine.condensing import condensed
from stretto.engine.deadline import Deadline
from stretto.engine.inquiry import Inquiry
from stretto.engine.mending import AGAIN, Told, again_request, cleaned, fault, is_whole, told_of
from stretto.engine.requests import cites, direct_request, merged_by, sample_of, writer_of
from stretto.engine.results import CUT
from stretto.engine.setbacks import Setbacks
from stretto.engine.shaping import Shaping
from stretto.engine.telling import Telling
from stretto.engine.urgencies import of_role
from stretto.engine.windows import narrowed
from stretto.errors import BudgetError, CallError, ContextError, DeadlineError, PlanError, ShapeError, StrettoError
from stretto.head import Heads
from stretto.references import References
from stretto.store.journal import Journal
from stretto.types import AnswerState, Basis, Citation, Definition, Head, PlanState, Request, Result, Role, Subtask

_TOLD = 20  # results that are named in a remark


class Answer(Struct, frozen=True):
    """A text, and whether it is whole.

    `condensed`: the subtasks whose results were made shorter for who wrote it; `unread`: those there was no room for.
    `citations`: what its passages rest on; `remarks`: what was removed from it, and what nothing in it rests on.
    `direct`: why it was written from the task alone, if that was not the plan.
    """

    text: str
    state: AnswerState
    condensed: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    citations: tuple[Citation, ...] = ()
    remarks: tuple[str, ...] = ()
    direct: str = ""


class Answering:
    """Has the answer to a task written: that of the run, shown as it comes, or (with a `path`) a subtask's."""

    def __init__(
        self,
        definition: Definition,
        task: str,
        path: str,
        *,
        basis: Basis,
        heads: Heads,
        inquiry: Inquiry,
        shaping: Shaping,
        journal: Journal,
        deadline: Deadline,
        setbacks: Setbacks,
    ) -> None:
        self._definition = definition
        self._task = task
        self._path = path
        self._inputs = basis.inputs
        self._messages = () if path else basis.messages
        self._head = heads.of()
        self._inquiry = inquiry
        self._shaping = shaping
        self._journal = journal
        self._deadline = deadline
        self._setbacks = setbacks
        self._shown = not path
        self._sample = sample_of(basis, f"{path}synthesizer")
        urgency = of_role("synthesizer")
        within = path.rstrip("/")
        self._errand = Errand("worker", urgency, within, part=ANSWER) if path else Errand("synthesizer", urgency)
        self._condensing = Errand("worker", urgency)

    async def answer(
        self,
        subtasks: Sequence[Subtask],
        results: Mapping[str, Result],
        plan: PlanState,
        unplanned: StrettoError | None = None,
    ) -> Answer:
        """The answer; raises what makes one impossible. `unplanned`: why there is no plan, if there is none."""
        definition, role, head = self._definition, self._definition.synthesizer, self._head
        if any(subtask.reads for subtask in subtasks):  # then they are too much for one
            head = None
        if not subtasks:
            return await self._direct(unplanned)
        if not any(result.outcome == "done" or result.text for result in results.values()):
            nothing = self._setbacks.nothing_done(results)
            if all(subtask.alone for subtask in subtasks):  # of a list: there is no other way to say it at once
                raise nothing
            return await self._direct(nothing, subtasks)
        if role is None and all(subtask.alone for subtask in subtasks):
            return Answer("", "complete")  # each result is one
        if role is None:
            # Workers of one type do parts of the same thing.
            told = prompts.joined_text if len(definition.workers) == 1 else prompts.unmerged_text
            text = told(subtasks, results, plan).strip()
            self._show(text)
            return Answer(text, "complete")
        try:
            return await self._merged(definition, role, subtasks, results, plan, head)
        except (CallError, DeadlineError) as error:
            if role.schema is not None:  # which the results, put together, would not fit
                raise
            why = "there was no time to merge them" if isinstance(error, DeadlineError) else str(error)
            self._setbacks.degrade(_policy(error), "unmerged", f"the results themselves are the answer: {why}")
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
        short, _ = await self._inquiry.answer(
            condensed(definition, self._task, subtasks, results, head, plan), self._condensing, self._path
        )
        read = [subtask for subtask in subtasks if subtask.id not in short.left_out]
        asked = merged_by(role, self._task, read, short.results, plan, self._sample, head, short.changed)
        try:
            stood = told_of(role, asked, self._task, "", [result.text for result in short.results.values()])
            told = stood if asked.schema is None else None
            answer = await self._speak(role, asked, self._references(read, results), told)
        except ContextError as error:
            narrower = narrowed(definition, role, asked, error) if again else None
            if narrower is None:
                raise
            return await self._merged(narrower, role, subtasks, results, plan, head, again=False)
        rests = frozenset(citation.source for citation in answer.citations)
        unused = _unused(read, results, rests) if cites(definition) and answer.state == "complete" else ()
        return replace(answer, condensed=short.changed, unread=short.left_out, remarks=(*answer.remarks, *unused))

    async def _direct(self, failure: StrettoError | None, subtasks: Sequence[Subtask] = ()) -> Answer:
        """The answer from the task alone: as it was planned or, after a `failure`, as one call would have given it.

        The failure is raised if such a call is as hopeless, or fails too.
        """
        writer = writer_of(self._definition)
        # Who would read the inputs by shares cannot read them at once.
        lost = writer is None or any(subtask.reads for subtask in subtasks)
        if failure is not None and (lost or self._is_final(failure, writer, planned=bool(subtasks))):
            raise failure
        if writer is None:
            raise PlanError("there are no subtasks, and no model of this workflow answers the task itself")
        request = direct_request(self._definition, writer, self._task, self._sample, self._head, self._messages)
        try:
            answer = await self._speak(writer, request, self._references((), {}) if request.head else None)
        except (CallError, ShapeError, DeadlineError):
            if failure is None:
                raise
            raise failure from failure.__cause__
        if failure is None:
            return answer
        self._setbacks.degrade("plan", "direct", f"the task was answered directly: {failure}")
        return replace(answer, direct=str(failure))

    def _is_final(self, failure: StrettoError, writer: Role | None, *, planned: bool) -> bool:
        """Whether a direct call would fail, too: one to the provider that failed, for a reason that stays."""
        definition = self._definition
        asked = definition.workers.values() if planned else [definition.orchestrator or Role()]
        failed = {_provider(model) for role in asked for model in role.all_models}
        same = writer is not None and _provider(writer.candidates[0]) in failed
        return self._setbacks.is_final(failure) and (same or isinstance(failure, BudgetError | DeadlineError))

    def _references(self, read: Sequence[Subtask], results: Mapping[str, Result]) -> References | None:
        """What reads the references of an answer that is asked for them."""
        if not cites(self._definition):
            return None
        known = [subtask.id for subtask in read if results[subtask.id].text.strip()]
        return References(known, self._inputs, list(results))

    async def _speak(
        self, role: Role, request: Request, references: References | None, told: Told | None = None
    ) -> Answer:
        """Ask for the answer; what was said of it by the deadline is kept, and `DeadlineError` if that is nothing.

        `told`: what it must not merely say again; such an answer is asked for once more.
        """
        transcript, setbacks = Transcript(), self._setbacks
        telling = Telling(self._journal, references, shown=self._shown)
        first = ""
        try:
            async with self._deadline.answer():
                finish = await self._shaping.collect(self._errand, role, request, transcript, telling)
                if told and is_whole(finish) and (why := fault(transcript.text, told)) not in {None, "empty"}:
                    first = transcript.text
                    finish = await self._once_more(role, again_request(request, why, told), transcript, telling)
        except (TimeoutError, DeadlineError) as error:
            if first and told:
                setbacks.degrade("deadline", "unmended", "the answer is not asked for once more")
                return _mended(telling, first, "complete", references, told)
            if not transcript.text.strip() or request.schema is not None:
                late = error if isinstance(error, DeadlineError) else None
                raise late or DeadlineError(setbacks.late("before the answer was there")) from None
            setbacks.degrade("deadline", "half_written", "the answer is kept as far as it was written")
            return _answer(telling.end(), "cut", references)
        text = transcript.text
        if first and told:
            second = is_whole(finish) and fault(text, told) in {None, "echo"} and cleaned(text, told)[0]
            return _mended(telling, text if second else first, "complete", references, told)
        if finish not in KEPT:
            raise CallError(f"{request.model}: the answer stopped with finish reason {finish!r}")
        if not text.strip():
            says = "does nothing but repeat itself" if finish == LOOPED else "has no text before its token limit"
            raise CallError(f"{request.model}: the answer {says}; raise its max_tokens, or take another model")
        if finish in CUT and request.schema is not None:
            raise ShapeError(f"{request.model}: the answer ends before it fits its schema: {CUT[finish]}", text=text)
        state: AnswerState = "truncated" if finish in CUT else "complete"
        if told:
            return _mended(telling, text, state, references, told)
        return _answer(telling.end(), state, references)

    async def _once_more(self, role: Role, request: Request, transcript: Transcript, telling: Telling) -> str:
        """Ask once more for an answer that cannot stand; the finish reason, empty if that cannot be had."""
        transcript.take(Restarted())
        telling.restart()
        errand = replace(self._errand, part=self._errand.part or AGAIN)
        try:
            return await self._shaping.collect(errand, role, request, transcript, telling)
        except CallError:
            return ""

    def _show(self, text: str, *, restart: bool = False) -> None:
        if self._shown:
            self._journal.append(e.AnswerDelta(text=text, restart=restart))


def _provider(model: str) -> str:
    """The provider in a model as written."""
    return model.partition(":")[0]


def _policy(error: StrettoError) -> str:
    """By which policy the results are not merged."""
    if isinstance(error, DeadlineError):
        return "deadline"
    return "budget" if isinstance(error, BudgetError) else "synthesis"


def _mended(telling: Telling, text: str, state: AnswerState, references: References | None, told: Told) -> Answer:
    """The answer without what it says of our prompts; shown anew if it is not what was shown."""
    clean, remark = cleaned(text, told)
    if not clean or fault(clean, told) == "recited":
        raise CallError("the answer says nothing but what its prompt says")
    if clean != telling.raw:
        telling.restart()
        telling.take(clean)
    answer = _answer(telling.end(), state, references)
    return replace(answer, remarks=(*answer.remarks, remark)) if remark else answer


def _unused(read: Sequence[Subtask], results: Mapping[str, Result], rests: Container[str]) -> tuple[str, ...]:
    """What is to be said of results that are there and that no passage of the answer rests on."""
    there = [each.id for each in read if results[each.id].outcome == "done" and results[each.id].text.strip()]
    unused = [subtask for subtask in there if subtask not in rests]
    told = ", ".join(unused[:_TOLD]) + (f" and {len(unused) - _TOLD} more" if len(unused) > _TOLD else "")
    return (f"no passage of the answer rests on {told}",) if unused else ()


def _answer(text: str, state: AnswerState, references: References | None) -> Answer:
    if references is None:
        return Answer(text, state)
    return Answer(text, state, citations=references.citations, remarks=references.remarks)
