"""What refusals teach where nothing is told: how many requests may be in flight, and how many a second may go out.

Slow start, additive increase, multiplicative decrease, as in TCP: Jacobson, "Congestion avoidance and control", 1988.
"""

import math
from typing import Literal

from stretto.policies.governor.gate import TICK

_START = 16.0
_QUICKEST, _SLOWEST, _UNKNOWN = 0.05, 0.3, 0.15  # seconds in which a refusal comes back
_FIRST = 1.0  # seconds; the shortest pause a pace is guessed from
_PATIENCE, _LONGEST_PATIENCE = 0.5, 16.0  # seconds before a refused window is tried at more again
_FEW = 3.0  # in flight are no crowd
_DECREASE = 0.9
_LEAST, _LEAST_OF_GUESS = 0.7, 0.5
_GUESSED_GROWTH = 0.35  # a second, of its logarithm
_INCREASE = 0.04  # requests a second, a second, at a pace of one a second; grows with the root of the pace


class Window:
    """How many requests may be in flight: more, as long as being full of them is not refused."""

    def __init__(self, size: float = _START) -> None:
        self.size = size
        self.in_flight = 0
        self.proof = _UNKNOWN
        """Seconds after which a request that was not refused can be taken for accepted."""
        self.careful = False
        """Whether the size is about right, so that it grows by one at a time."""
        self._batch = size / 2
        self._full_since: float | None = None
        self._hold, self._patience = -math.inf, _PATIENCE

    def opens_at(self, now: float) -> float:
        """From when one more may go out."""
        if self.in_flight < self.size:
            return now
        since = now if self._full_since is None else self._full_since
        return max(now, since + self.proof, self._hold)

    def enter(self, now: float) -> None:
        """One request goes out."""
        if self.in_flight >= self.size:
            self._grow(now)
        self.in_flight += 1
        if self._full_since is None and self.in_flight >= self.size:
            self._full_since = now

    def _grow(self, now: float) -> None:
        self._full_since = None
        if self.careful:
            self.size += 1.0
            self._hold = now + self._patience
            self._patience = max(_PATIENCE, self._patience / 2)
        else:
            self.size += max(1.0, self._batch)
            self._batch = min(2 * self._batch, self.size / 2)

    def shrink(self, size: float, now: float) -> None:
        """Be this small; if it is careful, wait before growing again, longer each time."""
        self.size, self._batch, self._full_since, self._hold = max(1.0, size), 1.0, None, now
        if self.careful:
            self._hold += self._patience
            self._patience = min(_LONGEST_PATIENCE, 2 * self._patience)

    def close(self) -> None:
        """One after another, until one gets through."""
        self.size, self._batch, self._full_since, self.careful = 1.0, 1.0, None, False

    def open(self, size: float = _START) -> None:
        """Grow from this size as at first."""
        self.size = max(self.size, size)
        self._batch, self._full_since, self._hold = self.size / 2, None, -math.inf
        self._patience, self.careful = _PATIENCE, False

    def hear(self, seconds: float) -> None:
        """An answer, good or bad, came after so many seconds: so soon a refusal comes, too."""
        if seconds < self.proof or self.proof == _UNKNOWN:
            self.proof = min(_SLOWEST, max(_QUICKEST, seconds))


