"""When a run will be done, reckoned for whoever watches it, beside what is told to them."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Self

from stretto.errors import StrettoError
from stretto.events import AnyEvent, PlanApproved, PlanFinished
from stretto.page.pieces import Foretold
from stretto.run.stream import RunStream

_KEPT = 1000
"""Runs of which it is remembered when they were to be done."""
_log = logging.getLogger("stretto.serve")


class Foretelling:
    """Reckons when a run will be done, once for each plan that it has, and has that stand in `known` by the run.

    `known` has None for a run about which somebody is reckoning. Used as `async with`.
    """

    def __init__(self, known: dict[str, Foretold | None], run: str, stream: RunStream[Any] | None) -> None:
        self._known = known
        self._run = run
        self._stream = stream
        self._reckoning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reckoning is not None:
            self._reckoning.cancel()
            await asyncio.wait([self._reckoning])

    def consider(self, events: Iterable[AnyEvent], second: float) -> None:
        """What has happened until a second of the run: if there is a plan now, it is reckoned what that will take."""
        if self._stream is None or not any(isinstance(event, PlanFinished | PlanApproved) for event in events):
            return
        run, before = self._stream.run, self._known.get(self._run)
        planned = len(run.plan.subtasks)
        waits = run.basis.approve and run.approval != "given"
        known = self._run in self._known and (before is None or before.subtasks == planned)
        if planned and not waits and not known and (self._reckoning is None or self._reckoning.done()):
            self._known[self._run] = None
            self._reckoning = asyncio.create_task(self._reckon(self._stream, second, planned))

    async def _reckon(self, stream: RunStream[Any], second: float, planned: int) -> None:
        try:
            if proposal := await stream.forecast():
                total, took = proposal.total, proposal.total.seconds
                soon, late = round(second + took.p50, 3), round(second + took.p95, 3)
                self._known[self._run] = Foretold(round(second, 3), soon, late, total.known, planned)
        except StrettoError as error:  # the run goes on without
            _log.warning("run %s: it cannot be foretold: %s", self._run, error)
        finally:
            if self._run in self._known and self._known[self._run] is None:  # else it was gone on with meanwhile
                del self._known[self._run]
            while len(self._known) > _KEPT:
                del self._known[next(iter(self._known))]
