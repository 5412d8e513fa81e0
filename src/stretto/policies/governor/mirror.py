"""A provider's own bucket, as its headers describe it, and how much of it we may use beside others on the same key."""

import math

from msgspec import Struct

from stretto.policies.governor.gate import Bucket, following
from stretto.types import Quota

_MINUTE = 60.0
_RESERVE = 0.05  # of the bucket stays in it, so that jitter on the way does not overdraw it
_MOST_RESERVE = 2.0  # requests; in tokens, those of so many requests
_JITTER = 0.05  # seconds within which requests may overtake one another
_LOW = 0.2  # of the bucket: then it is as good as empty
_DRAIN = 2.0  # times a second what is in the bucket may go out: at once, two on one key would overdraw it together
_FOREIGN, _FEW = 0.03, 3.0  # of the rate, and of the amount of a request, used by others: then we share
_VAGUE = 0.2  # of the rate, where requests differ: estimates may be wrong by less
_SPAN = 5.0  # seconds over which the use of others is averaged
_LEAST = 0.05  # of the rate is always ours
_CAREFUL = 2.0  # standard deviations by which requests not heard of yet may have used more than expected
_LESS, _LITTLE_LESS = 0.6, 0.9  # our share at congestion, if we use more than all others, and if not
_MORE, _MUCH_MORE = 0.04, 0.1  # our share a second later, and if the bucket is half full


class Burst:
    """Requests that went out at about the same time: they may arrive in any order."""

    __slots__ = ("count", "since")

    def __init__(self, since: float, count: int = 0) -> None:
        self.since = since
        self.count = count


class Mark(Struct, frozen=True):
    """What was known when a request went out: its number, what it uses, the level afterwards, corrections so far."""

    number: int
    amount: float
    level: float
    corrected: float
    burst: Burst


class Mirror:
    """The bucket of one quota; `vague` if what a request uses can only be estimated.

    Each header corrects the level as of when its request went out. What keeps missing others on this key have taken;
    with them the rate is shared as TCP shares a line: our share is cut at congestion and grows slowly without it, so
    that shares become even. Source: Chiu and Jain, "Analysis of the increase and decrease algorithms", 1989.
    """

    def __init__(self, quota: Quota, told: float, sent: float, sent_at: float, now: float, *, vague: bool) -> None:
        """`told`: what had been used when the request went out that was answered with this; `sent`: by now."""
        self._vague = vague
        self._limit = quota.limit
        rate, size = _shape(quota)
        self._bucket = bucket = Bucket(rate, size)
        self._span = _span(rate)
        bucket.take(size - min(size, _level(quota, bucket) + rate * (now - sent_at)) + sent - told, now)
        self._began, self._begun_with, self._sent = now, bucket.level(now), sent
        self._corrected = 0.0
        self._heard = -math.inf  # when the request of the newest header went out
        self._taken = self._known = 0  # requests so far; how many of them the newest header knows of
        self._share = Share()
        self._foreign = self._own = 0.0  # used by others and by us, lately
        self._noted_at = now
        self._next_at = -math.inf
        self._burst = Burst(-math.inf)

    @property
    def crowded(self) -> bool:
        """Whether others use it, too."""
        foreign, part = self._foreign, _VAGUE if self._vague else _FOREIGN
        return foreign > _FEW and foreign > part * self._bucket.rate * self._span

    def opens_at(self, amount: float, now: float, variance: float = 0.0) -> float:
        """From when so much may be used, if what requests use varies by so much."""
        bucket = self._bucket
        level = bucket.level(now) - amount
        if level < bucket.size / 2:  # else there is enough for any doubt
            doubt = _CAREFUL * math.sqrt(variance * (1 + self._taken - self._known)) if variance else 0.0
            reserve = max(min(_RESERVE * bucket.size, _MOST_RESERVE * amount), min(doubt, bucket.size / 2))
            if level < reserve:
                return max(bucket.ready_at(amount + reserve, now), self._next_at)
        return self._next_at if self._next_at > now else now

    def take(self, amount: float, now: float) -> Mark:
        """Count tokens or requests that go out now against what is left of the bucket."""
        burst, bucket = self._burst, self._bucket
        if now > burst.since + _JITTER:
            self._burst = burst = Burst(now)
        burst.count += 1
        self._own += amount
        level = bucket.take(amount, now)
        pace = bucket.rate + _DRAIN * level if level > 0 else bucket.rate
        self._next_at = following(self._next_at, amount / (self._share.value * pace), now)
        self._taken += 1
        return Mark(self._taken, amount, level, self._corrected, burst)

    def give_back(self, amount: float, now: float) -> None:
        """A request was refused, so it used nothing."""
        self._own -= amount
        self._bucket.take(-amount, now)

    def mark(self, amount: float, sent: float, sent_at: float, together: int) -> Mark:
        """For a request that went out before there was a mirror, when so much had been used, with so many others."""
        level = self._begun_with - self._bucket.rate * (self._began - sent_at) + self._sent - sent
        return Mark(0, amount, level, 0.0, Burst(sent_at, together))

    def tell(
        self, quota: Quota, mark: Mark, sent_at: float, now: float, *, refused: bool, crowded: bool | None = None
    ) -> None:
        """Take note of a header that came with the answer to the request of this mark, or with its refusal.

        `crowded`: whether others use the key, if that is known better elsewhere.
        """
        if sent_at < self._heard - _JITTER:
            return
        if sent_at > self._heard:
            self._heard = sent_at
        if mark.number > self._known:
            self._known = mark.number
        bucket = self._bucket
        self._reshape(quota)
        level = _level(quota, bucket)
        surprise = mark.level - level - (self._corrected - mark.corrected)
        if refused:
            surprise = max(0.0, surprise + mark.amount)
        else:  # each of a burst may have arrived in another's place; in the mean they are right
            surprise /= mark.burst.count
        bucket.take(surprise, now)
        self._corrected += surprise
        self._note(surprise, now)
        low = level <= 1.0 or level <= _LOW * bucket.size
        if low and (self.crowded if crowded is None else crowded):
            self._share.cut(sent_at, now, most=self._own > self._foreign)
        elif self._share.value < 1.0:
            self._share.grow(now, fast=level > bucket.size / 2)

    def _reshape(self, quota: Quota) -> None:
        bucket = self._bucket
        rate, size = _shape(quota)
        if rate != bucket.rate:
            bucket.rate, self._span = rate, _span(rate)
        if quota.limit != self._limit or size > bucket.size:
            bucket.size, self._limit = size, quota.limit

    def _note(self, surprise: float, now: float) -> None:
        fading = 1.0 - (now - self._noted_at) / self._span
        if fading < 0.0:
            fading = 0.0
        self._foreign = self._foreign * fading + surprise
        self._own *= fading
        self._noted_at = now


