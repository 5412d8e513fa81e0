"""How many requests may be in flight where nobody tells: slow start, then more by one at a time."""

import math

_START, _FEW = 16.0, 4.0
_QUICKEST, _SLOWEST, _UNKNOWN = 0.05, 0.3, 0.15  # seconds in which a refusal comes back
_EXPECTED = 1.5  # seconds to wait for a first answer that will tell more
_PATIENCE, _LONGEST_PATIENCE = 0.5, 60.0  # seconds before a refused window is tried at more again


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
        self._left, self._apart = 0, 0.0  # of the batch by which it grows: one after another, so many seconds apart
        self._full_since: float | None = None
        self._hold, self._patience, self._grown = -math.inf, _PATIENCE, False

    def opens_at(self, now: float) -> float:
        """From when one more may go out."""
        if self.in_flight < self.size:
            return now
        since = now if self._full_since is None else self._full_since
        return max(now, since + (self._apart if self._left else self.proof), self._hold)

    def enter(self, now: float) -> None:
        """Count a request in flight, and grow if the window is full."""
        if self.in_flight >= self.size:
            self._grow(now)
        self.in_flight += 1
        if self._full_since is None and self.in_flight >= self.size:
            self._full_since = now

    def _grow(self, now: float) -> None:
        self._full_since = None
        if self.careful:
            if self._grown:  # and nothing was refused since
                self._patience = max(_PATIENCE, self._patience / 2)
            self.size, self._grown = self.size + 1.0, True
            self._hold = now + self._patience
            return
        # Not all at once: the first of them that is refused keeps back those that are still to come, and when the last
        # one goes out the first one was long accepted.
        if not self._left:
            self._begin_batch()
        self.size, self._left = self.size + 1.0, self._left - 1
        if not self._left:
            self._begin_batch()

    def _begin_batch(self) -> None:
        self._left = max(1, round(self._batch))
        self._apart = self.proof / self._left
        self._batch = min(2.0 * self._batch, (self.size + self._left) / 2)

    def shrink(self, size: float, now: float) -> None:
        """Be this small; if it is careful, wait before growing again, longer each time."""
        self.size, self._batch, self._full_since, self._hold = max(1.0, size), 1.0, None, now
        self._grown, self._left = False, 0
        if self.careful:
            self._hold += self._patience
            self._patience = min(_LONGEST_PATIENCE, 2 * self._patience)

    def close(self) -> None:
        """One after another, until one gets through."""
        self.size, self._batch, self._left, self._full_since, self.careful = 1.0, 1.0, 0, None, False

    def probe(self, others: float) -> None:
        """A few beside those in flight, and soon more."""
        self.size, self._batch, self._left, self._full_since = others + _FEW, _FEW, 0, None

    def open(self, size: float = _START) -> None:
        """Grow from this size as at first."""
        self.size = max(self.size, size)
        self._batch, self._left, self._full_since, self._hold = self.size / 2, 0, None, -math.inf
        self._patience, self.careful = _PATIENCE, False

    def expect(self) -> None:
        """The limits will be told with the first answer: better wait for it a little."""
        self.proof = _EXPECTED

    def hear(self, seconds: float) -> None:
        """An answer, good or bad, came after so many seconds: so soon a refusal comes, too."""
        if seconds < self.proof or self.proof in (_UNKNOWN, _EXPECTED):
            self.proof = min(_SLOWEST, max(_QUICKEST, seconds))
