"""Limits that are configured: calls in flight, requests and tokens a minute."""

import math

from msgspec import Struct

HAIR = 1e-5
"""Timers and floats do not meet exactly: what lacks no more than this is there."""

TICK = 0.01
"""Seconds by which a timer may be late without a loss: what was not sent in time may be sent at once."""

_TOKENS = 1.25  # seconds' worth of tokens may go out at once


class Bucket:
    """A token bucket: fills at `rate` a second up to `size`, full at first. What is taken may leave a debt."""

    __slots__ = ("_at", "_level", "rate", "size")

    def __init__(self, rate: float, size: float) -> None:
        self.rate = rate
        self.size = self._level = size
        self._at = -math.inf

    def level(self, now: float) -> float:
        """What is in it; less than nothing after a debt."""
        if now > self._at:
            level = self._level + (now - self._at) * self.rate
            self._level = level if level < self.size else self.size
            self._at = now
        return self._level

    def ready_at(self, amount: float, now: float) -> float:
        """From when so much may be taken; more than it can hold may be taken when it is full."""
        lacking = min(amount, self.size) - self.level(now)
        return now if lacking <= HAIR else now + lacking / self.rate

    def empty(self, since: float) -> None:
        """The provider's own is empty, and so is this one, at that time."""
        self._level, self._at = min(0.0, self._level), since

    def take(self, amount: float, now: float) -> float:
        """Take so much, or put it back if it is less than nothing; what is in it then."""
        level = self.level(now) - amount
        self._level = level = level if level < self.size else self.size
        return level


def following(next_at: float, spacing: float, now: float) -> float:
    """When the next one may go out, if one that was to go out at `next_at` goes out now and they are so far apart."""
    earliest = now - (spacing if spacing > TICK else TICK)
    return (next_at if next_at > earliest else earliest) + spacing


class Configured(Struct, frozen=True):
    """`parallel` requests in flight, `rpm` requests and `tpm` tokens a minute; None is no limit."""

    parallel: int | None = None
    rpm: float | None = None
    tpm: float | None = None


class Gate:
    """Lets as many through as is configured.

    The bucket of requests holds one second's worth (at least one), that of tokens a little more, so a start is no
    burst; a provider that permits still less refuses some, and then it holds less.
    """

    def __init__(self, parallel: int | None = None, rpm: float | None = None, tpm: float | None = None) -> None:
        self.in_flight = 0
        self.tells = False
        """Whether the provider behind it was seen to tell its limits, for any model."""
        self._configured: Configured | None = None
        self.configure(Configured(parallel, rpm, tpm))

    def configure(self, configured: Configured) -> None:
        """Obey these limits from now on."""
        if configured == self._configured:
            return
        self._configured = configured
        self._parallel = math.inf if configured.parallel is None else configured.parallel
        self._requests, self._tokens = _bucket(configured.rpm), _bucket(configured.tpm, _TOKENS)

    @property
    def full(self) -> bool:
        """Whether another has to come back first."""
        return self.in_flight >= self._parallel

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited."""
        return self._tokens is not None

    def opens_at(self, tokens: float, now: float) -> float:
        """From when a request of so many tokens may go out, `now` if it may; infinite: when another has come back."""
        if self.in_flight >= self._parallel:
            return math.inf
        opens = self._requests.ready_at(1.0, now) if self._requests else now
        return max(opens, self._tokens.ready_at(tokens, now)) if self._tokens else opens

    def enter(self, tokens: float, now: float) -> None:
        """Count a request of so many tokens that goes out now: in flight, and against both limits."""
        self.in_flight += 1
        if self._requests:
            self._requests.take(1.0, now)
        if self._tokens:
            self._tokens.take(tokens, now)

    def pace(self, tokens: float) -> float:
        """How many requests of so many tokens a second are permitted; infinite if that is not configured."""
        requests = self._requests.rate if self._requests else math.inf
        return min(requests, self._tokens.rate / tokens) if self._tokens and tokens else requests

    def overdrawn(self, now: float, until: float) -> None:
        """A request was refused, and nobody goes out before `until`."""
        if self._requests:  # perhaps the provider permits none of them at once, and what nobody uses is lost
            self._requests.empty(until)
            self._requests.size = max(1.0, self._requests.size / 2)
        if self._tokens:
            self._tokens.empty(now)

    def leave(self, excess: float, now: float) -> None:
        """One request has come back; its tokens were estimated at so many more than they were."""
        self.in_flight -= 1
        if self._tokens and excess:
            self._tokens.take(-excess, now)


def _bucket(per_minute: float | None, seconds: float = 1.0) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute / 60, max(1.0, per_minute / 60 * seconds))
