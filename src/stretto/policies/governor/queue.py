"""Waiting: who is served next, and when."""

import asyncio
import heapq
import math
from bisect import bisect_left
from collections import deque
from itertools import count
from operator import attrgetter
from weakref import WeakKeyDictionary

from stretto.calls import Call
from stretto.errors import CallError
from stretto.policies.governor.gate import HAIR, Configured, Gate
from stretto.policies.governor.lane import Lane, Passage
from stretto.policies.governor.place import LONG, HeldBackError, Place

_ticket = attrgetter("ticket")
_TURN = 8
"""Every so manieth who goes out is the one who has waited longest: the least urgent come to their turn, too."""


class Queue:
    """The calls that wait for the same gates: their workflow's `gate`, and the `lane` of their model."""

    def __init__(self, governor: "Governor", gate: Gate, lane: Lane) -> None:
        self.gate = gate
        self.lane = lane
        self._governor = governor
        self._urgent: list[tuple[tuple[float, ...], int, Place]] = []
        self._oldest: deque[Place] = deque()
        self._waiting = 0
        self._turn = 0
        self._tokens = 0.0  # of the last call
        self._again = self.push  # one for all places
        self._overdrawn_at = -math.inf

    @property
    def spare(self) -> bool:
        """Whether nobody waits and one more call could go out now."""
        now = asyncio.get_running_loop().time()
        return not self._waiting and self.opens_at(self._tokens, now) <= now + HAIR

    def place(self, call: Call, patience: float = math.inf) -> Place:
        """A place at the end of the queue, as far as the call is no more urgent than others."""
        return Place(self.lane, self._again, call, self._governor.ticket(), patience)

    async def enter(self, place: Place) -> Passage:
        """Wait until the request may go out; whoever entered must leave.

        Raises `HeldBackError` where that is known to take long and was not told before, or longer than it may take.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            now = loop.time()
            if self.opens_at(place.tokens, now) <= now + HAIR:
                return self._go(place, now)
            self._governor.queues[self] = None
        place.key = place.call.urgency.key
        future: asyncio.Future[Passage] = loop.create_future()
        place.future = future
        self._waiting += 1
        self._line_up(place)
        place.call.urgency.moved.append(place.moved)
        self.push(place)
        try:
            passage: Passage = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.leave(future.result())  # it was let out and taken away in the same moment
            elif place.future is not None:
                self._remove(place)
                self._governor.admit(loop.time())
            raise
        finally:
            place.call.urgency.moved.remove(place.moved)
        return passage

    def _line_up(self, place: Place) -> None:
        """Put a place where its arrival belongs: at the end, unless it was sent back."""
        line = self._oldest
        if line and place.ticket < line[-1].ticket:
            line.insert(bisect_left(line, place.ticket, key=_ticket), place)
        else:
            line.append(place)

    def push(self, place: Place) -> None:
        """Put a place where its urgency belongs."""
        entry = (place.key, place.ticket, place)
        heapq.heappush(self._urgent, entry)
        if self._urgent[0] is entry:  # else whoever is in front is waited for already
            self._governor.admit(asyncio.get_running_loop().time())

    def leave(self, passage: Passage) -> None:
        """A request came back, or never went out."""
        now = asyncio.get_running_loop().time()
        excess = passage.excess
        self.lane.leave(excess, now)
        self.gate.leave(excess, now)
        self._governor.admit(now)

    def refuse(self, passage: Passage, error: CallError, now: float) -> float:
        """A request was rate limited; the loop time until which the model should be left alone."""
        gates = self.gate, self.lane.gate
        until = self.lane.refuse(passage, error, now, min(gate.pace(passage.tokens) for gate in gates))
        if passage.sent_at >= self._overdrawn_at:  # else it went out together with one that was refused before it
            self._overdrawn_at = now
            for gate in gates:
                gate.overdrawn(now, until)
        return until

    def next(self) -> Place | None:
        """Who is served next; None if all who wait were cancelled in this moment."""
        if self._turn == _TURN - 1:
            return self.oldest()
        while self._urgent:
            key, _, place = self._urgent[0]
            if place.waits and key == place.key:
                return place
            heapq.heappop(self._urgent)
        return None

    def oldest(self) -> Place | None:
        """Who has waited longest."""
        while self._oldest and not self._oldest[0].waits:
            self._oldest.popleft()
        return self._oldest[0] if self._oldest else None

    def opens_at(self, tokens: float, now: float) -> float:
        """From when a request of so many tokens may go out."""
        gate, lane = self.gate, self.lane
        opens = gate.opens_at(tokens + lane.doubt if gate.counts_tokens else 0.0, now)
        theirs = lane.opens_at(tokens, now)
        return theirs if theirs > opens else opens

    def admit(self, place: Place, now: float) -> None:
        """Let out one who waits."""
        future = place.future
        assert future is not None  # noqa: S101 - it waits
        self._remove(place)
        self._turn = (self._turn + 1) % _TURN
        future.set_result(self._go(place, now))

    def turn_away(self, place: Place, wait: float) -> None:
        """Tell one who waits that nobody goes out for so long."""
        future = place.future
        assert future is not None  # noqa: S101 - it waits
        self._remove(place)
        future.set_exception(HeldBackError(wait))

    def _go(self, place: Place, now: float) -> Passage:
        tokens = self._tokens = place.tokens
        passage = Passage(place.call, tokens, place.characters, now)
        self.gate.enter(tokens, now)
        self.lane.enter(passage)
        return passage

    def _remove(self, place: Place) -> None:
        place.future = None
        self._waiting -= 1
        if not self._waiting:
            self._urgent.clear()
            self._oldest.clear()
            del self._governor.queues[self]


class Governor:
    """All queues of an event loop, and the lanes of its providers' models."""

    def __init__(self) -> None:
        self.queues: dict[Queue, None] = {}
        """Those in which somebody waits."""
        self._gates: dict[str, Gate] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._tickets = count()
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0

    def lane(self, key: str, model: str, configured: Configured, *, slow_start: bool = True) -> Lane:
        """The lane of a model behind a key, the same for all who name it so.

        If what is configured for the key has changed, the newest counts.
        """
        gate = self._gates.setdefault(key, Gate())
        if configured != Configured():
            gate.configure(configured)
        return self._lanes.setdefault((key, model), Lane(gate, slow_start=slow_start))

    def ticket(self) -> int:
        """A number in the order of arrival."""
        return next(self._tickets)

    def admit(self, now: float) -> None:
        """Let out everyone who may go now, and come back when the next one may."""
        if not self.queues:
            self._wake_at(None)
            return
        while True:
            ready, soonest = self._ready(now)
            if not ready:
                self._wake_at(soonest)
                return
            self._turn = (self._turn + 1) % _TURN
            if len(ready) > 1 and not self._turn:
                ready = [(queue, queue.oldest() or place) for queue, place in ready]
            queue, place = ready[0] if len(ready) == 1 else min(ready, key=_urgency if self._turn else _age)
            queue.admit(place, now)

    def _ready(self, now: float) -> tuple[list[tuple[Queue, Place]], float]:
        """Who may go now, of each queue the first, and when the next one may; who is held back for long is told."""
        ready, soonest, held = list[tuple[Queue, Place]](), math.inf, list[tuple[Queue, Place, float]]()
        for queue in self.queues:
            if queue.gate.full or (place := queue.next()) is None:
                continue  # with many in flight this is the usual case
            at = queue.opens_at(place.tokens, now)
            if at <= now + HAIR:
                ready.append((queue, place))
            elif at > now + min(LONG, place.patience) and (wait := place.learns(now)) is not None:
                held.append((queue, place, wait))
            if at < soonest:
                soonest = at
        for queue, place, wait in held:
            queue.turn_away(place, wait)
        return self._ready(now) if held else (ready, soonest)

    def _wake_at(self, soonest: float | None) -> None:
        timer = self._timer
        if timer is not None and not timer.cancelled():
            if soonest is not None and timer.when() <= soonest:
                return  # that one will see to it
            timer.cancel()
        self._timer = None
        if soonest is not None and soonest < math.inf:
            self._timer = asyncio.get_running_loop().call_at(soonest, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.admit(asyncio.get_running_loop().time())


def _age(ready: tuple[Queue, Place]) -> int:
    return ready[1].ticket


def _urgency(ready: tuple[Queue, Place]) -> tuple[tuple[float, ...], int]:
    return ready[1].key, ready[1].ticket


# What is learned of a key's limits belongs to the process, not to a workflow; but those who wait for it are futures of
# one loop, and a loop that is gone is not to be kept. So this is the one thing that a module of ours remembers.
_governors: WeakKeyDictionary[asyncio.AbstractEventLoop, Governor] = WeakKeyDictionary()


def governor() -> Governor:
    """The governor of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _governors:
        _governors[loop] = Governor()
    return _governors[loop]
