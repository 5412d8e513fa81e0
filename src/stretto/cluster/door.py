"""A store in PostgreSQL and whoever carries its runs, as those see them who hand runs over, watch and steer them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Self

import msgspec

from stretto.cluster import orders
from stretto.cluster.ending import end
from stretto.cluster.news import News, Until
from stretto.cluster.orders import Order
from stretto.cluster.queue import PRIORITY, Queue, at_work, queue, server_of
from stretto.errors import ConfigError, RunBusy, TaskError
from stretto.events import RunInterrupted
from stretto.proposal import Answer, Proposal
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.store.locations import Location, location_of
from stretto.store.patience import asked, patiently
from stretto.store.postgres import proposals
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store

_GOING_ON = frozenset({"running", "queued"})
_PARTING = 10.0  # seconds that a worker has to stop a run
_GLANCE = 5.0  # seconds between two looks at a run of which nothing is heard


class Cluster:
    """The workers of a store in PostgreSQL: runs are handed to them, watched, steered, stopped. Used as `async with`.

    `store`: its address, `postgresql://…`. Raises `ConfigError` for a file, which other machines cannot reach, or where
    the extra `cluster` is not installed, and `StoreError` for a database that cannot be used.
    """

    def __init__(self, store: Location | str) -> None:
        self._server = server_of(location_of(store) if isinstance(store, str) else store)
        self._store = Store(self._server, GLANCE)
        self._news = News(self._server)
        self._stack = ExitStack()
        self._queue: Queue | None = None

    async def __aenter__(self) -> Self:
        self._queue = await asked(lambda: self._stack.enter_context(queue(self._server)))
        await self._news.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._news.__aexit__()
        await asyncio.to_thread(self._stack.close)

    async def submit(self, stream: RunStream[Any], priority: int | None = None) -> str:
        """Have a worker carry a run, as `Workflow.stream` (or `rerun`, `resume`) gives it; its id.

        It is in the list of runs when this returns. `priority`: the lower goes first, from 1 on; 1000. A run that
        waits already stays where it is. Raises `ConfigError` for a workflow with Python functions, which nobody else
        has.
        """
        if stream.store != self._server.url:
            where = "no store" if stream.store is None else location_of(stream.store)
            raise ConfigError(f"{self._server}: a run that is kept in {where} cannot be handed over here")
        if not stream.is_portable:
            raise ConfigError(
                "a worker elsewhere does not have the Python functions of this workflow; carry it here (run), or put "
                "them behind an endpoint"
            )
        await self._begun(stream)
        await asked(lambda: self._waiting.put(stream.run_id, PRIORITY if priority is None else priority))
        return stream.run_id

    async def _begun(self, stream: RunStream[Any]) -> None:
        """Begin a run; one of this id may be carried already, or somebody else begins it just now."""
        until = asyncio.get_running_loop().time() + _PARTING
        while True:
            try:
                return await stream.begin()
            except RunBusy:
                if not stream.is_new or asyncio.get_running_loop().time() > until:
                    raise
                if await asked(lambda: self._waiting.has(stream.run_id)):
                    return None
                await asyncio.sleep(GLANCE)

    async def states(self, run_id: str) -> AsyncGenerator[Run, None]:
        """A run as it stands, now and whenever something is new, until it is over. Raises `RunNotFound`."""
        with self.watching(run_id) as more:
            while True:
                kept = await asked(lambda: self._store.run(run_id))
                yield kept
                if await self._is_over(kept):
                    return
                await more(_GLANCE)

    async def finished(self, run_id: str) -> Run:
        """Wait until a run is over, whoever carries it; how it ended says its `status`. Raises `RunNotFound`."""
        await asked(lambda: self._store.check(run_id))
        with self.watching(run_id) as more:
            while True:
                if not await asked(lambda: self._store.is_awaited(run_id)):
                    kept = await asked(lambda: self._store.run(run_id))
                    if await self._is_over(kept):
                        return kept
                await more(_GLANCE)

    async def workers(self) -> int:
        """How many workers are at work for this store, on all machines."""
        return await asked(lambda: at_work(self._server))

    async def lacking(self) -> str:
        """What is to be said if there is no worker at all; else nothing."""
        if await self.workers():
            return ""
        return f"no worker is at work for {self._server}; start one, here or on another machine: stretto worker"

    async def cancel(self, run_id: str) -> Run:
        """Stop a run wherever it is: one that waits does not begin, one that is carried stops within a moment.

        It is `interrupted`, and can be resumed. A run that is over stays as it is. Raises `RunNotFound`, and `RunBusy`
        if whoever carries it does not stop it.
        """
        before = await patiently(lambda: self._store.run(run_id))
        if await patiently(lambda: self._store.standing(before)) not in {*_GOING_ON, "killed"}:
            return before
        await asyncio.to_thread(self._waiting.take_back, run_id)
        until = asyncio.get_running_loop().time() + _PARTING
        while True:
            try:
                return await end(self._store, run_id, RunInterrupted())
            except RunBusy:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(GLANCE)

    async def stop_subtask(self, run_id: str, subtask: str) -> None:
        """Stop one subtask, as `RunStream.stop_subtask`. Raises `TaskError`, and `RunBusy` if nobody answers."""
        await self.order(Order(run_id, subtask, "stop"))

    async def again(self, run_id: str, subtask: str, remark: str = "") -> None:
        """Ask one subtask anew, as `RunStream.again`. Raises `TaskError`, and `RunBusy` if nobody answers."""
        await self.order(Order(run_id, subtask, "again", remark))

    async def order(self, order: Order) -> None:
        """Have whoever carries a run do something about a subtask; raises `TaskError` or `RunBusy` if they do not."""
        await orders.give(self._server, order)

    async def proposal(self, run_id: str) -> Proposal | None:
        """The plan of a run that waits for approval, with its forecast; None if none does."""
        told = await asyncio.to_thread(proposals.waiting, self._server, run_id)
        return None if told is None else msgspec.json.decode(told, type=Proposal)

    async def answer(self, run_id: str, answer: Answer) -> None:
        """Decide about that plan, and have a worker go on with its run; raises `TaskError` if none waits."""
        answer.decided()
        if not await asyncio.to_thread(proposals.decide, self._server, run_id, msgspec.json.encode(answer)):
            raise TaskError(f"no plan of run {run_id} waits for an answer")
        await asyncio.to_thread(self._waiting.put, run_id)

    def watching(self, run_id: str) -> AbstractContextManager[Until]:
        """Gives what waits until something is new of a run, or may be, for so many seconds at most: `await more(5)`."""
        return self._news.of(run_id)

    @property
    def _waiting(self) -> Queue:
        if self._queue is None:
            raise ConfigError("a Cluster is used as `async with Cluster(store) as cluster`")
        return self._queue

    async def _is_over(self, run: Run) -> bool:
        """Whether nobody goes on with a run by itself."""
        standing = await asked(lambda: self._store.standing(run))
        if standing in _GOING_ON:
            return False
        # A worker that ends interrupts what it hands over; of one that died, another goes on with it in a moment.
        return standing not in {"interrupted", "killed"} or not await asked(lambda: self._waiting.has(run.id))
