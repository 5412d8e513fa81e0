"""How many requests a second may go out where nobody tells: what was let through between two refusals."""

import math

from stretto.policies.governor.gate import following

_DECREASE = 0.9
_LEAST, _LEAST_OF_GUESS = 0.7, 0.5
_GUESSED_GROWTH = 0.35  # a second, of its logarithm
_INCREASE = 0.04  # requests a second, a second, at a pace of one a second; grows with the root of the pace


class Pace:
    """How many requests a second may go out: what was let through, and a little more as time passes."""

    def __init__(self) -> None:
        self._rate: float | None = None
        self._guessed = False
        self._since = 0.0
        self._next_at = -math.inf
        self._together = 0  # that may go out at once before the pace is kept

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
        return self._next_at if self._rate is not None and self._next_at > now else now

    def enter(self, now: float) -> bool:
        """One request goes out; whether it had to wait for the pace."""
        if self._rate is None:
            return False
        if self._together:
            self._together -= 1
            return False
        spacing = 1.0 / self.rate(now)
        waited = now - self._next_at < spacing / 2
        self._next_at = following(self._next_at, spacing, now)
        return waited

    def guess(self, rate: float, begin: float, together: int = 0) -> None:
        """Begin at this pace, after so many `together`, and quicken it soon."""
        self._rate, self._guessed, self._since, self._next_at = rate, True, begin, begin
        self._together = together

    def spread(self) -> None:
        """Let nobody out together after all."""
        self._together = 0

    def learn(self, rate: float, refused: float, begin: float, least: float) -> None:
        """So much was let through between two refusals, the second of a request that went out at `refused`.

        `least`: less than that is not needed.
        """
        if self._rate is not None:
            # There may have been less to send, or a bucket so small that what was not sent in time was lost.
            was = self.rate(refused)
            least = max(min(least, was), was * (_LEAST_OF_GUESS if self._guessed else _LEAST))
        self._rate, self._guessed, self._since, self._next_at = max(_DECREASE * rate, least), False, begin, begin
        self._together = 0

    def keep(self, now: float) -> None:
        """Go on at this pace, and quicken it slowly."""
        self._rate, self._guessed, self._since = self.rate(now), False, now

    def lift(self) -> None:
        """Forget the pace; requests go out without one."""
        self._rate = None
