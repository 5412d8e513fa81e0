"""Who may send a request now: calls in flight, requests a minute, and pauses a provider asked for."""

import asyncio
import heapq
import math
from itertools import count

from stretto.errors import RateLimited

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_QUICKER = 0.97  # a learned pace gets this much closer with each answer


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

    def pause(self, until: float) -> None:
        """Let nobody in before this loop time."""
        self.paused_until = max(self.paused_until, until)

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
    """Everyone behind one key: a gate of its own, and those who wait before it, by urgency, then by arrival."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.waiting: list[tuple[tuple[float, ...], int, asyncio.Future[None]]] = []
        self.refused_since: float | None = None
        """The loop time since which every request was refused; None if the last one was not."""
        self._spacing = 0.0  # seconds between two requests, learned from refusals
        self._probing = False  # nothing got through before, so the spacing is a guess
        self._next_at = -math.inf
        self._round_began = 0.0  # when the first request after a pause went out
        self._sent = 0  # since then
        self._refused = 0  # of these
        self._refusals = 0  # rounds with refused requests, one after another
        self._refused_at = -math.inf  # when the first of the last round was refused

    def front(self) -> asyncio.Future[None] | None:
        """The next in line; whoever has given up is taken out."""
        while self.waiting and self.waiting[0][2].done():
            heapq.heappop(self.waiting)
        return self.waiting[0][2] if self.waiting else None

    def opens_at(self, now: float) -> float | None:
        """As the gate says, but after a refusal at the pace that was let through before it."""
        opens = self.gate.opens_at(now)
        return None if opens is None else max(opens, self._next_at)

    def enter(self, now: float) -> None:
        """One request goes out."""
        if self._refused:  # the pause is over
            self._learn(now - self._round_began)
        if self._refused or not self._sent:
            self._round_began, self._sent, self._refused = now, 0, 0
        self.gate.enter(now)
        self._sent += 1
        self._next_at = now + self._spacing

    def _learn(self, seconds: float) -> None:
        """What got through in the last round, its pause included, would have been the right pace."""
        if through := max(0, self._sent - self._refused):
            self._spacing, self._probing = seconds / through, False
        elif not self._spacing or self._probing:
            self._spacing, self._probing = seconds, True

    def refuse(self, error: RateLimited, entered: float, now: float) -> float:
        """Take note of a refused request that went out at `entered`; the loop time until which to wait.

        That is as long as the provider asked, else twice as long as after the round before. Requests that went out
        together are one round, however many of them come back.
        """
        self._refused += entered >= self._round_began
        if entered > self._refused_at:
            self._refusals += 1
            self._refused_at = now
        if self.refused_since is None:
            self.refused_since = now
        if error.retry_after is not None:
            return now + error.retry_after
        return self._refused_at + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._refusals - 1))

    def open(self) -> None:
        """Forget the pace."""
        self._spacing, self._next_at, self._probing = 0.0, -math.inf, False

    def accept(self, entered: float) -> None:
        """Take note of a request that went out at `entered` and was answered."""
        if entered > self._refused_at:  # one that went out before says nothing about now
            self._spacing *= _QUICKER
            if self._probing:
                self.open()
            self._refusals, self.refused_since = 0, None


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

    async def enter(self, lane: Lane, urgency: tuple[float, ...], ticket: int) -> None:
        """Wait until a request may go out; who entered must leave."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(lane.waiting, (urgency, ticket, future))
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

    def _admit(self) -> None:
        """Let in everyone who may go now, and come back when the next one may."""
        loop = asyncio.get_running_loop()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        while opening := self._next(now):
            opens, _, lane = opening
            if opens > now:
                self._timer = loop.call_at(opens, self._admit)
                return
            lane.enter(now)
            self._gate.enter(now)
            heapq.heappop(lane.waiting)[2].set_result(None)

    def _next(self, now: float) -> tuple[float, tuple[tuple[float, ...], int], Lane] | None:
        """Whoever may go first, from when, and in which lane; the most urgent of those who may go at the same time."""
        fronts = []
        for lane in self._lanes.values():
            times = (self._gate.opens_at(now), lane.opens_at(now)) if lane.front() else (None,)
            if None not in times:  # else somebody has to leave first, which calls `_admit` again
                fronts.append((max(now, *(t for t in times if t is not None)), lane.waiting[0][:2], lane))
        return min(fronts, key=lambda front: front[:2], default=None)
