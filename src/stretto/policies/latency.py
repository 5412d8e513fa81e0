"""Latency: how long requests to one model take, learned while they are under way."""

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from stretto.calls import Call
from stretto.types import RoleName

REMEMBERED = 400
"""Requests of a kind that count: the last that were sent, whatever became of them."""
ENOUGH = 20
"""So many of them must have been answered before anything is said."""
SHARE = 0.95
SHORTEST = 0.05
"""Seconds; nothing is late before that."""

_MOST_SILENT, _SILENT = 0.2, 3.0  # a share that is never answered, at most; what then counts as late
_RECKONINGS = 20  # so often the percentile is reckoned anew while a whole memory of requests is answered
_LATER = 0.1  # of its age: after that long a late request that was let be is looked at again
_HAIR = 1e-6  # timers and floats do not meet exactly


def percentile(times: Iterable[tuple[float, bool]], share: float = SHARE) -> float | None:
    """The seconds within which a `share` of all requests is answered; None if that cannot be told yet.

    `times`: for each request the seconds it has taken, and whether it is unanswered at that. One that is still under
    way, or was given up, is known to take longer, and counts so: without it only the quick ones would be seen
    (E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", 1958). Where so many are never
    answered that there is no such time, it is taken as several times that of the slowest answer.
    """
    ordered = sorted(times)
    left, enough, slowest, still = 1.0, 1 - share + 1e-9, 0.0, len(ordered)
    for seconds, unanswered in ordered:
        if not unanswered:
            left, slowest = left * (1 - 1 / still), seconds
            if left <= enough:
                return seconds
        still -= 1
    return _SILENT * slowest if left <= _MOST_SILENT else None


Late = Callable[[float, Sequence[Call]], bool]
"""What is called when a request is late: with the seconds most take, and the calls of its run that are late, itself
among them. It says whether something was done about it; if not, it is called again later."""


class Flight:
    """One request on its way; `took`: the seconds until it was answered, or (not `answered`) given up."""

    __slots__ = ("answered", "call", "late", "sent_at", "took")

    def __init__(self, call: Call, sent_at: float, late: Late | None) -> None:
        self.call = call
        self.sent_at = sent_at
        self.late = late
        self.took: float | None = None
        self.answered = False

    def time(self, now: float) -> tuple[float, bool]:
        """As `percentile` takes it."""
        return now - self.sent_at if self.took is None else self.took, not self.answered


class Flights:
    """The requests of one kind; tells those that take longer than most, one after another and the oldest first.

    After one of them was doubled nobody is told before `departed`: what the double takes up is known only then.
    """

    def __init__(self) -> None:
        self._last: deque[Flight] = deque(maxlen=REMEMBERED)
        self._watched: dict[Flight, None] = {}  # in the order they were sent
        self._answers = 0  # since the percentile was reckoned
        self._most: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._departing = False
        self._let_be = False  # somebody who is late

    def send(self, call: Call, late: Late | None = None) -> Flight:
        """A request left; without `late` nobody is told of it. Whoever sent must answer or lose it."""
        loop = asyncio.get_running_loop()
        flight = Flight(call, loop.time(), late)
        self._last.append(flight)
        if late is not None:
            self._watched[flight] = None
            if self._timer is None and self._most is not None and not self._departing:
                self._timer = loop.call_at(flight.sent_at + self._most, self._look)
        return flight

    def answer(self, flight: Flight) -> None:
        """The request was answered."""
        flight.answered = True
        self.lose(flight)
        self._answers += 1
        if self._let_be or self._answers * _RECKONINGS >= len(self._last):
            self._look()

    def lose(self, flight: Flight) -> None:
        """The request failed or was cancelled."""
        flight.took = asyncio.get_running_loop().time() - flight.sent_at
        self._watched.pop(flight, None)
        if not self._watched:
            self._rest()

    def departed(self) -> None:
        """The double of a late request left, or came to nothing: the next one may be looked at."""
        self._departing = False
        self._look()

    def most(self, now: float) -> float | None:
        """The seconds within which most requests are answered, if that is known."""
        times = [flight.time(now) for flight in self._last]
        if len(times) - sum([unanswered for _, unanswered in times]) < ENOUGH:
            return None
        most = percentile(times)
        return None if most is None else max(SHORTEST, most)

    def _look(self) -> None:
        """Tell one that is late, and come back when the next one is."""
        self._rest()
        loop = asyncio.get_running_loop()
        self._most, self._answers = self.most(loop.time()), 0
        if self._most is not None and not self._departing:
            opens = self._tell(self._most, loop.time())
            if opens < math.inf:
                self._timer = loop.call_at(opens, self._look)

    def _tell(self, most: float, now: float) -> float:
        """Tell the oldest that is late and has use for it; the loop time at which to look again."""
        again, late, calls = math.inf, list[Flight](), defaultdict[str, list[Call]](list)
        for flight in self._watched:
            if flight.sent_at + most > now + _HAIR:
                again = flight.sent_at + most
                break  # whoever was sent later is not late either
            late.append(flight)
            calls[flight.call.run].append(flight.call)
        self._let_be = bool(late)
        for flight in late:
            assert flight.late is not None  # noqa: S101 - else it is not watched
            if flight.late(most, calls[flight.call.run]):
                del self._watched[flight]
                self._departing = True
                return math.inf
            again = min(again, now + _LATER * (now - flight.sent_at))
        return again

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Latencies:
    """What is known of one model's latencies: flights by role, and by whether the reply is streamed.

    Of a streamed reply the time until its first piece counts, of a plain one the time until it is there.
    """

    def __init__(self) -> None:
        self._kinds: dict[tuple[RoleName, bool], Flights] = {}

    def flights(self, role: RoleName, *, stream: bool) -> Flights:
        """The flights of one kind."""
        return self._kinds.setdefault((role, stream), Flights())
