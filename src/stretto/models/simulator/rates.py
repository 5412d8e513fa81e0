"""The requests and tokens a minute that a simulated provider permits."""

import math
from collections.abc import Mapping

from stretto.models.error_bodies import Refusal, rate_limited
from stretto.models.simulator.settings import Simulator
from stretto.types import Allowance, Quota

_HAIR = 1e-6
"""Timers and floats do not meet exactly: what lacks no more than this is there."""


class Bucket:
    """A token bucket: fills at `per_minute`, holds `size` and at least one."""

    def __init__(self, per_minute: float, size: float) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._size = max(1.0, size)
        self._level = self._size
        self._filled_at = 0.0

    def level(self, now: float) -> float:
        """What is in it; less than nothing after a debt."""
        self._level = min(self._size, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._level

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much may be taken; more than it can hold may be taken when it is full."""
        lacking = min(amount, self._size) - self.level(now)
        return 0.0 if lacking <= _HAIR else lacking / self._rate

    def take(self, amount: float) -> None:
        """Take it, even if that leaves a debt."""
        self._level -= amount

    def until_full(self, now: float) -> float:
        """Seconds until it is as full as it gets."""
        return (self._size - self.level(now)) / self._rate


class Rates:
    """Both limits of one key; either may be absent. What is told of them is the simulator's `tells`."""

    def __init__(self, simulator: Simulator) -> None:
        settings = (("requests", simulator.rpm, simulator.bucket), ("tokens", simulator.tpm, None))
        self._buckets = {
            what: Bucket(limit, limit / 60 * simulator.burst if size is None else size)
            for what, limit, size in settings
            if limit is not None
        }
        self._tells = simulator.tells

    def admit(self, prompt_tokens: int, now: float) -> Refusal | None:
        """Let a request in and take what it costs so far, or say how long to wait."""
        costs = {"requests": 1, "tokens": prompt_tokens}
        waits = {what: bucket.wait(costs[what], now) for what, bucket in self._buckets.items()}
        what = max(waits, key=lambda name: waits[name], default=None)
        if what is not None and waits[what] > 0:
            return rate_limited(what, self._buckets[what].per_minute, self._told(waits[what]))
        for name, bucket in self._buckets.items():
            bucket.take(costs[name])
        return None

    def charge(self, reply_tokens: int) -> None:
        """Take what the reply costs; it was not known before, so this may leave a debt."""
        if bucket := self._buckets.get("tokens"):
            bucket.take(reply_tokens)

    @property
    def limited(self) -> bool:
        """Whether there is one at all."""
        return bool(self._buckets)

    def _told(self, wait: float) -> float | None:
        return {"headers": wait, "retry_after": float(math.ceil(wait)), "nothing": None}[self._tells]

    def allowance(self, now: float) -> Allowance | None:
        """What is told of the limits with every answer."""
        if self._tells != "headers" or not self._buckets:
            return None
        return Allowance(**{what: _quota(bucket, now) for what, bucket in self._buckets.items()})

    def headers(self, now: float) -> Mapping[str, str]:
        """The same as providers write it into every response."""
        lines = {}
        for what, bucket in self._buckets.items() if self._tells == "headers" else ():
            quota = _quota(bucket, now)
            lines[f"x-ratelimit-limit-{what}"] = f"{quota.limit:.0f}"
            lines[f"x-ratelimit-remaining-{what}"] = f"{quota.remaining:.0f}"
            lines[f"x-ratelimit-reset-{what}"] = duration(quota.reset or 0.0)
        return lines


def _quota(bucket: Bucket, now: float) -> Quota:
    left = max(0, math.floor(bucket.level(now) + _HAIR))
    return Quota(bucket.per_minute, left, bucket.until_full(now))


def duration(seconds: float) -> str:
    """Seconds as these headers write them: `120ms`, `8.64s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}m{rest:.0f}s" if minutes else f"{rest:.2f}s"
