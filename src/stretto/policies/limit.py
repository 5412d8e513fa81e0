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

    A `RateLimited` answer is back-pressure: everyone in the lane waits as long as the provider asked and then goes on
    at the pace that was let through, the call keeps its place, and no attempt is counted. It becomes an error only if
    refusals, its own or those of everyone in its lane, would hold the call back for more than `max_wait` seconds.
    """

    def __init__(self, model: Model, admission: Admission, lane: Lane, max_wait: float) -> None:
        self._model = model
        self._admission = admission
        self._lane = lane
        self._max_wait = max_wait

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once the call was admitted and not refused."""
        loop = asyncio.get_running_loop()
        arrived, ticket = loop.time(), self._admission.ticket()
        held_since: float | None = None
        while True:
            await self._admission.enter(self._lane, call.urgency.key, ticket)
            entered, spoken = loop.time(), False
            try:
                async with aclosing(self._model.stream(call)) as chunks:
                    async for chunk in chunks:
                        if isinstance(chunk, Done):
                            self._lane.accept(entered)
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                return  # noqa: TRY300 - the loop ends here in the usual case
            except RateLimited as error:
                if held_since is None:
                    held_since = max(arrived, self._lane.refused_since or 0.0)
                wait = self._wait(error, entered, held_since)
                notice = Notice(CallRetried(reason=str(error), wait=wait, attempt=0, rate_limited=True))
            finally:
                self._admission.leave(self._lane)
            yield notice
            if spoken:
                yield Restarted()

    def _wait(self, error: RateLimited, entered: float, held_since: float) -> float:
        """Close the lane for as long as it takes; raises the error if that is too long."""
        now = asyncio.get_running_loop().time()
        until = self._lane.refuse(error, entered, now)
        if until - held_since > self._max_wait:
            self._lane.open()  # who has waited as long behind it shall know it now
            raise RateLimited(
                f"{error} (it would have to wait longer than max_wait = {self._max_wait:g} s)",
                status=error.status,
                request_id=error.request_id,
                retry_after=error.retry_after,
            ) from error
        self._lane.gate.pause(until)
        return self._lane.gate.paused_until - now
