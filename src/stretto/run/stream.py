"""Carrying one execution of a run, and showing its events to whoever reads them."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, setcontext
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self

from msgspec.structs import replace

from stretto.engine import Execution
from stretto.engine.steering import Steering
from stretto.errors import CallError, ConfigError, StrettoError, TaskError, cause_of
from stretto.events import AnyEvent, RunFailed, RunInterrupted, RunResumed, RunStarted
from stretto.forecast.approval import Ahead, Approval, Approved
from stretto.ground.tracebacks import without_frames
from stretto.ground.turns import my_turn
from stretto.logger import log
from stretto.models.functions import Functions
from stretto.policies.bounds import Bounds
from stretto.policies.composition import Composition
from stretto.pool import Pool
from stretto.proposal import Approve, Proposal
from stretto.rerun import Rerun
from stretto.run.assembly import foretold, opened, ready
from stretto.run.knowing import find_out, learn
from stretto.run.opening import New, open_run
from stretto.run.purse import open_account
from stretto.run.team import Team
from stretto.runs import Parsed, Run
from stretto.shapes import Shape, fitted
from stretto.store.journal import Journal
from stretto.store.locations import Location, written
from stretto.types import Basis
from stretto.types.facts import facts_of

_EXACT = Context(prec=28, traps=[DivisionByZero, InvalidOperation, Overflow])


class RunStream(Generic[Parsed]):
    """One execution of a run: an asynchronous context manager, and inside it the iterator over the run's events.

    Leaving it early, or cancelling whoever is inside, stops the run and every call in flight. After `run_failed` the
    iterator raises the error itself.
    """

    def __init__(
        self,
        team: Team,
        run: str,
        begin: New | Rerun | None,
        *,
        pool: Callable[[], Pool],
        store: Location | None = None,
        jitter: Callable[[float, float], float] = random.uniform,
        shape: Shape | None = None,
        plan_only: bool = False,
        approve: Approve | None = None,
    ) -> None:
        self.run_id = run
        self.streamed = False
        """Whether workers are streamed, too, so that what they have said so far is known; set before it is entered."""
        self._team = team
        self._pool = pool
        self._store = store
        self._jitter = jitter
        self._shape = shape
        self._begin = begin
        self._plan_only = plan_only
        self._approve = approve
        self._approval: Approval | None = None
        self._ahead: Ahead | None = None
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._unread = False  # nobody reads them any more
        self._carrier: asyncio.Task[None] | None = None
        self._journal: Journal | None = None
        self._refused: Run[Any] | None = None
        self._execution: Execution | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything of the run yet."""
        return self._journal is not None

    @property
    def recorded(self) -> bool:
        """Whether the run is in a store, so that it can be resumed."""
        return self._store is not None and self._journal is not None

    @property
    def run(self) -> Run[Parsed]:
        """The run so far; one that could not begin is `failed`, with what kept it from that."""
        if self._refused is not None:
            return self._refused
        if self._journal is None:
            raise StrettoError("the run has not begun; enter the stream with `async with` first")
        return shaped(self._journal.run, self._shape)

    @property
    def store(self) -> str | Path | None:
        """Where the run is kept: a file, or the address of a database. None: nowhere."""
        return None if self._store is None else written(self._store)

    @property
    def is_portable(self) -> bool:
        """Whether another process could carry the run: no Python function of this one takes part in it."""
        return not any(isinstance(each, Functions) and each.known for each in self._team.used.values())

    @property
    def is_new(self) -> bool:
        """Whether it is begun here; else it goes on with a run that is there, or makes one anew."""
        return isinstance(self._begin, New)

    @property
    def approved(self) -> Approved | None:
        """The proposal that this execution carries out, if it was to be approved and was."""
        return self._approval.approved if self._approval else None

    def heard(self, call: str) -> int:
        """The characters that a call in flight has been answered with so far; 0 for any other."""
        return self._execution.heard(call) if self._execution else 0

    def replying(self, call: str) -> float | None:
        """Seconds since the reply to a call in flight began; None if it has not, and for any other."""
        return self._execution.replying(call) if self._execution else None

    def saying(self, call: str) -> str:
        """What a call in flight has been answered so far; nothing for any other."""
        return self._execution.saying(call) if self._execution else ""

    async def forecast(self) -> Proposal | None:
        """What is left of its plan will take, from now on; None while there is no plan, and once it is over.

        It is not over where only its plan was asked for.
        """
        left = self.run.status == "running" or (self._plan_only and self.run.status == "interrupted")
        if self._ahead is None or not self.run.plan.subtasks or not left:
            return None
        return await asyncio.to_thread(await self._ahead(self.run.plan))

    def stop_subtask(self, subtask: str) -> None:
        """Stop one subtask: what it has said so far is its result, which is `cut`, and the run goes on with that.

        Of a call that is not streamed (`streamed`, `Role.stream`) nothing is heard before its end. Resumed or replayed,
        the run does the same. Raises `TaskError` if the subtask is not running.
        """
        self._under_way.stop(subtask)

    def again(self, subtask: str, remark: str = "") -> None:
        """Ask one subtask anew, with a remark in its prompt; whatever needs it, directly or not, begins anew as well.

        Replies that nobody needs any more are paid all the same. Raises `TaskError` if it cannot be: it has not begun,
        or all results are there and the answer is being written (then `Workflow.rerun` asks it anew).
        """
        self._under_way.again(subtask, remark)

    @property
    def _under_way(self) -> Steering:
        if self._execution is None:
            raise TaskError("the run is not under way, so none of its subtasks is")
        return self._execution.steering

    def stop(self) -> None:
        """Stop the run, and every call in flight: its events end with `run_interrupted`, and it can be resumed."""
        if self._carrier is not None:
            self._carrier.cancel()

    async def begin(self) -> None:
        """Keep the beginning of the run in its store and no more: `Workflow.resume` carries it, in any process.

        One that was begun stays as it is, but that it goes on as this says, if that is another workflow than before.
        Raises `ConfigError` without a store, and what a run cannot begin with.
        """
        if self._store is None:
            raise ConfigError("a run can only be begun in a store; give the workflow one (store=…)")
        keeps = self._team.definition.memory.record == "all"
        async with AsyncExitStack() as stack:
            begin = replace(self._begin, again=True) if isinstance(self._begin, New) else self._begin
            approve = self._approve is not None
            opening = await open_run(self._team, self._store, self.run_id, begin, stack, {}, approve=approve)
            journal = Journal(self.run_id, store=self._store, show=log, keeps_texts=keeps, history=opening.history)
            await stack.enter_async_context(journal)
            if not opening.history or _is_changed(journal.run, opening.event):
                journal.append(opening.event)

    def __repr__(self) -> str:
        return f"<events of run {self.run_id}: enter with `async with`, or take run or run_sync>"

    async def __aenter__(self) -> Self:
        if self._carrier is not None:
            raise StrettoError("this stream was entered before; `workflow.stream(task)` makes a new one for every run")
        self._carrier = asyncio.create_task(self._carry(), name=f"stretto-{self.run_id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        carrier, again = self._carrier, None
        assert carrier is not None  # noqa: S101 - it was entered
        carrier.cancel()
        while not carrier.done():  # no call outlives this, even if whoever waits here is cancelled meanwhile
            try:
                await asyncio.wait([carrier])
            except asyncio.CancelledError as error:
                again = error
        # Its outcome was told to whoever read the events to their end; who left before does not want it.
        if not carrier.cancelled():
            carrier.exception()
        if again is not None:
            raise again

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        if self._carrier is None:
            raise StrettoError("the run has not begun; enter the stream with `async with` before reading its events")
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)  # asked again, the answer is the same
            if not self._carrier.cancelled():
                with without_frames:
                    await self._carrier
            raise StopAsyncIteration
        return event

    async def finished(self) -> Run[Parsed]:
        """Wait for the end of the run, without its events, and give it; raises what made an answer impossible."""
        self._unread = True
        async for _ in self:
            pass
        return self.run

    async def _carry(self) -> None:
        setcontext(_EXACT.copy())  # whose program this is may reckon in three digits, or forbid what is inexact
        try:
            await my_turn()
            async with AsyncExitStack() as stack:
                await self._open(stack)
        except StrettoError as error:
            if self._journal is None:
                self._refused = self._told(error)
            raise
        finally:
            self._events.put_nowait(None)

    def _told(self, error: StrettoError) -> Run[Any]:
        """The run that an error kept from beginning."""
        begin, team = self._begin, self._team
        return Run(
            id=self.run_id,
            task=begin.task if isinstance(begin, New) else "",
            workflow=team.record(),
            status="failed",
            simulated=team.simulated,
            basis=begin.basis if isinstance(begin, New) else Basis(),
            cost=Decimal(0),
            error=str(error),
            error_type=type(error).__name__,
        )

    async def _open(self, stack: AsyncExitStack) -> None:
        began = asyncio.get_running_loop().time()
        team, store = self._team, self._store
        pool = await stack.enter_async_context(self._pool())
        known = await ready(pool, team, store)
        await my_turn()
        approve = self._approve is not None
        opening, journal = await opened(
            team, store, self.run_id, self._begin, stack, known, self._show, approve=approve
        )
        self._journal = await stack.enter_async_context(journal)
        journal.append(opening.event)
        definition, replies = opening.definition, opening.replies
        account = await open_account(definition, journal, pool)
        limits, asking = definition.limits, partial(find_out, pool, store)
        bounds = Bounds(definition.known, pool, limits.max_subtasks, asking)
        composition = Composition(pool.model, limits, account, pool.prices, replies, self._jitter, bounds)
        self._ahead = foretold(team, opening, journal, pool, store)
        if self._approve is not None:
            self._approval = Approval(self._approve, self._ahead, journal)
        ask, given, consider = composition.model, opening.given, self._approval
        execution = Execution(
            definition, journal, ask, account, replies, given, self._shape, consider, began, streamed=self.streamed
        )
        try:
            await self._execute(execution, journal)
        finally:
            learn(pool, store, journal.run, bounds.known, bounds.learned)

    def _show(self, event: AnyEvent) -> None:
        log(event)
        if not self._unread:
            self._events.put_nowait(event)

    async def _execute(self, execution: Execution, journal: Journal) -> None:
        """Run it; however it ends, the log says so."""
        self._execution = execution
        try:
            await journal.settled()  # nothing is asked for a run that cannot be recorded
            await my_turn()
            await (execution.plan() if self._plan_only else execution.execute())
        except Exception as error:  # noqa: BLE001 - whatever it is, the log says so, and it is raised again
            cause = cause_of(error)
            if isinstance(cause, StrettoError):
                cause.run_id = self.run_id
            call, facts = (cause.call, facts_of(cause)) if isinstance(cause, CallError) else ("", None)
            kind = type(cause).__name__
            journal.append(RunFailed(error=str(cause) or repr(cause), error_type=kind, call=call, facts=facts))
            raise cause from cause.__cause__
        except BaseException:  # cancelled, Ctrl-C, exit
            if journal.run.status == "running":  # else it was stopped after its end
                journal.append(RunInterrupted())
            raise


def _is_changed(run: Run[Any], event: RunStarted | RunResumed) -> bool:
    """Whether a run goes on with another workflow than the one that it has begun with."""
    return run.status != "finished" and run.workflow != event.workflow


def shaped(run: Run[Any], shape: Shape | None) -> Run[Any]:
    """The run with its answer `parsed`, if that has a shape and is there."""
    if shape is None or run.status != "finished" or run.basis.each is not None:
        return run
    return replace(run, parsed=fitted(run.answer, shape).parsed)
