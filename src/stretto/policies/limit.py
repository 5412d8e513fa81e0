"""Limit: a call goes out when it is admitted, and a rate-limited one goes back into the queue."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from stretto.calls import Call, Chunk, Done, Model, Notice, Reasoning, Restarted, Text
from stretto.errors import RateLimited
from stretto.events import CallRetried
from stretto.policies.admission import Admission, Lane


class Limit:
    """Sends a call to `model` when its lane lets it out.

    A `RateLimited` answer is back-pressure: everyone in the lane waits as long as the provider asked, the call keeps
    its place, and no attempt is counted. It becomes an error only if the call would be held back for more than
    `max_wait` seconds by refusals.
    """

    def __init__(self, model: Model, admission: Admission, lane: Lane, max_wait: float) -> None:
        self._model = model
        self._admission = admission
        self._lane = lane
        self._max_wait = max_wait

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once the call was admitted and not refused."""
        loop = asyncio.get_running_loop()
        ticket = self._admission.ticket()
        refused_since: float | None = None
        while True:
            await self._admission.enter(self._lane, call.priority, ticket)
            spoken = False
            try:
                async with aclosing(self._model.stream(call)) as chunks:
                    async for chunk in chunks:
                        if isinstance(chunk, Done):
                            self._lane.refusals = 0
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                return  # noqa: TRY300 - the loop ends here in the usual case
            except RateLimited as error:
                refused_since = refused_since or loop.time()
                wait = self._admission.pause(self._lane, error)
                if loop.time() + wait - refused_since > self._max_wait:
                    raise
                notice = Notice(CallRetried(reason=str(error), wait=wait, attempt=0, rate_limited=True))
            finally:
                self._admission.leave(self._lane)
            yield notice
            if spoken:
                yield Restarted()
