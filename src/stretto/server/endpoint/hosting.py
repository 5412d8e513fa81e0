"""Runs that the server carries by itself: whoever has asked for one may leave, and it goes on."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from aiohttp import web
from msgspec import Struct

from stretto.errors import StrettoError
from stretto.events import AnyEvent
from stretto.proposal import Decision, Proposal, Stop
from stretto.run.stream import RunStream
from stretto.server.endpoint.service import Service
from stretto.server.endpoint.turnstile import STOPPING, Place
from stretto.server.refused import OURS, RefusedError, conflict
from stretto.store.patience import patiently
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store

_log = logging.getLogger("stretto.serve")
_Begun = asyncio.Future[StrettoError | RefusedError | None]
"""Whether a run has begun, or what has kept it from that."""


class Approver:
    """Decides about the plans of one run by what `answer` is told over HTTP; `places` holds the place of the run.

    No place is kept while a proposal waits.
    """

    def __init__(self) -> None:
        self.places = ExitStack()
        self._asked: tuple[Proposal, asyncio.Future[tuple[Decision, Place | None]]] | None = None

    @property
    def proposal(self) -> Proposal | None:
        """What waits for an answer."""
        return self._asked[0] if self._asked and not self._asked[1].done() else None

    async def __call__(self, proposal: Proposal) -> Decision:
        """What is decided about a proposal."""
        self._asked = proposal, asyncio.get_running_loop().create_future()
        self.places.close()  # nobody knows how long it takes a person
        decision, place = await self._asked[1]
        try:
            if place:
                await place.turn()
        except RefusedError:  # the server is stopping; whoever goes on with the run is asked once more
            return Stop()
        return decision

    def answer(self, decision: Decision, place: Place | None) -> None:
        """Decide about what waits; the run goes on in this place, if it takes one."""
        assert self._asked is not None  # noqa: S101 - there is a proposal
        if place:
            self.places.enter_context(place)
        self._asked[1].set_result((decision, place))


class Hosted(Struct, frozen=True):
    """A run that is carried here: who does it, whether it has begun, and who approves its plan."""

    task: asyncio.Task[None]
    begun: _Begun
    approver: Approver | None


class Hosting:
    """Carries runs, each in a task of its own, within the places that there are for all runs of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hosted: dict[str, Hosted] = {}
        self._claiming: dict[str, asyncio.Event] = {}

    @contextmanager
    def claiming(self, run: str) -> Iterator[None]:
        """A key is being claimed for this run, which is begun before this is left, or never."""
        self._claiming[run] = asyncio.Event()
        try:
            yield
        finally:
            self._settle(run)

    async def claimed(self, run: str) -> None:
        """Wait while a key is claimed here for this run: until it is carried it looks like one that was never begun."""
        if run in self._claiming:
            await self._claiming[run].wait()

    def _settle(self, run: str) -> None:
        if over := self._claiming.pop(run, None):
            over.set()

    async def begin(self, stream: RunStream[Any], approver: Approver | None = None, *, here: bool = False) -> None:
        """Carry a run, whose plan this one approves; when this returns its first event is on the disk.

        Raises what keeps it from that: `RefusedError` where there is no place for it, or a `StrettoError`. Whoever is
        cancelled here leaves the run to go on. Workers carry it where there are any, unless it must be `here`.
        """
        run, cluster = stream.run_id, self._service.cluster
        if cluster is not None and not here:
            await cluster.submit(stream)
            return
        await self._left(run)
        if self.carries(run):
            raise conflict("run_busy", f"run {run} is being carried already")
        stream.streamed = True  # so that there is something to be kept of a subtask that is stopped
        place, begun = self._service.runs.place(), _Begun(loop=asyncio.get_running_loop())
        task = asyncio.create_task(self._carry(stream, approver, place, begun), name=f"stretto-hosted-{run}")
        self._hosted[run] = Hosted(task, begun, approver)
        self._settle(run)
        task.add_done_callback(lambda _: self._hosted.pop(run))
        await self.begun(run)

    async def _left(self, run: str) -> None:
        """Wait until a run that is over but for its last steps, which nobody sees, is left."""
        carried, hosted = self._service.carried.get(run), self._hosted.get(run)
        if hosted and hosted.begun.done() and (carried is None or carried.ended):
            await asyncio.wait([hosted.task])

    def carries(self, run: str) -> bool:
        """Whether this run is carried here, or waits for its place."""
        return run in self._hosted or run in self._service.carried

    async def begun(self, run: str) -> None:
        """Wait until a run has begun, if it has not; raises what keeps it from that."""
        if run in self._hosted and (refused := await asyncio.shield(self._hosted[run].begun)) is not None:
            raise refused

    async def close(self) -> None:
        """Stop what is still carried; each run can be resumed."""
        tasks = [hosted.task for hosted in self._hosted.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def approver(self, run: str) -> Approver | None:
        """Who approves the plan of a run that is carried here, if anybody does."""
        return self._hosted[run].approver if run in self._hosted else None

    async def _carry(self, stream: RunStream[Any], approver: Approver | None, place: Place, begun: _Begun) -> None:
        try:
            with approver.places if approver else ExitStack() as places:
                places.enter_context(place)
                await place.turn()
                await self._watched(stream, begun)
        except (StrettoError, RefusedError) as error:
            if begun.done():  # else whoever has asked for it is told
                _log.warning("run %s: %s: %s", stream.run_id, type(error).__name__, error)
            else:
                begun.set_result(error)
        except Exception:  # noqa: BLE001 - whatever it is, the log tells it, and whoever asked that there is one
            _log.exception("run %s", stream.run_id)
            if not begun.done():
                begun.set_result(RefusedError(OURS))
        finally:
            if not begun.done():
                begun.set_result(RefusedError(STOPPING))

    async def _watched(self, stream: RunStream[Any], begun: _Begun) -> None:
        async with stream:
            with self._service.carrying(stream) as carried:
                async for event in stream:
                    if event.seq and event.seq > 1 and not carried.events:
                        carried.go_on((await self._log(stream.run_id))[: event.seq - 1])
                    carried.take(event)
                    if not begun.done():
                        begun.set_result(None)

    async def _log(self, run: str) -> list[AnyEvent]:
        """The log of a run that goes on."""
        path = self._service.offer.store
        return [] if path is None else await patiently(lambda: Store(path, GLANCE).events(run))


HOSTING = web.AppKey("hosting", Hosting)
"""Where an application keeps who carries its runs."""
