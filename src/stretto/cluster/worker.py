"""A worker: carries runs that were handed over, all of them in one event loop, so that one governor sees their calls.

What DBOS does: it gives each waiting run to one worker, in the order of their priorities, and knows who has which. What
it leaves to us: who is dead (`_look_around`), to do what is ordered about a run (`stretto.cluster.orders`), and to hand
over what is left when a worker ends.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from secrets import token_hex
from typing import Any, Self

from stretto.cluster import engine
from stretto.cluster.carrying import Carrying, wait_again, wait_no_more
from stretto.cluster.orders import obey
from stretto.cluster.queue import explained, making, presence_of
from stretto.cluster.strays import look_for_strays
from stretto.errors import StoreError
from stretto.ground.text import many
from stretto.store import carriers
from stretto.store.connecting import connect
from stretto.store.locations import Server
from stretto.store.patience import patiently
from stretto.store.postgres import presence
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.workflow import Workflow

_LOOK = 0.5  # seconds between two looks for the dead; whoever is so in two of them is
_LOST = 10.0  # seconds after which a run that is ours, and that nobody here knows of, waits again
_SWEEP, _KEPT = 60.0, 3600.0  # how often what DBOS keeps is swept, and for how long runs that are over stay there
_log = logging.getLogger("stretto.worker")


class Worker:
    """Carries up to `most` runs of a store at a time, each by the workflow that `workflow_of` makes of its id.

    It takes none while all workers together have `most_of_all`.

    `told` is called with a line for whatever becomes of a run. Used as `async with`; `grace` seconds are given to what
    is being carried when it is left, unless `now` is set, and what is not over by then goes to another worker.
    """

    def __init__(
        self,
        server: Server,
        workflow_of: Callable[[str], Workflow[Any]],
        *,
        most: int = 8,
        most_of_all: int | None = None,
        grace: float = 30.0,
        told: Callable[[str], None] = lambda _: None,
        now: asyncio.Event | None = None,
    ) -> None:
        self.name = token_hex(8)
        self._server = server
        self._store = Store(server, GLANCE)
        self._carrying = Carrying(server, self.name, workflow_of, told)
        self._most = most
        self._most_of_all = most_of_all
        self._grace = grace
        self._told = told
        self._now = now or asyncio.Event()
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._stopped = set[str]()
        self._stack = ExitStack()
        self._background: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await patiently(lambda: self._stack.enter_context(self._store.carrying(presence_of(self.name))))
        try:
            with making(self._server), explained(self._server):
                engine.launch(self._server, self.name, self._most, self._most_of_all, self._carry)
        except BaseException:
            self._stack.close()
            raise
        ears = obey(self._server, self._carrying.runs.get, self.stop)
        for name, work in (("watch", self._look_around()), ("ears", ears), ("strays", look_for_strays(self._server))):
            self._background.append(asyncio.create_task(work, name=f"stretto-{name}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more runs, wait for those that are carried, and give back what is left."""
        engine.take_no_more()
        if self._carrying.runs and self._grace:
            self._told(f"{many(len(self._carrying.runs), 'run')} may take {self._grace:g} s to finish")
            await self._finished(self._grace)
        left = dict(self._tasks)
        with suppress(StoreError):  # before they are interrupted: whoever watches them then watches on
            await asyncio.to_thread(wait_again, self._server, self.name, list(left))
        waited: list[asyncio.Task[Any]] = [*self._background, *left.values()]
        for task in waited:
            task.cancel()
        await asyncio.wait(waited)
        if left:
            self._told(f"{', '.join(left)}: left to another worker")
        over = [run for run, task in left.items() if not task.cancelled()]
        await asyncio.to_thread(self._close, over)
        self._stack.close()

    def gauges(self) -> dict[str, tuple[str, float]]:
        """What there is to watch; asks the store, so not for an event loop."""
        return {
            "stretto_runs_carried": ("Runs that this worker carries", len(self._tasks)),
            "stretto_runs_most": ("Runs that it carries at most at the same time", self._most),
            "stretto_runs_finished_total": ("Runs that it has carried to their end", self._carrying.done),
            "stretto_runs_failed_total": ("Runs that have failed here", self._carrying.failed),
            "stretto_runs_queued": ("Runs of the store that wait for a worker", self._store.queued()),
        }

    def stop(self, run: str) -> None:
        """Stop a run that is carried here; nobody goes on with it by itself."""
        if run in self._tasks:
            self._stopped.add(run)
            self._tasks[run].cancel()

    async def _finished(self, grace: float) -> None:
        """Wait until all runs under way are over, or the grace is, or nobody wants to wait any more."""
        loop, now = asyncio.get_running_loop(), asyncio.create_task(self._now.wait())
        until = loop.time() + grace
        while (busy := self._busy()) and not now.done() and (left := until - loop.time()) > 0:
            await asyncio.wait([now, *busy], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        now.cancel()

    def _busy(self) -> list[asyncio.Task[Any]]:
        """The tasks of runs that are under way, and do not wait for something."""
        return [task for run, task in self._tasks.items() if run in self._carrying.runs]

    async def _carry(self, run: str) -> str:
        """What DBOS calls, maybe again: carry the run to its end, whatever that is."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        if before := self._tasks.get(run):
            before.cancel()
            await asyncio.wait([before])
        self._tasks[run] = task
        try:
            return await self._carrying.carry(run)
        except asyncio.CancelledError:
            if run not in self._stopped:
                raise  # and DBOS keeps it as it is, for whoever takes it over
            return "interrupted"
        finally:
            self._stopped.discard(run)
            if self._tasks.get(run) is task:
                del self._tasks[run]

    async def _look_around(self) -> None:
        """See that no run stays with somebody who is dead, nor is forgotten here."""
        suspects, lost, swept, away = set[str](), dict[str, float](), 0.0, ""
        while True:
            await asyncio.sleep(_LOOK)
            now, had = asyncio.get_running_loop().time(), set(self._tasks)
            try:
                dead, ours = await asyncio.to_thread(self._holders)
                for worker in dead & suspects:
                    waiting = many(await asyncio.to_thread(self._recover, worker), "run")
                    self._told(f"worker {worker} is gone; {waiting} wait")
                suspects = dead - suspects
                for run in (had - set(ours)) & set(self._tasks):  # and nobody could tell us
                    self._told(f"{run}: taken over by another worker, or taken back")
                    self.stop(run)
                lost = {run: lost.get(run, now) for run in ours if run not in self._tasks}
                if forgotten := [run for run, since in lost.items() if now - since > _LOST]:
                    await asyncio.to_thread(self._requeue, forgotten)
                if now - swept > _SWEEP:
                    swept = now
                    await asyncio.to_thread(self._forget)
                if away:
                    self._told("the database is there again")
                away = ""
            except StoreError as error:
                if not away:
                    self._told(away := str(error))
            except Exception as error:  # noqa: BLE001 - a worker does not end of it, the next look may see more
                _log.warning("looking for the dead: %s: %s", type(error).__name__, error)

    def _holders(self) -> tuple[set[str], list[str]]:
        """Who has runs and is dead, and which runs are given to us."""
        with closing(connect(self._server, create=False)) as db:
            held = engine.holders(db)
            ours = held.pop(self.name, [])
            dead = {worker for worker in held if not carriers.is_carried(db, self._server, presence_of(worker))}
        return dead, ours

    def _recover(self, worker: str) -> int:
        """Have all runs of a worker wait again; how many that are."""
        wait_again(self._server, worker)
        return len(engine.recover(worker))

    def _requeue(self, runs: list[str]) -> None:
        """Have runs wait again that were given to us, of which we never heard."""
        wait_again(self._server, self.name, runs)
        engine.requeue(self.name, runs)

    def _close(self, over: list[str]) -> None:
        with suppress(StoreError):
            for run in over:  # which has come to its end after all
                wait_no_more(self._server, run)
        engine.close(self.name)

    def _forget(self) -> None:
        with closing(connect(self._server, create=False)) as db:
            engine.forget(db, time.time() - _KEPT)
            presence.forget(db)
