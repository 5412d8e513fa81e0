"""What is served, by whom, and within which bounds; and watching runs, those that are carried here and all others."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from aiohttp import web
from msgspec import Struct

from stretto.cluster import Cluster
from stretto.cluster.news import Until
from stretto.events import AnswerDelta, AnyEvent, RunFailed, RunFinished, RunInterrupted, RunStarted
from stretto.ground.regex import regex
from stretto.page.pieces import Foretold
from stretto.run.stream import RunStream
from stretto.server.endpoint.desk import Door
from stretto.server.endpoint.guard import Guard
from stretto.server.endpoint.sending import SILENCE
from stretto.server.endpoint.turnstile import Turnstile
from stretto.store.locations import Location, Server
from stretto.store.sqlite import Store
from stretto.workflow import Workflow

MOST_RUNS, MOST_WAITING = 32, 64
"""Runs at the same time, and requests that wait for one of them to end."""
MOST_CALLS = 1024
"""Single calls at the same time, and as many that wait: what holds them back is the limits of their models."""
LARGEST_BODY, SLOWEST = 16 * 2**20, 60.0
"""Of a request: bytes, and seconds that they may take to arrive."""

_ENDS = (RunFinished, RunFailed, RunInterrupted)
AFTER = regex(r"[0-9]{1,9}")
"""The number of an event, behind which somebody watches on."""
_GLANCE = 1.0
"""Seconds between two looks at a run that another process carries."""
Heed = Callable[[str], AbstractContextManager[Until]]
"""Watches a run: gives what waits until something is new of it, or so many seconds have passed."""


def passing(_: str) -> AbstractContextManager[Until]:
    """Where nobody tells of anything: the seconds pass."""
    return nullcontext(asyncio.sleep)


class Carried:
    """A run that is being carried here, with its events and its `answer` so far, for whoever watches."""

    def __init__(self, stream: RunStream[Any]) -> None:
        self.stream = stream
        self.events: list[AnyEvent] = []
        self.answer = ""
        self.over = False
        self._changed = asyncio.Event()

    def take(self, event: AnyEvent) -> None:
        """One event further; what is never stored cannot be resumed from either."""
        if isinstance(event, AnswerDelta):
            self.answer = ("" if event.restart else self.answer) + event.text
        elif event.stored:
            self.events.append(event)
            self._tell()

    @property
    def ended(self) -> bool:
        """Whether its last event is there."""
        return self.over or (bool(self.events) and isinstance(self.events[-1], _ENDS))

    def go_on(self, history: Sequence[AnyEvent]) -> None:
        """What the log of a run held before it was gone on with."""
        self.events = [*history, *self.events]

    def end(self) -> None:
        """Nothing more happens here."""
        self.over = True
        self._tell()

    async def news(self) -> None:
        """Wait until there is more."""
        await self._changed.wait()

    async def begun(self) -> bool:
        """Wait for the first event, before which nothing is known of the run; whether there was one."""
        while not (self.events or self.over):
            await self.news()
        return bool(self.events)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def here(carried: Carried, after: int) -> AsyncGenerator[Sequence[AnyEvent], None]:
    """The events behind the first `after` of a run that is carried here, as they come."""
    while True:
        if new := carried.events[after:]:
            after += len(new)
            yield new
        elif carried.over:
            return
        else:
            await carried.news()


async def elsewhere(
    store: Store, run: str, after: int, heed: Heed = passing
) -> AsyncGenerator[Sequence[AnyEvent], None]:
    """The same of any run in a store; of one that another process carries, until that ends.

    Of single calls, what there is: their run ends with the day.
    """
    with heed(run) as more:
        while True:
            # First: what it wrote before its end is then there.
            carried = await asyncio.to_thread(store.is_awaited, run)
            events = await asyncio.to_thread(store.events, run)
            if new := events[after:]:
                after = len(events)
                yield new
            first = events[0]
            ended = isinstance(events[-1], _ENDS) and not await asyncio.to_thread(store.is_queued, run)
            if not carried or ended or (isinstance(first, RunStarted) and first.basis.client):
                return
            await more(_GLANCE)


class Offer(Struct, frozen=True):
    """What is served: workflows by the name they have as a model, to whom, and how much of it at the same time.

    `door`: single calls of any model, written `provider:model`. `store`: the runs that can be looked at. `largest`:
    bytes of a request, which may take `slowest` seconds to arrive. `silence`: seconds after which a stream says that it
    goes on. `ignore_tools`: requests may offer tools, which are not called.
    """

    workflows: Mapping[str, Workflow[Any]]
    guard: Guard = Guard()
    most_runs: int = MOST_RUNS
    most_waiting: int = MOST_WAITING
    largest: int = LARGEST_BODY
    door: Door | None = None
    store: Location | None = None
    slowest: float = SLOWEST
    silence: float = SILENCE
    ignore_tools: bool = False


class Service:
    """An offer while it is served: who is inside, and which runs are being carried."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.runs = Turnstile(offer.most_runs, offer.most_waiting)
        self.calls = Turnstile(MOST_CALLS, MOST_CALLS)
        self.carried: dict[str, Carried] = {}
        """The runs that are being carried, by their ids."""
        self.foretold: dict[str, Foretold | None] = {}
        """When runs that somebody watched were to be done, the newest of them; None while that is reckoned."""
        self.cluster: Cluster | None = None
        """The workers on other machines, if the store is one that they reach."""

    def gauges(self) -> dict[str, tuple[str, float]]:
        """What there is to watch; asks the store, so not for an event loop."""
        told: dict[str, tuple[str, float]] = {
            "stretto_runs_carried": ("Runs that this server carries", len(self.carried)),
            "stretto_requests_inside": ("Requests that are being answered, or wait for their turn", self.inside),
        }
        if isinstance(self.offer.store, Server):
            told["stretto_runs_queued"] = ("Runs of the store that wait for a worker", Store(self.offer.store).queued())
        return told

    @property
    def heed(self) -> Heed:
        """Watches runs that are carried elsewhere."""
        return passing if self.cluster is None else self.cluster.watching

    @contextmanager
    def carrying(self, stream: RunStream[Any]) -> Iterator[Carried]:
        """As long as this is open the run can be watched, and stopped."""
        carried = self.carried[stream.run_id] = Carried(stream)
        self.foretold.pop(stream.run_id, None)  # of what is left now it is reckoned anew
        try:
            yield carried
        finally:
            del self.carried[stream.run_id]
            carried.end()

    def close(self) -> None:
        """Take no more requests; those that are being answered go on."""
        self.runs.close()
        self.calls.close()

    @property
    def inside(self) -> int:
        """How many are being answered."""
        return self.runs.inside + self.calls.inside

    async def empty(self) -> None:
        """Wait until nobody is being answered."""
        await self.runs.empty()
        await self.calls.empty()

    async def begun(self, run: str) -> Carried | None:
        """A run that is being carried here, once something is known of it."""
        carried = self.carried.get(run)
        return carried if carried and await carried.begun() else None

    def stream(self, run: str) -> RunStream[Any] | None:
        """A run that is being carried here."""
        carried = self.carried.get(run)
        return carried.stream if carried and not carried.ended else None

    def stop_run(self, run: str) -> None:
        """Stop a run that is being carried here."""
        if stream := self.stream(run):
            stream.stop()

    def stop(self) -> None:
        """Stop every run that is being carried; each can be resumed."""
        for carried in self.carried.values():
            carried.stream.stop()


SERVICE = web.AppKey("service", Service)
"""Where an application keeps what it serves."""
