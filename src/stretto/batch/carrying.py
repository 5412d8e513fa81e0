"""Carrying a batch: so many runs at the same time, each line written as its run ends."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from decimal import Decimal

from stretto.batch.counts import Counts
from stretto.batch.jobs import Job, Jobs
from stretto.batch.outfile import OutFile
from stretto.batch.results import answered, failed, state_of
from stretto.batch.source import Source
from stretto.batch.ways import Ended, Way
from stretto.errors import AuthError, ConfigError, DayBudgetError, NoStore, RunBusy, StoreError, StrettoError, cause_of
from stretto.ground.ids import group_of, named_ulid
from stretto.run.opening import NothingKept
from stretto.store.listing import Wanted
from stretto.store.locations import Location
from stretto.store.patience import patiently
from stretto.store.schema import GLANCE
from stretto.store.spent import spent
from stretto.store.sqlite import Store
from stretto.store.summary import Summary

_EVERY_LINE = (AuthError, ConfigError, StoreError)
"""What is no matter of a line: the next one would end with the same."""
_PAGE = 500  # runs that are listed at once


class Purse:
    """What all runs together may cost, US dollars; `each`: the budget of one, which is set aside while it is carried.

    `spent`: what runs of the batch have cost before.
    """

    def __init__(self, total: Decimal, each: Decimal, spent: Decimal) -> None:
        self._total = total
        self._each = each
        self._spent = spent
        self._begun = 0
        self._changed = asyncio.Condition()

    async def take(self, before: Decimal) -> bool:
        """Set a run's budget aside, of which `before` is spent already; False if it is not left.

        It waits for runs that are being carried as long as what they may leave could be enough.
        """
        async with self._changed:
            while self._total - self._spent + before - self._each * self._begun < self._each:
                if not self._begun:
                    return False
                await self._changed.wait()
            self._spent -= before
            self._begun += 1
            return True

    async def settle(self, cost: Decimal) -> None:
        """A run is over, and has cost so much over all its executions."""
        async with self._changed:
            self._spent += cost
            self._begun -= 1
            self._changed.notify_all()


class Batch:
    """Carries the lines of a `source` that its `output` does not have, `runs` at the same time.

    `store`: where their runs are kept. `budget`: of all of them together, US dollars, in which each may cost what its
    workflow's limits say. `told` is called whenever the `counts` have changed, with a line that failed, if one did.
    """

    def __init__(
        self,
        source: Source,
        output: OutFile,
        jobs: Jobs,
        way: Way,
        store: Location,
        *,
        runs: int,
        budget: Decimal | None = None,
        told: Callable[[Counts, str], None] = lambda *_: None,
    ) -> None:
        self._source = source
        self._output = output
        self._jobs = jobs
        self._way = way
        self._store = Store(store, GLANCE)
        self._runs = runs
        self._budget = budget
        self._told = told
        self.counts = Counts()
        self._purse: Purse | None = None
        self._begun: dict[str, Decimal] = {}  # what runs that were not over had cost when this began

    async def carry(self) -> Counts:
        """Carry what is left; raises `TaskError` for lines that cannot be used, before anything is asked.

        Cancelled, every run stops, and the same batch goes on with it when it is carried the next time. So it does
        after an error that concerns every line, which is raised.
        """
        with ExitStack() as stack:
            try:
                whole = named_ulid(self._jobs.batch, "")
                await patiently(lambda: stack.enter_context(self._store.carrying(whole)))
            except RunBusy as error:
                writing = f"{self._output.path}: another `stretto batch` is writing it; wait until it ends"
                raise StoreError(writing) from error
            self._output.read()
            self.counts, models = self._source.check(self._jobs, self._output)
            stack.enter_context(self._output)
            await self._carry(models)
        return self.counts

    async def _carry(self, models: set[str]) -> None:
        async with self._way.ready(models):  # a missing key is an error before anything is paid
            if self._budget is not None:
                before = await patiently(self._before)
                self._purse = Purse(self._budget, self._jobs.workflow.definition.limits.budget or self._budget, before)
            jobs = self._source.jobs(self._jobs, self._output)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._runs):
                        group.create_task(self._one_by_one(jobs))
            except BaseExceptionGroup as error:
                cause = cause_of(error)
                raise cause from cause.__cause__

    async def _one_by_one(self, jobs: Iterator[Job]) -> None:
        """Carry jobs as long as there are any, and they can be paid."""
        for job in jobs:
            if self.counts.unpaid:
                return
            await self._paid(job)

    async def _paid(self, job: Job) -> None:
        """Carry a job, if the total budget allows for it."""
        run = self._jobs.run_id(job.line)
        if self._purse is None:
            await self._line(job, run)
        elif await self._purse.take(self._begun.pop(run) if run in self._begun else await self._spent(run)):
            try:
                await self._line(job, run)
            finally:
                await self._purse.settle(await self._spent(run))
        else:
            self.counts.unpaid = True

    async def _line(self, job: Job, run: str) -> None:
        """Carry a job and write its line."""
        self.counts.under_way += 1
        try:
            ended = await self._ended(job)
        finally:
            self.counts.under_way -= 1
        cost = ended.run.cost if ended.run else None
        if isinstance(ended.error, DayBudgetError):  # it is none of this line either, and those under way may end
            self._told(self.counts, "" if self.counts.unpaid else str(ended.error))
            self.counts.unpaid = True
        elif ended.error is not None:
            if isinstance(ended.error, _EVERY_LINE) and not isinstance(ended.error, NothingKept):
                raise ended.error
            self._output.write(failed(job, ended.error, ended.run, run))
            self.counts.count("failed", cost)
            self._told(self.counts, f"line {job.line.number} ({job.line.key}): {ended.error}")
        elif ended.run is not None:
            self._output.write(answered(job, ended.run))
            self.counts.count(state_of(ended.run), cost)
            self._told(self.counts, "")

    async def _ended(self, job: Job) -> Ended:
        """What has become of a job."""
        try:
            named = any(isinstance(each, str) for each in job.inputs)  # which may take a while to read
            inputs = await asyncio.to_thread(self._jobs.inputs, job) if named else self._jobs.inputs(job)
            stream = self._jobs.stream(job, inputs)
        except StrettoError as error:
            return Ended(None, error)
        return await self._way.carried(stream, job.workflow.shape)

    def _before(self) -> Decimal:
        """What the batch has cost before, and of that, what runs that are not over: workers may go on with them now."""
        total = Decimal(0)
        with suppress(NoStore):
            for told in self._earlier(group_of(named_ulid(self._jobs.batch, ""))):
                total += (cost := spent(self._store, [told]))
                if told.status != "finished":
                    self._begun[told.run] = cost
        return total

    async def _spent(self, group: str) -> Decimal:
        """What the runs in the store whose ids begin so have cost."""
        try:
            return await patiently(lambda: spent(self._store, self._earlier(group)))
        except NoStore:
            return Decimal(0)

    def _earlier(self, group: str) -> Iterator[Summary]:
        """The runs in the store whose ids begin so, newest first."""
        before = ""
        while page := self._store.listing(Wanted(group=group, limit=_PAGE, before=before)):
            yield from page
            if len(page) < _PAGE:
                return
            before = page[-1].run
