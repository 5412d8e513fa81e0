"""Batched: a call goes out with a provider's batch, and live if that does not answer it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stretto.calls import Call, Chunk, Model, Notice
from stretto.errors import BatchError
from stretto.events import CallRetried


class Batched:
    """Asks `batch`, and `live` what that has left unanswered; without `live` that is the call's error."""

    def __init__(self, batch: Model, live: Model | None) -> None:
        self._batch = batch
        self._live = live

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, whichever way it came."""
        model, left = self._batch, self._live
        while True:
            try:
                async with aclosing(model.stream(call)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                break
            except BatchError as error:
                if left is None:
                    raise
                model, left = left, None
                yield Notice(CallRetried(reason=f"{error}; it is asked live", wait=0.0, attempt=1))
