"""Reading the plan while it is written, and asking once for the rest of one that did not arrive whole."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Container, Iterator, Mapping
from contextlib import aclosing

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import LOOPED, OVERLONG, Chunk, Done, Restarted, Text, Transcript, fingerprint
from stretto.engine.caller import PIECE, PLAN, Caller, Errand
from stretto.engine.condensing import condensed_for
from stretto.engine.inquiry import Inquiry
from stretto.engine.requests import (
    again_request,
    answers_alike,
    plan_request,
    planner_of,
    rest_of_plan,
    round_request,
    sample_of,
)
from stretto.engine.urgencies import of_role
from stretto.errors import CallError, PlanError
from stretto.plan.book import PlanBook
from stretto.plan.given import fixed_plan
from stretto.plan.item import Broken, Draft
from stretto.plan.reader import PlanReader
from stretto.plan.sizes import oversize
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.types import Basis, Definition, Head, Plan, PlanState, Request, Result, Subtask

_BREATH = 64  # subtasks of a given plan that are taken in without a pause
_REMARKED = 20  # unreadable entries that get a remark each
_LONGEST, _EACH = 2_097_152, 4_096  # characters of a plan at most, and more for each of the subtasks that it may have


class Planning:
    """A plan, round by round: `subtasks()` yields each one at the moment its line is complete.

    `book` holds those taken in. `state` is None until nothing will be added in the round. What was planned `before`, in
    earlier executions, is taken as given. With a `path` it is the plan of a workflow that does a subtask. `replies`:
    the fingerprints of those there are already; `most`: subtasks of the whole run.
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
        self._most = most
        self._urgency = urgency = of_role("orchestrator")
        self._errand = Errand("worker", urgency, self._within, part=PLAN) if path else Errand("orchestrator", urgency)
        self._before = before.part(self._within).plan
        self._executions = before.executions
        self._withdrawn = () if path else before.withdrawn
        self._sample = sample_of(before.basis, f"{path}orchestrator")
        self._head = head
        self._given = self._given_plan(before.basis)
        self._round = 0
        self._results: Mapping[str, Result] = {}
        self._condensed: Collection[str] = ()
        self._analysis = ""
        self._remarks: list[str] = []
        self._unread = 0  # entries of the plan that are no subtasks
        self._only: tuple[Draft, str] | None = None  # the first subtask and its brief, until it is seen what follows
        most = definition.limits.max_subtasks
        known = [s for s in self._before.subtasks if s.round == 1]
        self.book = PlanBook(definition.workers, most, known)
        self.state: PlanState | None = None

    @property
    def begun(self) -> bool:
        """Whether there was a round."""
        return self._round > 0

    @property
    def goes_on(self) -> bool:
        """Whether there may be subtasks in a further round."""
        if self._round == 0:
            return True
        if self._given is not None or self._round >= self._definition.limits.rounds or self.state != "complete":
            return False
        return any(s.round == self._round for s in self.book.subtasks) and not self._full

    async def look_back(self, results: Mapping[str, Result]) -> None:
        """Let the orchestrator see what all subtasks so far came to, as far as it can take it in."""
        asking = condensed_for(
            self._definition,
            planner_of(self._definition),
            lambda found: self._request(self._round + 1, found),
            self._task,
            self.book.subtasks,
            results,
        )
        short, _ = await self._inquiry.answer(asking, Errand("worker", self._urgency), self._path)
        self._results, self._condensed = short.shown, short.changed

    async def subtasks(self) -> AsyncGenerator[Subtask, None]:
        """Every subtask of the next round; raises `PlanError` if there is no plan to be had."""
        self._begin()
        for subtask in self._planned:
            yield subtask
        if self.state is not None:
            return
        if (given := self._given) is not None:
            for subtask in given.subtasks[len(self.book.subtasks) :]:
                if self._full:
                    break
                self.book.go_on([subtask])
                yield self._tell(subtask)
                if self.book.listed % _BREATH == 0:  # who reads the events, and the calls, go on meanwhile
                    await asyncio.sleep(0)
            whole = len(self.book.subtasks) >= len(given.subtasks)
            self.state, self._analysis = given.state if whole else "bounded", given.analysis
            self._finish()
            return
        for request in self._requests():
            async with aclosing(self._read(request)) as subtasks:
                async for subtask in subtasks:
                    yield subtask
        if self.state is None and not self.book.subtasks:
            raise PlanError("the orchestrator wrote no plan that can be read: " + "; ".join(self._remarks[-2:]))
        self._finish()

    def stop(self, why: str) -> list[Subtask]:
        """Take the plan as it is, because nothing more of it is waited for; the subtasks that were held back."""
        if self.state is not None:
            return []
        held = self._settle()
        self._remarks.append(why)
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
        self._round += 1
        self._analysis, self._remarks, self._unread = "", [], 0
        before = self._before
        self.book.reopen({id_ for id_, result in self._results.items() if result.outcome != "done"})
        self.book.go_on(s for s in before.subtasks if s.round == self._round)
        over = before.rounds >= self._round
        # What was missing of it then (a deadline may have come) is asked for now. Of an earlier round nothing was.
        self.state = ("complete" if before.rounds > self._round else before.state) if over else None
        if self.state == "incomplete":
            self.state = None

    @property
    def _planned(self) -> tuple[Subtask, ...]:
        """The subtasks of this round so far."""
        return tuple(subtask for subtask in self.book.subtasks if subtask.round == self._round)

    @property
    def _full(self) -> bool:
        """Whether no more subtasks are permitted here, or in the whole run."""
        return self.book.full or self._journal.fold.planned + self.book.held >= self._most

    def _finish(self) -> None:
        self.state = self.state or "incomplete"
        self._journal.append(
            e.PlanFinished(
                state=self.state,
                subtasks=len(self._planned),
                analysis=self._analysis,
                remarks=tuple(self._remarks),
                round=self._round,
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
        request, replies = self._request(self._round, self._results, self._condensed), self._replies
        if not self._planned or fingerprint(request) in replies:
            yield request
        if self.state is None:
            rest = rest_of_plan(request, self._planned)
            again = fingerprint(rest) in replies
            unread, known = self._unread, len(self._planned)
            yield rest
            if self.state == "complete" and len(self._planned) - known < unread:
                self.state = "incomplete"
                self._remarks.append(f"{unread} entries could not be read, and the repair did not bring them all")
            if again and self.state is None and not self.book.subtasks:
                # An earlier execution ended on just these replies; to read them once more would change nothing.
                yield replace(request, sample=request.sample + self._executions)

    async def _read(  # noqa: C901 - whatever can happen to a plan while it is read stands here in its order
        self, request: Request
    ) -> AsyncGenerator[Subtask, None]:
        """The subtasks of one reply of the orchestrator; sets the plan's state if the plan is whole then."""
        reader, transcript, finish = PlanReader(self._definition.workers), Transcript(), ""
        most = self._definition.limits.max_subtasks
        remarks, unread, whole = len(self._remarks), self._unread, True
        self.book.expect_again()
        try:
            call = self._caller.ask(self._errand, planner_of(self._definition), request, transcript)
            async with aclosing(call) as chunks, aclosing(_in_pieces(chunks, _LONGEST + _EACH * most)) as pieces:
                async for chunk in pieces:
                    if isinstance(chunk, Done):
                        finish = chunk.finish
                    elif isinstance(chunk, Restarted):
                        reader = PlanReader(self._definition.workers)
                        self.book.expect_again()
                        self._only = None
                        del self._remarks[remarks:]
                        self._unread = unread
                    for subtask in self._hear(chunk.text, reader) if isinstance(chunk, Text) else ():
                        yield subtask
                    if self.state is not None or self._unread - unread > most:
                        break  # nothing more of it is wanted
        except CallError as error:
            if not self.book.listed and not transcript.text:
                raise
            whole = reader.state == "closed"  # then nothing of it is missing but its end
            self._remarks += [] if whole else [f"the plan broke off: {error}"]
        finally:
            self._analysis = self._analysis or reader.analysis
        if self.state is None and self._unread - unread <= most:
            for subtask in self._end(reader, finish, transcript.text, whole=whole and self._unread == unread):
                yield subtask
        for subtask in self._settle():
            yield subtask
        self._remarks += oversize(reader.size, len(self._planned))

    def _hear(self, text: str, reader: PlanReader) -> list[Subtask]:
        """The reply goes on; the subtasks that this shows."""
        found = [subtask for item in reader.feed(text) for subtask in self._take(item, reader)]
        return [*found, *self._release()] if self._only is not None and reader.goes_on else found

    def _settle(self) -> list[Subtask]:
        """Nothing follows: the subtasks that were held back."""
        return [*self._release(), *map(self._tell, self.book.settle())]  # some need what is not there, or each other

    def _end(self, reader: PlanReader, finish: str, text: str, *, whole: bool) -> list[Subtask]:
        """A reply has come to its end, and was `whole` so far; the subtasks that only this shows."""
        unread = self._unread
        items = reader.end(whole=finish not in {"", "length", LOOPED, OVERLONG})
        found = [subtask for item in items for subtask in self._take(item, reader)]
        if reader.state != "closed":
            self._remarks.append(_unclosed(reader.state, text, finish))
        elif whole and self._unread == unread and self.state is None:
            self.state = "complete"
            if self._only is not None:
                self._only = None
                self._remarks.append("its only subtask is the whole task, and is asked as that")
        return found

    def _take(self, item: Draft | Broken, reader: PlanReader) -> list[Subtask]:
        """Take what the reader found into the plan; the subtasks that can begin now."""
        if self.state is not None:
            return []
        first = self._release()
        if isinstance(item, Broken):
            self._unread += 1
            if self._unread <= _REMARKED:
                self._remarks.append(_remark(item))
            return first
        if self.book.knows(item):
            if self.book.loops:
                self.state = "complete"
                self._remarks.append("the orchestrator listed the same subtasks again and again, and was stopped there")
            return first
        if self._full:
            self.state = "bounded"
            of_run = f"the run has max_subtasks = {self._most} already"
            self._remarks.append(self.book.why_full if self.book.full else of_run)
            return first
        self._only = item, reader.brief
        return first if self._may_be_all(item) else [*first, *self._release()]

    def _may_be_all(self, draft: Draft) -> bool:
        """Whether a plan of this subtask alone has nothing to say: one call does the task as it is written.

        That takes a worker who is asked no otherwise than who answers, and no round after this one. Who plans with a
        prompt of his own may have it put the task better.
        """
        role = self._definition.orchestrator
        only = not self.book.listed and self._definition.limits.rounds == 1 and role is not None and role.prompt is None
        return only and answers_alike(self._definition, draft.type)

    def _release(self) -> list[Subtask]:
        """The newest subtask, if it was held back; by now it is known that it is to be done."""
        if self._only is None:
            return []
        (draft, brief), self._only = self._only, None
        return [self._tell(subtask) for subtask in self.book.take(draft, self._round, brief)]

    def _tell(self, subtask: Subtask) -> Subtask:
        self._journal.append(e.planned(subtask, self._path))
        return subtask


def _remark(broken: Broken) -> str:
    return f"entry {broken.place} of the plan is no subtask ({broken.why}): {broken.excerpt}"


async def _in_pieces(chunks: AsyncGenerator[Chunk, None], most: int) -> AsyncGenerator[Chunk, None]:
    """The reply in pieces that hold nobody up, whatever came at once; it ends after so many characters."""
    left = most
    async for chunk in chunks:
        if not isinstance(chunk, Text):
            left = most if isinstance(chunk, Restarted) else left
            yield chunk
            continue
        for at in range(0, min(len(chunk.text), left), PIECE):
            if at:
                await asyncio.sleep(0)
            yield Text(chunk.text[at : at + PIECE])
        left -= len(chunk.text)
        if left <= 0:
            yield Done(OVERLONG)
            return


def _unclosed(state: str, text: str, finish: str) -> str:
    why = "" if finish in {"", "stop"} else f" (finish reason {finish!r})"
    if state == "open":
        return f"the plan's list of tasks was cut off{why}"
    return f"the reply has no list of tasks{why}: {text[:200]!r}"
