"""A provider's own bucket, as its headers describe it, and how much of it we may use beside others on the same key."""

import math
from typing import NamedTuple

from stretto.policies.governor.gate import TICK, Bucket
from stretto.types import Quota

_MINUTE = 60.0
_RESERVE = 0.05  # of the bucket stays in it, so that jitter on the way does not overdraw it
_MOST_RESERVE = 2.0  # requests; in tokens, those of so many requests
_JITTER = 0.05  # seconds within which requests may overtake one another
_LOW = 0.1  # of the bucket: then it is as good as empty
_DRAIN = 2.0  # times a second what is in the bucket may go out: at once, two on one key would overdraw it together
_FOREIGN, _FEW = 0.03, 3.0  # of the rate, and of the amount of a request, used by others: then we share
_VAGUE = 0.2  # of the rate, where requests differ: estimates may be wrong by less
_SPAN = 5.0  # seconds over which the use of others is averaged
_LEAST = 0.05  # of the rate is always ours
_LESS, _MORE, _MUCH_MORE = 0.7, 0.02, 0.1  # our share, at congestion; a second later; a second later at a good level


class Burst:
    """Requests that went out at about the same time: they may arrive in any order."""

    __slots__ = ("count", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0


class Mark(NamedTuple):
    """What was known when a request went out: sent in all, level afterwards, corrections so far."""

    amount: float
    spent: float
    level: float
    corrected: float
    burst: Burst


class Mirror:
    """The bucket of one quota; `vague` if what a request uses can only be estimated.

    Each header corrects the level as of when its request went out. What keeps missing others on this key have taken;
    with them the rate is shared as TCP shares a line: our share is cut at congestion and grows slowly without it, so
    that shares become even. Source: Chiu and Jain, "Analysis of the increase and decrease algorithms", 1989.
    """

    def __init__(self, *, vague: bool = False) -> None:
        self._vague = vague
        self._bucket: Bucket | None = None
        self._limit = 0.0
        self._spent = self._corrected = 0.0
        self._heard = -math.inf  # when the request of the newest header went out
        self._foreign, self._foreign_at = 0.0, 0.0
        self._share, self._cut_at, self._grown_at = 1.0, -math.inf, 0.0
        self._next_at = -math.inf
        self._burst = Burst(-math.inf)

    @property
    def known(self) -> bool:
        """Whether the provider has told this quota."""
        return self._bucket is not None

    @property
    def crowded(self) -> bool:
        """Whether others use it, too."""
        bucket, least = self._bucket, _VAGUE if self._vague else _FOREIGN
        return bucket is not None and self._foreign > max(_FEW, least * bucket.rate * self._span)

    def opens_at(self, amount: float, now: float) -> float:
        """From when so much may be used."""
        bucket = self._bucket
        if bucket is None:
            return now
        opens = bucket.ready_at(amount + min(_RESERVE * bucket.size, _MOST_RESERVE * amount), now)
        return max(opens, self._next_at)

    def take(self, amount: float, now: float) -> Mark:
        """Use so much."""
        self._spent += amount
        if now > self._burst.since + _JITTER:
            self._burst = Burst(now)
        self._burst.count += 1
        bucket = self._bucket
        if bucket is None:
            return Mark(amount, self._spent, math.nan, 0.0, self._burst)
        bucket.take(amount, now)
        spacing = amount / (self._share * (bucket.rate + _DRAIN * max(0.0, bucket.level(now))))
        self._next_at = max(self._next_at, now - max(spacing, TICK)) + spacing
        return Mark(amount, self._spent, bucket.level(now), self._corrected, self._burst)

    def give_back(self, mark: Mark, now: float) -> None:
        """A request was refused, so it used nothing."""
        self._spent -= mark.amount
        if self._bucket is not None:
            self._bucket.take(-mark.amount, now)

    def tell(
        self, quota: Quota, mark: Mark, sent_at: float, now: float, *, refused: bool, crowded: bool | None = None
    ) -> None:
        """Take note of a header that came with the answer to the request of this mark, or with its refusal.

        `crowded`: whether others use the key, if that is known better elsewhere.
        """
        if sent_at < self._heard - _JITTER:
            return
        self._heard = max(self._heard, sent_at)
        rate, size = _shape(quota)
        bucket = self._bucket
        if bucket is None or quota.limit != self._limit or math.isnan(mark.level):
            self._limit = quota.limit
            self._bucket = bucket = Bucket(rate, size)
            level = _level(quota, bucket)
            bucket.take(size - level - rate * (now - sent_at) + (self._spent - mark.spent), now)
            self._foreign_at = self._grown_at = now
            return
        bucket.rate, bucket.size = rate, max(size, bucket.size)
        level = _level(quota, bucket)
        surprise = mark.level - level - (self._corrected - mark.corrected)
        if refused:
            surprise = max(0.0, surprise + mark.amount)
        else:  # each of a burst may have arrived in another's place; in the mean they are right
            surprise /= mark.burst.count
        bucket.take(surprise, now)
        self._corrected += surprise
        self._note(surprise, now)
        self._adapt(level, sent_at, now, crowded=self.crowded if crowded is None else crowded)

    @property
    def _span(self) -> float:
        """Long enough for a good number of requests."""
        assert self._bucket is not None  # noqa: S101 - asked after a header
        return max(_SPAN, 30.0 / self._bucket.rate)

    def _note(self, surprise: float, now: float) -> None:
        self._foreign = self._foreign * math.exp((self._foreign_at - now) / self._span) + surprise
        self._foreign_at = now

    def _adapt(self, level: float, sent_at: float, now: float, *, crowded: bool) -> None:
        """Our share after a header that tells of this level."""
        assert self._bucket is not None  # noqa: S101 - asked after a header
        size = self._bucket.size
        if crowded and level <= max(1.0, _LOW * size):
            if sent_at > self._cut_at:  # what went out before the last cut says nothing of it
                self._share, self._cut_at = max(_LEAST, self._share * _LESS), now
        elif self._share < 1:
            growth = _MUCH_MORE if level > size / 2 else _MORE
            self._share = min(1.0, self._share + growth * (now - self._grown_at))
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
    return rate, max(1.0, min(quota.limit, quota.remaining + rate * quota.reset))


def _level(quota: Quota, bucket: Bucket) -> float:
    """What is left; an empty bucket may be in debt, which only its reset tells."""
    if quota.remaining >= 1 or not quota.reset:
        return quota.remaining
    return min(quota.remaining, bucket.size - bucket.rate * quota.reset)
