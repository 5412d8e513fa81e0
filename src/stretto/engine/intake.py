"""What the orchestrator's replies bring into a plan, while they are written: subtasks, and remarks on what is none."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from stretto import events as e
from stretto.calls import LOOPED, OVERLONG, Chunk, Done, Restarted, Text, Transcript
from stretto.engine.caller import PIECE
from stretto.engine.requests import answers_alike
from stretto.errors import CallError
from stretto.plan.book import PlanBook
from stretto.plan.form import oversize
from stretto.plan.item import Broken, Draft
from stretto.plan.reader import PlanReader
from stretto.store.journal import Journal
from stretto.types import Definition, PlanState, Subtask

_REMARKED = 20  # unreadable entries that get a remark each
_LONGEST, _EACH = 2_097_152, 4_096  # characters of a plan at most, and more for each of the subtasks that it may have


class Intake:
    """Takes the plan of a `round` in: `read` yields each subtask at the moment its line is complete.

    `book` holds those of all rounds. `state` is None until nothing will be added in the round. `unread`: entries of its
    plan that are no subtasks. With a `path` it is the plan of a workflow that does a subtask; `most`: subtasks of the
    whole run.
    """

    def __init__(
        self, definition: Definition, journal: Journal, path: str, most: int, known: Sequence[Subtask]
    ) -> None:
        self._definition = definition
        self._journal = journal
        self._path = path
        self._most = most
        self._only: tuple[Draft, str] | None = None  # the first subtask and its brief, until it is seen what follows
        self.book = PlanBook(definition.workers, definition.limits.max_subtasks, known)
        self.round = 0
        self.state: PlanState | None = None
        self.analysis = ""
        self.remarks: list[str] = []
        self.unread = 0

    def begin(self) -> None:
        """Nothing is known yet of the next round."""
        self.round += 1
        self.analysis, self.remarks, self.unread = "", [], 0

    @property
    def planned(self) -> tuple[Subtask, ...]:
        """The subtasks of this round so far."""
        return tuple(subtask for subtask in self.book.subtasks if subtask.round == self.round)

    @property
    def full(self) -> bool:
        """Whether no more subtasks are permitted here, or in the whole run."""
        return self.book.full or self._journal.fold.planned + self.book.held >= self._most

    async def read(  # noqa: C901 - whatever can happen to a plan while it is read stands here in its order
        self, reply: AsyncGenerator[Chunk, None], transcript: Transcript
    ) -> AsyncGenerator[Subtask, None]:
        """The subtasks of one reply of the orchestrator; sets the plan's state if the plan is whole then."""
        reader, finish = PlanReader(self._definition.workers), ""
        most = self._definition.limits.max_subtasks
        remarks, unread, whole = len(self.remarks), self.unread, True
        self.book.expect_again()
        try:
            async with aclosing(reply) as chunks, aclosing(_in_pieces(chunks, _LONGEST + _EACH * most)) as pieces:
                async for chunk in pieces:
                    if isinstance(chunk, Done):
                        finish = chunk.finish
                    elif isinstance(chunk, Restarted):
                        reader = PlanReader(self._definition.workers)
                        self.book.expect_again()
                        self._only = None
                        del self.remarks[remarks:]
                        self.unread = unread
                    for subtask in self._hear(chunk.text, reader) if isinstance(chunk, Text) else ():
                        yield subtask
                    if self.state is not None or self.unread - unread > most:
                        break  # nothing more of it is wanted
        except CallError as error:
            if not self.book.listed and not transcript.text:
                raise
            whole = reader.state == "closed"  # then nothing of it is missing but its end
            self.remarks += [] if whole else [f"the plan broke off: {error}"]
        finally:
            self.analysis = self.analysis or reader.analysis
        if self.state is None and self.unread - unread <= most:
            for subtask in self._end(reader, finish, transcript.text, whole=whole and self.unread == unread):
                yield subtask
        for subtask in self.settle():
            yield subtask
        self.remarks += oversize(reader.size, len(self.planned))

    def _hear(self, text: str, reader: PlanReader) -> list[Subtask]:
        """The reply goes on; the subtasks that this shows."""
        found = [subtask for item in reader.feed(text) for subtask in self._take(item, reader)]
        return [*found, *self._release()] if self._only is not None and reader.goes_on else found

    def settle(self) -> list[Subtask]:
        """Nothing follows: the subtasks that were held back."""
        return [*self._release(), *map(self.tell, self.book.settle())]  # some need what is not there, or each other

    def _end(self, reader: PlanReader, finish: str, text: str, *, whole: bool) -> list[Subtask]:
        """A reply has come to its end, and was `whole` so far; the subtasks that only this shows."""
        unread = self.unread
        items = reader.end(whole=finish not in {"", "length", LOOPED, OVERLONG})
        found = [subtask for item in items for subtask in self._take(item, reader)]
        if reader.goes_past:
            self.remarks.append("a further plan stands behind the first, which had begun by then: it is left out")
        if reader.state != "closed":
            self.remarks.append(_unclosed(reader.state, text, finish))
        elif whole and self.unread == unread and self.state is None:
            self.state = "complete"
            if self._only is not None:
                self._only = None
                self.remarks.append("its only subtask is the whole task, and is asked as that")
        return found

    def _take(self, item: Draft | Broken, reader: PlanReader) -> list[Subtask]:
        """Take what the reader found into the plan; the subtasks that can begin now."""
        if self.state is not None:
            return []
        first = self._release()
        if isinstance(item, Broken):
            self.unread += 1
            if self.unread <= _REMARKED:
                self.remarks.append(_remark(item))
            return first
        if self.book.knows(item):
            if self.book.loops:
                self.state = "complete"
                self.remarks.append("the orchestrator listed the same subtasks again and again, and was stopped there")
            return first
        if self.full:
            self.state = "bounded"
            of_run = f"the run has max_subtasks = {self._most} already"
            self.remarks.append(self.book.why_full if self.book.full else of_run)
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
        return [self.tell(subtask) for subtask in self.book.take(draft, self.round, brief)]

    def tell(self, subtask: Subtask) -> Subtask:
        """Plan a subtask; the log says so."""
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
