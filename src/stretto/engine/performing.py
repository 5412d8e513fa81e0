"""Doing one subtask: whatever happens is its result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager

from stretto import events as e
from stretto import prompts
from stretto.calls import Transcript
from stretto.engine.caller import Errand
from stretto.engine.deadline import Deadline
from stretto.engine.inquiry import Inquiry
from stretto.engine.requests import part_task, repetition_of, role_of, sample_of
from stretto.engine.results import lacking, stopped, unasked, unpaid
from stretto.engine.setbacks import Setbacks
from stretto.engine.urgencies import Urgencies
from stretto.engine.work import verified, work
from stretto.ground.turns import my_turn
from stretto.head import Heads
from stretto.plan.book import PlanBook
from stretto.policies.account import Account
from stretto.proposal import dependents
from stretto.store.journal import Journal
from stretto.types import Definition, Result, Role, Subtask


class Performing:
    """Does the subtasks of one plan, each as soon as what it needs is there.

    `path`: the subtask that has this plan, with a slash behind it; empty for the run's own. `within` has a subtask of
    this name done by a workflow, for which it is this task. `given`: results of subtasks that are not computed.
    `said`: what callers keep of a subtask until it is over.
    """

    def __init__(
        self,
        definition: Definition,
        task: str,
        path: str,
        book: PlanBook,
        *,
        heads: Heads,
        given: Mapping[str, Result],
        inquiry: Inquiry,
        within: Callable[[Definition, str, str], Awaitable[Result]],
        journal: Journal,
        account: Account,
        deadline: Deadline,
        setbacks: Setbacks,
        said: MutableMapping[str, list[Transcript]],
    ) -> None:
        self._definition = definition
        self._task = task
        self._path = path
        self._book = book
        self._heads = heads
        self._given = given
        self._inquiry = inquiry
        self._within = within
        self._journal = journal
        self._account = account
        self._deadline = deadline
        self._setbacks = setbacks
        self._said = said
        self._urgencies = Urgencies()
        self._performing: dict[str, asyncio.Task[Result]] = {}
        self._ending: dict[str, list[asyncio.Task[Result]]] = {}  # whose place another one has taken
        self._workers: asyncio.TaskGroup | None = None
        self._round: dict[str, Subtask] = {}  # those of the round that is carried out
        self._planning = False
        self._asking: set[str] = set()
        self._kept: dict[str, Result] = {}  # what the account has set aside for
        self._over: set[str] = set()

    @property
    def results(self) -> Mapping[str, Result]:
        """What the subtasks came to; all of them must be over."""
        return {subtask: task.result() for subtask, task in self._performing.items()}

    def start(self, subtask: Subtask, workers: asyncio.TaskGroup) -> None:
        """Begin with a subtask that was planned."""
        if workers is not self._workers:  # a further round
            self._workers, self._round = workers, {}
        self._round[subtask.id] = subtask
        self._urgencies.plan(subtask)
        if self._account.limited:
            self._keep(unpaid(subtask.id), subtask)  # what is told of it, if nothing else can be
        self._performing[subtask.id] = workers.create_task(self._perform(subtask))

    @contextmanager
    def planning(self) -> Iterator[None]:
        """For as long as further subtasks may be started in this round."""
        self._planning = True
        try:
            yield
        finally:
            self._planning = False

    def running(self, subtask: str) -> bool:
        """Whether somebody is asked for a subtask right now."""
        return subtask in self._asking

    def stop(self, subtask: str) -> None:
        """Give up what is asked for a subtask, as the log says."""
        self._asking.remove(subtask)
        self._performing[subtask].cancel()

    def fixed(self, subtask: str) -> str:
        """Why a subtask cannot be asked anew; empty if it can."""
        if self._path + subtask in self._given:
            return "its result was taken over from another run"
        if subtask not in self._round:
            return "the orchestrator has read its result" if subtask in self._performing else "it has not begun"
        if self._round[subtask].alone and subtask in self._over:
            return "it is a row of a list, which was given out"
        if not self._planning and all(self._performing[id_].done() for id_ in self._round):
            return "all results are there, and the answer is being written; a rerun asks it anew (fresh)"
        return ""

    def again(self, subtask: str) -> None:
        """Begin anew with a subtask, and with all that need it."""
        assert self._workers is not None  # noqa: S101 - it was started
        for id_ in (subtask, *dependents(self._round.values(), [subtask])):
            again, before = self._round[id_], self._performing[id_]
            before.cancel()
            self._ending[id_] = [task for task in (*self._ending.get(id_, ()), before) if not task.done()]
            if id_ in self._over:
                self._over.discard(id_)
                self._urgencies.reopen(again)
            self._keep(unpaid(id_), again)
            self._performing[id_] = self._workers.create_task(self._perform(again))

    async def _perform(self, subtask: Subtask) -> Result:
        """Do a subtask, once whoever has done it before is through."""
        if ending := self._ending.get(subtask.id):
            await asyncio.wait(ending)
        await my_turn()  # plans are read in pieces, and a map has all its rows at once
        result, seconds = await self._result(subtask)
        self._urgencies.finish(subtask, seconds)
        self._over.add(subtask.id)
        self._keep(result, subtask)
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
        full = self._path + subtask.id
        if (given := self._given.get(full)) is not None:
            return given, 0.0
        if (text := self._journal.fold.stopped.get(full)) is not None:  # in an earlier execution
            return stopped(subtask.id, text), 0.0
        if refusal := self._book.refusal(subtask):
            return Result(subtask.id, "failed", error=refusal), 0.0
        needed: Sequence[tuple[Subtask, Result]] = ()
        if subtask.needs:
            try:
                async with self._deadline.work():
                    needed = await self._needed(subtask)
            except TimeoutError:
                self._setbacks.cut()
                return unasked(subtask.id), 0.0
        role = role_of(self._definition, subtask)
        if (lacks := lacking(role, subtask, needed)) is not None:
            return lacks, 0.0
        self._journal.append(e.SubtaskStarted(subtask=full))
        return await self._asked_unless_stopped(subtask, role, needed)

    async def _needed(self, subtask: Subtask) -> list[tuple[Subtask, Result]]:
        """What a subtask needs, once it is there."""
        needs = [need for need in subtask.needs if need in self._performing]
        return [(self._book[need], await asyncio.shield(self._performing[need])) for need in needs]

    async def _asked_unless_stopped(
        self, subtask: Subtask, role: Role, needed: Sequence[tuple[Subtask, Result]]
    ) -> tuple[Result, float]:
        """What whoever does a subtask makes of it; if somebody stops it, what there was then."""
        full = self._path + subtask.id
        ended: tuple[Result, float] | None = None
        self._asking.add(subtask.id)
        try:
            ended = await self._asked(subtask, role, needed)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if full not in self._journal.fold.stopped or task is None or task.uncancel():
                raise  # somebody stops more than this
        finally:
            self._asking.discard(subtask.id)
            self._said.pop(full, None)
        text = self._journal.fold.stopped.get(full)
        return (stopped(subtask.id, text or ""), 0.0) if ended is None or text is not None else ended

    async def _asked(
        self, subtask: Subtask, role: Role, needed: Sequence[tuple[Subtask, Result]]
    ) -> tuple[Result, float]:
        """What whoever does a subtask makes of it."""
        full, head = self._path + subtask.id, self._heads.of(subtask.reads)
        basis = self._journal.fold.basis
        sample, remark = sample_of(basis, full), basis.remarks.get(full, "")
        sample += repetition_of(subtask, self._book.subtasks) if subtask.round > 1 else 0
        errand = Errand("worker", self._urgencies.of(subtask.id), full, subtask.value)
        if role.workflow is None:
            asking = work(self._definition, self._task, subtask, needed, sample, head, remark)
            return await self._inquiry.answer(asking, errand)
        began = asyncio.get_running_loop().time()
        result = await self._within(role.workflow, part_task(role, self._task, subtask, needed, remark), full)
        seconds = asyncio.get_running_loop().time() - began
        if result.verdict is not None:  # what is known to lack something is doubtful anyway
            return result, seconds
        asking = verified(self._definition, self._task, subtask, needed, result, sample, head)
        checked, more = await self._inquiry.answer(asking, errand)
        return checked, seconds + more

    def _keep(self, result: Result, subtask: Subtask) -> None:
        """The run's synthesizer will read this, which must be paid for, too; others are paid like workers."""
        if self._account.limited and not self._path:
            before = self._kept.get(subtask.id)
            self._kept[subtask.id] = result
            self._account.keep(_told(subtask, result), instead_of=_told(subtask, before) if before else "")


def _told(subtask: Subtask, result: Result) -> str:
    """What the synthesizer reads of a subtask."""
    return "\n".join(prompts.result_text(subtask, result))
