"""Carrying the runs that a worker was given: each until it is over, or waits for somebody to approve its plan."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any

import msgspec

from stretto.cluster import engine, queue
from stretto.cluster.ending import end
from stretto.errors import DayBudgetError, RunBusy, StoreLocked, StrettoError
from stretto.events import RunFailed
from stretto.proposal import Answer, Decision, Leave, Proposal
from stretto.run.stream import RunStream
from stretto.store.connecting import connect
from stretto.store.locations import Server
from stretto.store.patience import patiently
from stretto.store.postgres import proposals
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.workflow import Workflow

_BUSY = 0.5  # seconds until a run that somebody else still carries is tried again
_log = logging.getLogger("stretto.worker")


class Carrying:
    """Carries runs of a store for a `worker`, each by the workflow that `workflow_of` makes of its id.

    `runs` are under way; so many are `done`, or have `failed`. `told` is called with a line for what becomes of a run.
    """

    def __init__(
        self, server: Server, worker: str, workflow_of: Callable[[str], Workflow[Any]], told: Callable[[str], None]
    ) -> None:
        self.runs: dict[str, RunStream[Any]] = {}
        self.done = self.failed = 0
        self._server = server
        self._worker = worker
        self._short = set[str]()  # of which it was told that they wait for the budget of the day
        self._store = Store(server, GLANCE)
        self._workflow_of = workflow_of
        self._told = told

    async def carry(self, run: str) -> str:
        """Carry a run to its end, whatever that is; what has become of it.

        It waits for whoever still carries it and may die yet. For the budget of the day it waits in nobody's place.
        """
        said = ""
        while True:
            try:
                return await self._carried(run)
            except RunBusy as error:
                if str(error) != said:
                    said = str(error)
                    self._told(f"{run}: {error}")
                await asyncio.sleep(_BUSY)
            except DayBudgetError as error:
                if run not in self._short:
                    self._short.add(run)
                    self._told(f"{run}: {error}")
                await asyncio.to_thread(self._put_by, run)
                raise asyncio.CancelledError from error
            except StoreLocked as error:
                self._told(f"{run}: {error}")
                raise asyncio.CancelledError from error  # what cannot be recorded now waits for whoever can
            except Exception as error:  # noqa: BLE001 - whatever it is, this run alone has failed
                if not isinstance(error, StrettoError):
                    _log.exception("run %s", run)
                self.failed += 1
                self._told(f"{run}: failed: {type(error).__name__}: {error}")
                await self._fail(run, error)
                return "failed"

    async def _carried(self, run: str) -> str:
        while True:
            before = await patiently(lambda: self._store.run(run))
            if before.status == "finished":
                await asyncio.to_thread(wait_no_more, self._server, run)
                return "finished"
            asked = before.basis.approve and before.approval != "given"
            workflow = await asyncio.to_thread(self._workflow_of, run)
            stream = workflow.resume(run, approve=partial(decided, self._server, run) if asked else None)
            await self._followed(run, stream)
            if stream.run.status == "finished":
                self.done += 1
                self._told(f"{run}: finished")
                return "finished"
            if stream.run.status == "interrupted":
                self._told(f"{run}: stopped at its plan")
                return "interrupted"
            if not await asyncio.to_thread(proposals.is_decided, self._server, run):
                self._told(f"{run}: its plan waits for approval")
                return "asked"

    def _put_by(self, run: str) -> None:
        with suppress(StoreLocked), closing(connect(self._server, create=False)) as db:  # else it is found as forgotten
            engine.put_by(db, self._worker, run)

    async def _fail(self, run: str, error: Exception) -> None:
        """See that a run is told to have failed that could not even begin; it waits for nobody then."""
        told = RunFailed(error=str(error) or repr(error), error_type=type(error).__name__)
        try:
            await end(self._store, run, told)
        except StoreLocked as why:
            raise asyncio.CancelledError from why  # what cannot be said now waits for whoever can
        except StrettoError as why:  # its log cannot be read, or written
            _log.warning("run %s: that it failed cannot be said in its log: %s", run, why)
            await asyncio.to_thread(wait_no_more, self._server, run)

    async def _followed(self, run: str, stream: RunStream[Any]) -> None:
        """Carry a run as long as this stream goes."""
        stream.streamed = True  # so that there is something to be kept of a subtask that is stopped
        try:
            async with stream:
                async for _ in stream:  # before its first event it may be refused
                    break
                self._short.discard(run)
                self.runs[run] = stream
                self._told(f"{run}: begun")
                await stream.finished()
        finally:
            self.runs.pop(run, None)


async def decided(server: Server, run: str, proposal: Proposal) -> Decision:
    """What is kept in the store of what was decided about a run's plan; where nothing is, the run is left."""
    decision = await asyncio.to_thread(proposals.take, server, run)
    if decision is not None:
        return msgspec.json.decode(decision, type=Answer).decided()
    await asyncio.to_thread(proposals.keep, server, run, msgspec.json.encode(proposal))
    return Leave()


def wait_no_more(server: Server, run: str) -> None:
    """Have it known that this run waits for nobody."""
    with closing(connect(server, create=False)) as db:
        queue.wait_no_more(db, run)


def wait_again(server: Server, worker: str, runs: Sequence[str] | None = None) -> None:
    """Have it known that runs that this worker has, some or all, wait for another."""
    with closing(connect(server, create=False)) as db:
        engine.tell_waiting(db, worker, runs)
