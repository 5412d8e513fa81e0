"""A batch whose runs are carried by workers (`stretto worker`), on whichever machine."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from stretto.batch.ways import Ended
from stretto.cluster import Cluster
from stretto.errors import StrettoError, error_named
from stretto.events import RunFailed
from stretto.run.stream import RunStream, shaped
from stretto.runs import Run
from stretto.shapes import Shape
from stretto.store.locations import Location
from stretto.store.patience import asked
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.types.facts import error_of


class Handed:
    """Runs are carried by workers, on whichever machine, by `priority`; whoever leaves here leaves them so.

    `store`: which they have in common. `told` is called with what is to be said.
    """

    def __init__(self, store: Location, priority: int | None, told: Callable[[str], None]) -> None:
        self._cluster = Cluster(store)
        self._store = Store(store, GLANCE)
        self._priority = priority
        self._told = told

    @asynccontextmanager
    async def ready(self, models: Iterable[str]) -> AsyncIterator[None]:  # noqa: ARG002 - workers have the keys
        """See `Way.ready`; says so if no worker is there."""
        async with self._cluster:
            if hint := await self._cluster.lacking():
                self._told(hint)
            yield

    async def carried(self, stream: RunStream[Any], shape: Shape | None) -> Ended:
        """See `Way.carried`; a run that was begun, or is over, stays so."""
        try:
            run = await self._cluster.finished(await self._cluster.submit(stream, self._priority))
            if run.status == "finished":
                return Ended(shaped(run, shape))
            return Ended(run, await self._why(run))
        except StrettoError as error:
            return Ended(None, error)

    async def _why(self, run: Run[Any]) -> StrettoError:
        """The error that a worker's run ended with, as if it had been carried here."""
        if run.status != "failed":
            return StrettoError(f"its run was stopped (it is {run.status}); --retry-failed goes on with it")
        log = await asked(lambda: self._store.events(run.id))
        facts = next((event.facts for event in reversed(log) if isinstance(event, RunFailed)), None)
        return error_of(error_named(run.error_type), run.error or "it has failed", facts)
