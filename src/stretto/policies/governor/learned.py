"""What refusals teach where nothing is told: how many requests may be in flight, and how many a second may go out.

Slow start, additive increase, multiplicative decrease, as in TCP (V. Jacobson, "Congestion avoidance and control",
1988).
"""

import math
from typing import Literal

_START = 16.0
_QUICKEST, _SLOWEST, _UNKNOWN = 0.05, 0.3, 0.15  # seconds in which a refusal comes back
_PATIENCE, _LONGEST_PATIENCE = 0.5, 16.0  # seconds before a refused window is tried at more again
_DECREASE = 0.9
_INCREASE = 0.03  # requests a second, a second, at a pace of one a second; grows with the root of the pace


class Window:
    """How many requests may be in flight: more, as long as being full of them is not refused."""

    def __init__(self, size: float = _START) -> None:
        self.size = size
        self.in_flight = 0
        self.proof = _UNKNOWN
        """Seconds after which a request that was not refused can be taken for accepted."""
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
            self.size += max(1.0, self._batch)
            self._batch = min(2 * self._batch, self.size / 2)
            self._patience = max(_PATIENCE, self._patience / 2)
            self._full_since = None
        self.in_flight += 1
        if self._full_since is None and self.in_flight >= self.size:
            self._full_since = now

    def shrink(self, size: float, now: float) -> None:
        """Be this small, and wait before growing again; longer each time."""
        self.size, self._batch, self._full_since = max(1.0, size), 1.0, None
        if size <= 0:  # nothing gets through, so this is not about how many there are
            return
        self._hold = now + self._patience
        self._patience = min(_LONGEST_PATIENCE, 2 * self._patience)

    def open(self, size: float = _START) -> None:
        """Grow from this size as at first."""
        self.size, self._batch, self._full_since, self._hold = max(self.size, size), size / 2, None, -math.inf

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
        seconds = now - self._since
        if self._guessed:
            return self._rate * 2.0 ** min(seconds, 64.0)
        # Slowly at first, then faster: others may have left, or a limit been raised.
        return self._rate + min(0.05 * self._rate, _INCREASE * math.sqrt(self._rate)) * (seconds + seconds**3 / 300)

    def opens_at(self, now: float) -> float:
        """From when the next one may go out."""
        return now if self._rate is None else max(now, self._next_at)

    def enter(self, now: float) -> bool:
        """One request goes out; whether it had to wait for the pace."""
        if self._rate is None:
            return False
        spacing = 1.0 / self.rate(now)
        waited = now - self._next_at < spacing / 2
        self._next_at = max(self._next_at, now - spacing) + spacing
        return waited

    def guess(self, rate: float, now: float) -> None:
        """Begin at this pace, and double it every second."""
        self._rate, self._guessed, self._since, self._next_at = rate, True, now, now

    def learn(self, rate: float, now: float) -> None:
        """So much was let through between two refusals: that is what is permitted."""
        if self._rate is not None:
            rate = max(rate, self.rate(now) / 2)  # there may have been less to send
        self._rate, self._guessed, self._since, self._next_at = _DECREASE * rate, False, now, now

    def lift(self) -> None:
        """Forget the pace."""
        self._rate = None


class Learned:
    """Window and pace of one model.

    A refusal may mean too many in flight or too many a second. It means the former if requests are refused whenever
    about as many are in flight, and the latter if they are refused at fewer.
    """

    def __init__(self, *, slow_start: bool) -> None:
        self.window = Window() if slow_start else Window(math.inf)
        self._pace = Pace()
        self._means: Literal["unrefused", "unknown", "crowd", "pace"] = "unrefused"
        self._crowd = 0.0  # in flight at the last refusal, besides the refused
        self._sent = 0
        self._cut_at = -math.inf  # when the first refusal of the last round came
        self._cut_sent, self._cut_number, self._refused = 0.0, 0, 0  # that one: sent at, number; refused since
        self._began: float | None = None

    def opens_at(self, now: float) -> float:
        """From when one more may go out."""
        return max(self.window.opens_at(now), self._pace.opens_at(now))

    def enter(self, now: float) -> tuple[int, bool]:
        """One request goes out: its number, and whether it had to wait for the pace."""
        if self._began is None:
            self._began = self._cut_sent = now
        self._sent += 1
        self.window.enter(now)
        if self._means == "unknown" and self.window.size > 1.1 * self._crowd + 2:
            self._means = "pace"  # as many in flight as were refused before, and more, are none too many
        return self._sent, self._pace.enter(now)

    def leave(self) -> None:
        """One request has come back."""
        self.window.in_flight -= 1

    def refuse(self, number: int, sent_at: float, now: float, pause: float, *, paced: bool) -> None:
        """A request was refused; nobody goes out for `pause` seconds."""
        others = self.window.in_flight - 1.0
        if sent_at <= self._cut_at:  # it went out together with one that was refused before it
            self._refused += number > self._cut_number
            self._crowd = min(self._crowd, others)
            self.window.size = max(1.0, min(self.window.size, _DECREASE * others))
            return
        through, seconds = number - self._cut_number - 1 - self._refused, sent_at - self._cut_sent
        self._cut_at, self._cut_sent, self._cut_number, self._refused = now, sent_at, number, 0
        self._interpret(others, through, seconds, now, pause, paced=paced)
        self._crowd = others
        self.window.shrink(_DECREASE * others, now + pause)

    def _interpret(self, others: float, through: int, seconds: float, now: float, pause: float, *, paced: bool) -> None:
        """What the first refusal of a round means for the pace."""
        same = others >= 0.9 * self._crowd
        if self._means == "unrefused":
            self._means = "unknown"
            if through > 1:
                self._pace.guess(through / (seconds + pause), now + pause)
        elif self._means == "unknown" and same and not paced:
            self._means = "crowd"
            self._pace.lift()
        elif self._means == "crowd" and others >= 0.75 * self._crowd:
            pass  # a little less than before: the window alone sees to it
        else:
            self._means = "pace"
            if through > 1 and seconds > 0:
                self._pace.learn(through / seconds, now + pause)

    def crowd(self, sent_at: float, now: float) -> None:
        """The provider is overloaded (503)."""
        others = max(1.0, self.window.in_flight - 1.0)
        if sent_at > self._cut_at:
            self._means, self._cut_at, self._crowd = "crowd", now, others
            self.window.shrink(_DECREASE * others, now)

    def open(self) -> None:
        """Start anew."""
        self._pace.lift()
        self.window.open()
        self._means = "unrefused"

    def lift(self) -> None:
        """The provider tells its limits itself."""
        self.window.open(math.inf)
        self._pace.lift()
