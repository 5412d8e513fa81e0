"""Who carries the runs of a batch, as it needs them: this process here, workers in `stretto.batch.handed`."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from stretto.errors import StrettoError
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.shapes import Shape
from stretto.workflow import Workflow


class Ended(Struct, frozen=True):
    """What has become of a run: `run` as far as it came, None if it did not begin; `error` if it has no answer."""

    run: Run[Any] | None = None
    error: StrettoError | None = None


class Way(Protocol):
    """Who carries runs, as a batch needs them."""

    def ready(self, models: Iterable[str]) -> AbstractAsyncContextManager[object]:
        """Be able to carry runs for as long as this is open; raises `ConfigError` if these models cannot be asked."""

    async def carried(self, stream: RunStream[Any], shape: Shape | None) -> Ended:
        """Have a run carried, and wait until it is over; `shape` is that of its answer."""


class Here(Struct, frozen=True):
    """Runs are carried in this process, all with the connections of this `workflow`."""

    workflow: Workflow[Any]

    def ready(self, models: Iterable[str]) -> AbstractAsyncContextManager[object]:
        """See `Way.ready`."""
        return self.workflow.connected(models)

    async def carried(self, stream: RunStream[Any], shape: Shape | None) -> Ended:  # noqa: ARG002 - the stream knows it
        """See `Way.carried`; cancelled, the run stops."""
        try:
            async with stream as events:
                return Ended(await events.finished())
        except StrettoError as error:
            return Ended(stream.run if stream.begun else None, error)