class Share:
    """The part of a rate that we use beside others on the same key."""

    def __init__(self) -> None:
        self.value = 1.0
        self._cut_at = self._grown_at = -math.inf

    def cut(self, sent_at: float, now: float, *, most: bool) -> None:
        """A request that went out at `sent_at` met congestion; `most`: we use more than all others."""
        self._grown_at = now
        if sent_at > self._cut_at:  # what went out before the last cut says nothing of it
            self._cut_at = now
            self.value = max(_LEAST, self.value * (_LESS if most else _LITTLE_LESS))

    def grow(self, now: float, *, fast: bool) -> None:
        """Raise it after a request that met no congestion, by the seconds since it last changed."""
        self.value = min(1.0, self.value + (_MUCH_MORE if fast else _MORE) * (now - self._grown_at))
        self._grown_at = now


def _shape(quota: Quota) -> tuple[float, float]:
    """Rate and size of the bucket that a quota describes.

    What is used up is back at the reset, so used / reset is the rate: however long the time a limit is for. Resets are
    rounded, so where it might be for a minute, as nearly all are, it is. A limit may be for a minute and the bucket be
    smaller; then the reset tells how much smaller.
    """
    rate = quota.limit / _MINUTE
    if not quota.reset:
        return rate, max(1.0, quota.limit if quota.reset is None else quota.remaining)
    used = (quota.limit - quota.remaining) / quota.reset
    if 0 < used < rate / 2:
        rate = used
    size = min(quota.limit, quota.remaining + rate * quota.reset)
    return rate, size if size > 1.0 else 1.0


def _span(rate: float) -> float:
    """Seconds: long enough for a good number of requests."""
    return max(_SPAN, 30.0 / rate)


def _level(quota: Quota, bucket: Bucket) -> float:
    """What is left; an empty bucket may be in debt, which only its reset tells."""
    if quota.remaining >= 1 or not quota.reset:
        return quota.remaining
    return min(quota.remaining, bucket.size - bucket.rate * quota.reset)
