"""Limit: a call goes out when it is admitted, and a rate-limited one goes back into the queue."""

import asyncio
from collections.abc import AsyncGenerator

from stretto.calls import SPOKEN, Call, Chunk, Done, Model, Notice, Sent
from stretto.errors import CallError, Loading, RateLimited, ServerError
from stretto.events import CallRetried
from stretto.policies.attempts import Again, Attempts, until_whole
from stretto.policies.governor.lane import Passage
from stretto.policies.governor.place import HeldBackError, Place
from stretto.policies.governor.queue import Queue
from stretto.types import Allowance

_SAYS_NOTHING = (Sent, Notice)
"""Chunks that are no part of an answer."""
_LOADING = 2.0  # seconds until a model that is being loaded is asked again, if nobody says when


class Limit:
    """Sends a call to `model` when its queue lets it out, and tells the lane what became of it.

    A `RateLimited` answer is back-pressure: everyone in the lane waits as long as the provider asked and then goes on
    at the pace that was let through, the call keeps its place, and no attempt is counted. It becomes an error only if
    refusals, its own or those of everyone in its lane, or a limit that the provider has told of, would hold the call
    back for more than `max_wait` seconds.
    """

    def __init__(self, model: Model, queue: Queue, max_wait: float) -> None:
        self.queue = queue
        self._model = model
        self._max_wait = max_wait

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, once the call was admitted and not refused."""
        return until_whole(call, _Admission(self, self.queue.place(call, self._max_wait)))

    def ask(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask the model."""
        return self._model.stream(call)

    async def enter(self, place: Place) -> Passage | Notice:
        """Wait until the call may go out; or what to tell of a long wait. Raises `RateLimited` if it is too long."""
        try:
            return await self.queue.enter(place)
        except HeldBackError as held:
            model, wait = place.call.request.model, held.wait
        reason = f"{model}: its provider lets nothing through for another {wait:.0f} s, as it has told"
        if wait > self._max_wait:
            raise RateLimited(f"{reason} (longer than max_wait = {self._max_wait:g} s)", retry_after=wait)
        return Notice(CallRetried(reason=reason, wait=wait, attempt=0, rate_limited=True))

    def hear(self, passage: Passage, chunk: Chunk) -> bool:
        """Learn from a chunk; whether it is for others, too."""
        if isinstance(chunk, _SAYS_NOTHING) or (passage.heard and isinstance(chunk, SPOKEN)):  # nearly always
            return True
        lane = self.queue.lane
        if not passage.heard:
            lane.accept(passage, asyncio.get_running_loop().time())
        if isinstance(chunk, Allowance):
            lane.tell(passage, chunk, asyncio.get_running_loop().time())
            return False
        if isinstance(chunk, Done) and chunk.usage:
            lane.settle(passage, chunk.usage)
        return True

    def fail(self, passage: Passage, error: CallError) -> None:
        """Learn from an error that is no rate limit."""
        now, lane = asyncio.get_running_loop().time(), self.queue.lane
        if isinstance(error.allowance, Allowance):
            lane.tell(passage, error.allowance, now)
        if isinstance(error, ServerError) and error.status == 503:
            lane.crowd(passage, now)
            if error.retry_after is not None:
                lane.pause(now + min(error.retry_after, self._max_wait))

    def refused(self, error: RateLimited, passage: Passage, place: Place) -> Notice:
        """Close the lane for as long as it takes, and tell of it; raises the error if that is too long."""
        lane, now = self.queue.lane, asyncio.get_running_loop().time()
        if place.held_since is None:
            since = lane.refused_since
            place.held_since = now if since is None else max(place.arrived, since)
        if isinstance(error, Loading):  # which says nothing of limits
            passage.used, until = 0.0, now + (error.retry_after or _LOADING)
        else:
            until = self.queue.refuse(passage, error, now)
        if until - place.held_since > self._max_wait:
            lane.open()  # who has waited as long behind it shall know it now
            raise RateLimited(
                f"{error} (it would have to wait longer than max_wait = {self._max_wait:g} s)",
                status=error.status,
                request_id=error.request_id,
                retry_after=error.retry_after,
            ) from error
        place.told = lane.pause(until)
        return Notice(CallRetried(reason=str(error), wait=place.told - now, attempt=0, rate_limited=True))


class _Admission(Attempts):
    """The attempts at one call: each from the same place in the queue, with a passage of its own."""

    __slots__ = ("_limit", "_passage", "_place")

    def __init__(self, limit: Limit, place: Place) -> None:
        self._limit = limit
        self._place = place
        self._passage: Passage | None = None

    async def begin(self) -> Notice | None:
        passage = await self._limit.enter(self._place)
        if isinstance(passage, Notice):
            return passage
        self._passage = passage
        return None

    def ask(self) -> AsyncGenerator[Chunk, None]:
        return self._limit.ask(self._place.call)

    def hear(self, chunk: Chunk) -> bool:
        return self._passage is None or self._limit.hear(self._passage, chunk)

    def failed(self, error: CallError, *, planned: bool) -> Again:  # noqa: ARG002 - a plan that broke off was not refused
        if self._passage is None or not isinstance(error, RateLimited):
            if self._passage is not None:
                self._limit.fail(self._passage, error)
            raise error
        return Again((self._limit.refused(error, self._passage, self._place),))

    def end(self) -> None:
        if self._passage is not None:
            self._limit.queue.leave(self._passage)
            self._passage = None
