"""Who may send a request now: calls in flight, requests a minute, and pauses a provider asked for."""

import asyncio
import heapq
from itertools import count

from stretto.errors import RateLimited

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class Gate:
    """One set of limits: `parallel` requests in flight and `rpm` requests a minute; None is no limit.

    The rate is kept by a token bucket that holds one second's worth (at least one), so a start is no burst.
    """

    def __init__(self, parallel: int | None = None, rpm: float | None = None) -> None:
        self._parallel = parallel
        self._rate = rpm / 60 if rpm else None
        self._size = max(1.0, self._rate or 0.0)
        self._tokens = self._size
        self._filled_at = 0.0
        self._in_flight = 0
        self.paused_until = 0.0

    def opens_at(self, now: float) -> float | None:
        """The loop time from which one more may enter, `now` or earlier if it may now; None: when one has left."""
        if self._parallel is not None and self._in_flight >= self._parallel:
            return None
        return max(self.paused_until, now + self._until_token(now))

    def enter(self, now: float) -> None:
        """One request goes out."""
        self._refill(now)
        self._in_flight += 1
        if self._rate:
            self._tokens -= 1

    def leave(self) -> None:
        """One request has come back."""
        self._in_flight -= 1

    def _until_token(self, now: float) -> float:
        if not self._rate:
            return 0.0
        self._refill(now)
        # A hair less than one token is one: timers and floats do not meet exactly.
        return 0.0 if self._tokens >= 1 - 1e-6 else (1 - self._tokens) / self._rate

    def _refill(self, now: float) -> None:
        if self._rate:
            self._tokens = min(self._size, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now


class Lane:
    """Everyone behind one key: a gate of its own, and those who wait before it, by priority, then by arrival."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self.refusals = 0
        """Rate-limited answers in a row."""

    def front(self) -> asyncio.Future[None] | None:
        """The next in line; whoever has given up is taken out."""
        while self.waiting and self.waiting[0][2].done():
            heapq.heappop(self.waiting)
        return self.waiting[0][2] if self.waiting else None

    def pop(self) -> None:
        """The next in line goes in."""
        heapq.heappop(self.waiting)


class Admission:
    """Lets calls out, each behind the lane of its key, and all of them through the workflow's own gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._lanes: dict[str, Lane] = {}
        self._tickets = count()
        self._timer: asyncio.TimerHandle | None = None

    def lane(self, key: str, gate: Gate) -> Lane:
        """The lane of a key; its gate is made once."""
        return self._lanes.setdefault(key, Lane(gate))

    def ticket(self) -> int:
        """A place in the order of arrival; a call that is sent back keeps it."""
        return next(self._tickets)

    async def enter(self, lane: Lane, priority: int, ticket: int) -> None:
        """Wait until a request may go out; who entered must leave."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        heapq.heappush(lane.waiting, (priority, ticket, future))
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.leave(lane)  # it was let in and taken away in the same moment
            raise

    def leave(self, lane: Lane) -> None:
        """A request came back, or never went out."""
        lane.gate.leave()
        self._gate.leave()
        self._admit()

    def pause(self, lane: Lane, error: RateLimited) -> float:
        """Nobody in the lane goes out for as long as the provider asked, or for twice as long as last time; seconds."""
        lane.refusals += 1
        wait = error.retry_after
        if wait is None:
            wait = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (lane.refusals - 1))
        now = asyncio.get_running_loop().time()
        lane.gate.paused_until = max(lane.gate.paused_until, now + wait)
        return lane.gate.paused_until - now

    def _admit(self) -> None:
        """Let in everyone who may go now, and come back when the next one may."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        later: list[float] = []
        for lane in self._busy_lanes():
            while (front := lane.front()) is not None:
                times = (self._gate.opens_at(now), lane.gate.opens_at(now))
                if None in times:
                    break  # whoever leaves calls again
                opens = max(t for t in times if t is not None)
                if opens > now:
                    later.append(opens)
                    break
                lane.gate.enter(now)
                self._gate.enter(now)
                lane.pop()
                front.set_result(None)
        if later:
            self._timer = loop.call_at(min(later), self._admit)

    def _busy_lanes(self) -> list[Lane]:
        """The lanes in which someone waits, the most urgent first."""
        return sorted((lane for lane in self._lanes.values() if lane.front()), key=lambda lane: lane.waiting[0][:2])
