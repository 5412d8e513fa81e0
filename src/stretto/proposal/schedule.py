"""When the calls of a plan would end, if they took so long: list scheduling under the workflow's own limits."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

from msgspec import Struct

from stretto.types import Limits


class Item(Struct, frozen=True):
    """A job to be scheduled: the places of those it waits for, all before its own, and the seconds of its calls.

    `stages` run one after the other, the calls of each at once.
    """

    needs: tuple[int, ...]
    stages: tuple[tuple[float, ...], ...]


class Ended(Struct, frozen=True):
    """When each job ended, in seconds, and which of its needs ended last (-1: it has none)."""

    at: list[float]
    behind: list[int]

    def chain(self) -> tuple[int, ...]:
        """The jobs that the one which ended last waited for, and itself, in their order."""
        if not self.at:
            return ()
        place, chain = max(range(len(self.at)), key=self.at.__getitem__), list[int]()
        while place >= 0:
            chain.append(place)
            place = self.behind[place]
        return tuple(reversed(chain))


def schedule(items: Sequence[Item], limits: Limits) -> Ended:
    """Start each job when those it needs have ended and a place is free; who is ready first goes first."""
    calls = sum(len(stage) for item in items for stage in item.stages)
    if calls <= limits.parallel and limits.rpm is None:
        return _unlimited(items)
    return _Limited(items, limits).ended()


def _unlimited(items: Sequence[Item]) -> Ended:
    at: list[float] = []
    behind: list[int] = []
    for item in items:
        last = max(item.needs, key=at.__getitem__, default=-1)
        behind.append(last)
        at.append((at[last] if last >= 0 else 0.0) + sum(map(max, item.stages)))
    return Ended(at, behind)


class _Limited:
    def __init__(self, items: Sequence[Item], limits: Limits) -> None:
        self._items = items
        self._places = [0.0] * limits.parallel
        heapify(self._places)
        per_second = limits.rpm / 60 if limits.rpm else None
        self._spacing = 1 / per_second if per_second else 0.0
        self._at_once = max(1.0, per_second) if per_second else 0.0  # as `policies.governor.gate` has it
        self._sent = 0

    def ended(self) -> Ended:
        items, at = self._items, [0.0] * len(self._items)
        behind = [-1] * len(items)
        waiting = [len(item.needs) for item in items]
        users: list[list[int]] = [[] for _ in items]
        for place, item in enumerate(items):
            for need in item.needs:
                users[need].append(place)
        ready = [(0.0, place, 0) for place, item in enumerate(items) if not item.needs]
        while ready:
            now, place, stage = heappop(ready)
            stages = items[place].stages
            if stage < len(stages):
                heappush(ready, (self._through(stages[stage], now), place, stage + 1))
                continue
            at[place] = now
            for user in users[place]:
                waiting[user] -= 1
                behind[user] = place  # jobs end here in the order of time, so the last one told is it
                if not waiting[user]:
                    heappush(ready, (now, user, 0))
        return Ended(at, behind)

    def _through(self, seconds: Sequence[float], ready: float) -> float:
        """When calls that are ready then are all answered."""
        end = ready
        for each in seconds:
            paced = (self._sent + 1 - self._at_once) * self._spacing
            begins = max(ready, self._places[0], paced)
            self._sent += 1
            heapreplace(self._places, begins + each)
            end = max(end, begins + each)
        return end
