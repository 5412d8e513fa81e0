"""The log of one run while it runs: events go in, and are shown once they are on the disk."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

import msgspec
from msgspec.structs import replace

from stretto.errors import StoreError
from stretto.events import (
    AnyEvent,
    CallFinished,
    CallStarted,
    RunFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    encode,
    now,
)
from stretto.fold import Fold
from stretto.head import recorded
from stretto.runs import Run
from stretto.store.locations import Location
from stretto.store.rows import Entry, Row, Turn
from stretto.store.summary import summary
from stretto.store.writer import HELD, Writing
from stretto.types import Reply, Request

_TURNS = (RunStarted, RunResumed, RunFinished, RunFailed, RunInterrupted)
"""What begins or ends an execution: then the list of runs says something new."""


_LINGER, _AT_ONCE = 0.02, 0.0
"""Seconds until an event is written that nobody waits for, and until one that somebody does: each commit costs as much
as thirty rows."""
_FEW = 8
"""Requests without a budget that may leave before the log on the disk says so."""


class Journal:
    """Takes the events of one run in, gives each its place and time, and shows it when it is stored.

    `store` None: nothing is stored and everything is shown at once. `show` is called in the event loop, in order.
    `history` is what the log holds already. Unless it `keeps_texts`, prompts are not stored, and everything else that
    was said only until the run is finished. `patience`: seconds to wait while another process writes; then
    events are stored beside the file until it is free. Used as `async with`: leaving it ends the writer's thread,
    unless that writes for others, too.
    """

    def __init__(
        self,
        run: str,
        *,
        store: Location | None,
        show: Callable[[AnyEvent], None],
        history: Sequence[AnyEvent] = (),
        keeps_texts: bool = True,
        patience: float = HELD,
    ) -> None:
        self.run_id = run
        self._keeps_texts = keeps_texts
        self._show = show
        self._fold = Fold()
        for event in history:
            self._fold.take(event)
        self._seq = max((event.seq or 0 for event in history), default=0)
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[AnyEvent] = deque()
        self._settled: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._unwritten: list[Entry] = []
        self._handing: asyncio.TimerHandle | None = None
        self._due = 0.0  # when that is; uvloop's timers do not all say it
        self._unrecorded = 0  # requests that may leave, or have left, and are not on the disk
        self._error: StoreError | None = None
        self._writer = Writing(store, run, self._from_writer, patience) if store else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            try:
                if self._error is None:
                    await self.settled()
            finally:
                self._hand_over()
                await self._writer.close()
                self._show = _unseen  # whoever watched is not to be kept for it

    @property
    def run(self) -> Run:
        """What all events taken in so far amount to."""
        return self._fold.run

    @property
    def fold(self) -> Fold:
        """The running totals."""
        return self._fold

    def append(self, event: AnyEvent, *, request: Request | None = None, reply: Reply | None = None) -> None:
        """Take an event in, in one row with the record of what a call asked or was answered."""
        if self._error:
            raise self._error
        if not event.stored:
            self._pass_on(replace(event, run=self.run_id, at=now()))
            return
        event = replace(event, run=self.run_id, at=now(), seq=self._seq + 1)
        # First what can fail: an event that cannot be written must not be waited for.
        row = self._row(event, request, reply) if self._writer else None
        self._fold.take(event)
        self._seq += 1
        if self._writer is None or row is None:
            self._show(event)
            return
        self._waiting.append(event)
        self._unwritten.append((row, self._turn(event) if isinstance(event, _TURNS) else None))
        self._unrecorded += isinstance(event, CallStarted)
        if self._handing is None:  # else it goes along
            self._write(_LINGER)

    async def departing(self, *, paid: bool) -> None:
        """A request, of which the log was told last, may leave when this returns.

        What is set aside for it (`paid`) must be on the disk then, or whoever goes on after a kill spends it again. Of
        others, a few may be on their way there, unless another machine may take the run over meanwhile.
        """
        if self._writer is not None and (paid or self._writer.strict or self._unrecorded > _FEW):
            await self.settled()

    async def settled(self) -> None:
        """Everything taken in so far is on the disk and was shown; raises `StoreError` if it cannot be."""
        if self._error:
            raise self._error
        if self._waiting:
            future = self._loop.create_future()
            self._settled.append((self._seq, future))
            self._write(_AT_ONCE)
            await future

    def _pass_on(self, event: AnyEvent) -> None:
        # What is never stored still waits behind what is, so that everyone sees one order.
        if self._waiting:
            self._waiting.append(event)
            self._write(_AT_ONCE)
        else:
            self._show(event)

    def _write(self, within: float) -> None:
        """Hand over to the writer what there is by then; what comes together is one commit."""
        due = self._loop.time() + within
        if self._unwritten and (self._handing is None or self._due > due):
            if self._handing is not None:
                self._handing.cancel()
            self._due = due
            self._handing = self._loop.call_at(due, self._hand_over)

    def _hand_over(self) -> None:
        self._handing = None
        if self._writer is not None:
            self._writer.submit(self._unwritten)
        self._unwritten = []

    def _turn(self, event: AnyEvent) -> Turn:
        told = summary(self.run, self._seq)
        if self._keeps_texts or not isinstance(event, RunFinished):
            return Turn(told)
        return Turn(replace(told, task=""), forget=True)

    def _row(self, event: AnyEvent, request: Request | None, reply: Reply | None) -> Row:
        return (
            self.run_id,
            event.seq,
            event.kind,
            encode(event),
            event.fingerprint if (request or reply) and isinstance(event, CallStarted | CallFinished) else None,
            msgspec.json.encode(recorded(request)) if request and self._keeps_texts else None,
            msgspec.json.encode(reply) if reply else None,
        )

    def _from_writer(self, count: int, error: StoreError | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._committed, count, error)

    def _committed(self, count: int, error: StoreError | None) -> None:
        """The next `count` events are on the disk: show them, and what is not stored between them."""
        if self._writer is not None and (error := error or self._writer.displaced()):
            self._fail(error)
            return
        try:
            self._show_stored(count)
        except Exception as failure:
            # Whoever waits must not do so for ever.
            self._fail(StoreError(f"run {self.run_id}: an event cannot be shown: {failure!r}; then resume it"))
            raise

    def _show_stored(self, count: int) -> None:
        seq = 0
        while count or (self._waiting and not self._waiting[0].stored):
            event = self._waiting.popleft()
            if event.stored:
                count -= 1
                seq = event.seq or seq
                self._unrecorded -= isinstance(event, CallStarted)
            self._show(event)
        while self._settled and self._settled[0][0] <= seq:
            _, future = self._settled.popleft()
            if not future.done():
                future.set_result(None)

    def _fail(self, error: StoreError) -> None:
        self._error = error
        self._waiting.clear()
        while self._settled:
            _, future = self._settled.popleft()
            if not future.done():
                future.set_exception(self._error)


def _unseen(_: AnyEvent) -> None:
    """Nobody watches any more."""
