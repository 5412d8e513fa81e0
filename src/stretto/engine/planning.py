"""Reading the plan while it is written, and asking once for the rest of one that did not arrive whole."""

from collections.abc import AsyncGenerator, Container, Iterator
from contextlib import aclosing

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import Done, Restarted, Text, Transcript, fingerprint
from stretto.engine.caller import Caller, Errand
from stretto.engine.requests import plan_request, rest_of_plan, sized
from stretto.engine.urgencies import Urgencies
from stretto.errors import CallError, PlanError
from stretto.plan.book import PlanBook
from stretto.plan.item import Broken, Draft
from stretto.plan.reader import PlanReader
from stretto.store.journal import Journal
from stretto.types import Definition, Head, PlanState, Request, Subtask

_REMARKED = 20  # unreadable entries that get a remark each


class Planning:
    """The plan of one run: `subtasks()` yields each one at the moment its line is complete.

    `book` holds those taken in. `state` is None until nothing will be added any more. What the journal says was planned
    in an earlier execution is taken as given.
    """

    def __init__(
        self,
        definition: Definition,
        journal: Journal,
        caller: Caller,
        urgencies: Urgencies,
        replies: Container[str],
        head: Head | None = None,
    ) -> None:
        before = journal.run
        self._errand = Errand("orchestrator", urgencies.of_role("orchestrator"))
        self._definition = definition
        self._task = before.task
        self._journal = journal
        self._caller = caller
        self._replies = replies
        self._analysis = ""
        self._remarks: list[str] = []
        self._basis = before.basis
        self._head = head
        self._sized = sized(definition)
        self._unread = 0  # entries of the plan that are no subtasks
        self.book = PlanBook(definition.workers, definition.limits.max_subtasks, before.plan.subtasks)
        # What was missing of it then (a deadline may have come) is asked for now.
        self.state: PlanState | None = None if before.plan.state == "incomplete" else before.plan.state

    async def subtasks(self) -> AsyncGenerator[Subtask, None]:
        """Every subtask; raises `PlanError` if there is no plan to be had."""
        for subtask in self.book.subtasks:
            yield subtask
        if self.state is not None:
            return
        if (given := self._basis.plan) is not None:
            for subtask in given.subtasks[len(self.book.subtasks) :]:
                yield self._add(Draft(subtask.type, subtask.description, subtask.id, subtask.needs, subtask.value))
            self.state, self._analysis = given.state, given.analysis
            self._finish()
            return
        for request in self._requests():
            async with aclosing(self._read(request)) as subtasks:
                async for subtask in subtasks:
                    yield subtask
        if self.state is None and not self.book.subtasks:
            raise PlanError("the orchestrator wrote no plan that can be read: " + "; ".join(self._remarks[-2:]))
        self._finish()

    def stop(self, why: str) -> None:
        """Take the plan as it is, because nothing more of it is waited for."""
        if self.state is None:
            self._remarks.append(why)
            self._finish()

    def _finish(self) -> None:
        self.state = self.state or "incomplete"
        self._journal.append(
            e.PlanFinished(
                state=self.state,
                subtasks=len(self.book.subtasks),
                analysis=self._analysis,
                remarks=tuple(self._remarks),
            )
        )

    def _requests(self) -> Iterator[Request]:
        """What the orchestrator is asked: for its plan; then, if it is not whole, once for the rest of it."""
        sample = self._basis.samples.get("orchestrator", 0)
        request = plan_request(self._definition, self._task, sample, self._head)
        if not self.book.subtasks or fingerprint(request) in self._replies:
            yield request
        if self.state is None:
            rest = rest_of_plan(request, self.book.subtasks)
            again = fingerprint(rest) in self._replies
            unread, known = self._unread, len(self.book.subtasks)
            yield rest
            if self.state == "complete" and len(self.book.subtasks) - known < unread:
                self.state = "incomplete"
                self._remarks.append(f"{unread} entries could not be read, and the repair did not bring them all")
            if again and self.state is None and not self.book.subtasks:
                # An earlier execution ended on just these replies; to read them once more would change nothing.
                yield replace(request, sample=request.sample + self._journal.run.executions)

    async def _read(  # noqa: C901 - whatever can happen to a plan while it is read stands here in its order
        self, request: Request
    ) -> AsyncGenerator[Subtask, None]:
        """The subtasks of one reply of the orchestrator; sets the plan's state if the plan is whole then."""
        reader, transcript, finish = PlanReader(), Transcript(), ""
        most = self._definition.limits.max_subtasks
        remarks, unread, whole = len(self._remarks), self._unread, True
        self.book.expect_again()
        try:
            role = self._definition.orchestrator
            async with aclosing(self._caller.ask(self._errand, role, request, transcript)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):
                        finish = chunk.finish
                    elif isinstance(chunk, Restarted):
                        reader = PlanReader()
                        self.book.expect_again()
                        del self._remarks[remarks:]
                        self._unread = unread
                    for item in reader.feed(chunk.text) if isinstance(chunk, Text) else ():
                        self.book.scale(reader.size if self._sized else "")
                        if subtask := self._take(item):
                            yield subtask
                        if self.state == "bounded" or self._unread - unread > most:
                            return
        except CallError as error:
            if not self.book.subtasks and not transcript.text:
                raise
            whole = reader.state == "closed"  # then nothing of it is missing but its end
            self._remarks += [] if whole else [f"the plan broke off: {error}"]
        finally:
            self._analysis = self._analysis or reader.analysis
        for broken in reader.end():
            self._take(broken)
        if reader.state != "closed":
            self._remarks.append(_unclosed(reader.state, transcript.text, finish))
        elif whole and self._unread == unread:
            self.state = "complete"

    def _take(self, item: Draft | Broken) -> Subtask | None:
        """Take what the reader found into the plan; None if it is nothing new."""
        if isinstance(item, Broken):
            self._unread += 1
            if self._unread <= _REMARKED:
                self._remarks.append(_remark(item))
            return None
        if self.book.knows(item):
            return None
        if self.book.full:
            self.state = "bounded"
            self._remarks.append(self.book.why_full)
            return None
        return self._add(item)

    def _add(self, draft: Draft) -> Subtask:
        subtask, remark = self.book.take(draft)
        self._journal.append(
            e.SubtaskPlanned(
                subtask=subtask.id,
                type=subtask.type,
                description=subtask.description,
                needs=subtask.needs,
                value=subtask.value,
                remark=remark,
            )
        )
        return subtask


def _remark(broken: Broken) -> str:
    return f"entry {broken.place} of the plan is no subtask ({broken.why}): {broken.excerpt}"


def _unclosed(state: str, text: str, finish: str) -> str:
    why = "" if finish in {"", "stop"} else f" (finish reason {finish!r})"
    if state == "open":
        return f"the plan's list of tasks was cut off{why}"
    return f"the reply has no list of tasks{why}: {text[:200]!r}"