class Pace:
    """How many requests a second may go out: what was let through, and a little more as time passes."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._guessed = False
        self._since = 0.0
        self._next_at = -math.inf

    @property
    def known(self) -> bool:
        """Whether there is a pace."""
        return self._rate is not None

    def rate(self, now: float) -> float:
        """Requests a second."""
        assert self._rate is not None  # noqa: S101 - asked only if there is one
        seconds = max(0.0, now - self._since)
        if self._guessed:
            return self._rate * math.exp(_GUESSED_GROWTH * min(seconds, 64.0))
        # Slowly at first, then faster: others may have left, or a limit been raised.
        growth = min(0.05 * self._rate, _INCREASE * math.sqrt(self._rate))
        return self._rate + growth * (seconds + seconds**3 / 300)

    def opens_at(self, now: float) -> float:
        """From when the next one may go out."""
        return now if self._rate is None else max(now, self._next_at)

    def enter(self, now: float) -> bool:
        """One request goes out; whether it had to wait for the pace."""
        if self._rate is None:
            return False
        spacing = 1.0 / self.rate(now)
        waited = now - self._next_at < spacing / 2
        self._next_at = max(self._next_at, now - max(spacing, TICK)) + spacing
        return waited

    def guess(self, rate: float, begin: float) -> None:
        """Begin at this pace, and quicken it soon."""
        self._rate, self._guessed, self._since, self._next_at = rate, True, begin, begin

    def learn(self, rate: float, refused: float, begin: float) -> None:
        """So much was let through between two refusals, the second of a request that went out at `refused`."""
        least = 0.0
        if self._rate is not None:
            # There may have been less to send, or a bucket so small that what was not sent in time was lost.
            least = self.rate(refused) * (_LEAST_OF_GUESS if self._guessed else _LEAST)
        self._rate, self._guessed, self._since, self._next_at = max(_DECREASE * rate, least), False, begin, begin

    def keep(self, now: float) -> None:
        """Go on at this pace, and quicken it slowly."""
        self._rate, self._guessed, self._since = self.rate(now), False, now

    def lift(self) -> None:
        """Forget the pace."""
        self._rate = None


class Learned:
    """Window and pace of one model.

    A refusal may mean too many in flight or too many a second. It means the former if requests are refused whenever
    about as many are in flight, and the latter if they are refused at fewer, or let through at more.
    """

    def __init__(self, *, slow_start: bool) -> None:
        self.window = Window() if slow_start else Window(math.inf)
        self._pace = Pace()
        self._means: Literal["unrefused", "unknown", "crowd", "pace"] = "unrefused"
        self._crowd = 0.0  # in flight when requests were refused, besides these
        self.sent = 0
        self._round_at = -math.inf  # when the first refusal of the last round came
        self._refused_at, self._refused_number = -math.inf, 0  # when that one went out, and its number
        self._refused = 0  # refused since, of those that went out after it
        self._together, self._through = 0, 0.0  # refused in this round; let through before it, a second

    @property
    def crowded(self) -> bool:
        """Whether refusals surely mean that too many are in flight: then the others need not pause."""
        return self._means == "crowd" and not self._pace.known

    def opens_at(self, now: float) -> float:
        """From when one more may go out."""
        paced = self._pace.opens_at(now)
        return paced if self._means == "pace" and self._pace.known else max(paced, self.window.opens_at(now))

    def enter(self, now: float) -> tuple[int, bool]:
        """One request goes out: its number, and whether it had to wait for the pace."""
        if not self.window.in_flight and self._means == "unrefused":
            self._refused_at, self._refused_number, self._refused = now, self.sent, 0
        self.sent += 1
        self.window.enter(now)
        if self._means in ("unknown", "crowd") and self.window.size > 1.25 * self._crowd + 3:
            self._means, self.window.careful = "pace", False  # more than were refused before are none too many
        return self.sent, self._pace.enter(now)

    def leave(self) -> None:
        """One request has come back."""
        self.window.in_flight -= 1

    def refuse(self, number: int, sent_at: float, now: float, begin: float, *, paced: bool) -> bool:
        """A request was refused; nobody goes out before `begin`. Whether any got through since the last refusal."""
        others = self.window.in_flight - 1.0
        if sent_at <= self._round_at:  # it went out together with one that was refused before it
            self._refused += number > self._refused_number
            self._together += 1
            if self._means == "unknown":
                self._crowd = min(self._crowd, others)
                self.window.size = max(1.0, min(self.window.size, _DECREASE * others))
            elif self._means == "crowd" and self._together > _FEW:
                # A window that grows by one is refused one at a time.
                self._means = "pace"
                self._pace.guess(self._through, begin)
            return False
        through, seconds = number - self._refused_number - 1 - self._refused, sent_at - self._refused_at
        self._round_at, self._refused_at, self._refused_number, self._refused = now, sent_at, number, 0
        if others < 1 and through < 1:  # nothing gets through at all
            self._means = "unrefused"
            self.window.close()
            return False
        self._together, self._through = 1, max(1, through) / max(seconds, 0.01)
        self._interpret(others, now, paced=paced)
        if self._means == "unknown":
            pause = max(_FIRST, begin - now)
            self._pace.guess(max(through / (seconds + pause), 1.0 / pause), begin)
        elif self._means == "pace":
            self._pace.learn(self._through, sent_at, begin)
        if self._means in ("unknown", "crowd"):
            self.window.shrink(_DECREASE * others, begin)
        return through > 0

    def _interpret(self, others: float, now: float, *, paced: bool) -> None:
        """What the first refusal of a round means."""
        if self._means == "unrefused" or (self._means == "pace" and not paced):
            self._means, self._crowd, self.window.careful = "unknown", others, False
        elif self._means == "unknown" and others >= max(_FEW, (1.0 if paced else 0.9) * self._crowd):
            self._means, self._crowd, self.window.careful = "crowd", others, True
            if paced:  # it may have been the pace after all, and all at once would be refused together
                self._pace.keep(now)
            else:
                self._pace.lift()
        elif self._means != "crowd" or others < 0.75 * self._crowd:
            if self._means == "crowd":
                self._pace.lift()  # it was not what held requests back, so it says nothing
            self._means = "pace"
            self.window.open()

    def overloaded(self, sent_at: float, now: float) -> None:
        """A request met an overloaded provider (503)."""
        others = self.window.in_flight - 1.0
        if sent_at > self._round_at:
            self._round_at = now
            self._means, self._crowd, self.window.careful = "crowd", others, True
            self.window.shrink(_DECREASE * others, now)

    def open(self) -> None:
        """Start anew."""
        self._pace.lift()
        self.window.open()
        self._means = "unrefused"

    def lift(self) -> None:
        """The provider tells its limits itself."""
        self._pace.lift()
        self.window.open(math.inf)
        self._means = "unrefused"
