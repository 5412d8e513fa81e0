"""What a simulated provider is like: its speed, its faults, its limits."""

import math
from collections.abc import Mapping
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.models.error_bodies import Refusal, rate_limited
from stretto.models.providers import Provider
from stretto.models.simulator.faults import Fault
from stretto.types import Allowance, Quota
from stretto.types.keywords import Keyworded

Grain = Literal["token", "line"]
"""What is streamed at once; lines spare events, and each comes when its last token is due."""

_HAIR = 1e-6
"""Timers and floats do not meet exactly: what lacks no more than this is there."""


class Profile(Struct, frozen=True, metaclass=Keyworded):
    """How fast a model answers: median seconds to the first token, then tokens per second.

    `ttft_spread`, `length`, `length_spread` are those of a `Simulator`, where they differ for this model.
    """

    ttft: float
    tokens_per_second: float
    ttft_spread: float | None = None
    length: float | None = None
    length_spread: float | None = None


Tells = Literal["headers", "retry_after", "nothing"]
"""What a provider says of its limits: all of it in every answer's headers, `Retry-After` with a 429, nothing."""

PROFILES = {
    "default": Profile(0.4, 80.0),
    "fast": Profile(0.04, 800.0),
    "instant": Profile(0.0, math.inf),
}


class Simulator(Struct, frozen=True, metaclass=Keyworded):
    """The settings of a simulated provider.

    - `seed`: of everything that is drawn; 0.
    - `faults`: what goes wrong, looked at in order; nothing.
    - `rpm`: requests a minute, more get a 429; no limit.
    - `tpm`: tokens of prompt and reply a minute, more get a 429; no limit.
    - `burst`: seconds' worth of those limits that may come at once. 2 is more than a careful client takes, so that one
      which keeps the rate is not refused for a few milliseconds of jitter.
    - `bucket`: requests that may come at once, in place of `burst`.
    - `tells`: what is said of the limits. `"headers"`, the default: all, with every reply; `"retry_after"`: that,
      with a 429; or `"nothing"`.
    - `ttft`: median seconds to the first token; None: as the model's profile says.
    - `ttft_spread`: the sigma of their lognormal; 0.35.
    - `tokens_per_second`: of each reply; None: as the model's profile says.
    - `length`: median tokens of a worker's text; 150.
    - `length_spread`: the sigma of their lognormal, 0.8: a heavy tail.
    - `subtasks`: how many a plan has; None: as the task says, or as comes of it.
    - `doubts`: the share of checks that fail, from 0 to 1; 0.
    - `grain`: what is streamed at once, a `"token"`, the default, or a `"line"`.
    - `batch`: seconds that a batch takes; 1.
    - `batch_price`: which part of a price a call costs in one, in this process; 0.5.
    - `profiles`: of single models, by name; they go before all this.
    """

    seed: int = 0
    faults: tuple[Fault, ...] = ()
    rpm: float | None = None
    tpm: float | None = None
    burst: float = 2.0
    bucket: float | None = None
    tells: Tells = "headers"
    ttft: float | None = None
    ttft_spread: float = 0.35
    tokens_per_second: float | None = None
    length: float = 150.0
    length_spread: float = 0.8
    subtasks: int | None = None
    doubts: float = 0.0
    grain: Grain = "token"
    batch: float = 1.0
    batch_price: float = 0.5
    profiles: dict[str, Profile] = {}

    def __post_init__(self) -> None:
        if self.tells not in get_args(Tells):
            raise ConfigError(f"simulator: tells must be one of {', '.join(get_args(Tells))}, not {self.tells!r}")
        for name in ("rpm", "tpm", "bucket", "tokens_per_second", "length"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and (name == "tokens_per_second" or value < math.inf)):
                raise ConfigError(f"simulator: {name} must be more than 0 and finite, not {value}")
        for name in ("burst", "ttft", "ttft_spread", "length_spread", "batch"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ConfigError(f"simulator: {name} must be 0 or more, not {value}")
        if not 0 < self.batch_price <= 1:
            raise ConfigError(f"simulator: batch_price must be above 0, and 1 at the most, not {self.batch_price}")
        if not 0 <= self.doubts <= 1:
            raise ConfigError(f"simulator: doubts must be from 0 to 1, not {self.doubts}")
        if self.subtasks is not None and self.subtasks < 1:
            raise ConfigError(f"simulator: subtasks must be 1 or more, not {self.subtasks}")
        if self.grain not in get_args(Grain):
            raise ConfigError(f"simulator: grain must be one of {', '.join(get_args(Grain))}, not {self.grain!r}")

    def of(self, model: str) -> "Simulator":
        """The settings for one model."""
        profile = self.profiles.get(model)
        if profile is None:
            return self
        told = {name: value for name in Profile.__struct_fields__ if (value := getattr(profile, name)) is not None}
        return replace(self, **told, profiles={})

    def profile(self, model: str) -> Profile:
        """The speed of a model; any name that is no profile's is as `default`."""
        known = PROFILES.get(model, PROFILES["default"])
        return Profile(
            known.ttft if self.ttft is None else self.ttft,
            self.tokens_per_second or known.tokens_per_second,
        )


class StandIn(Simulator, frozen=True):
    """A simulator in the place of a real provider, if it `stands_for` one.

    What goes to it keeps to the limits that the configuration tells of that provider, as it would in earnest.
    """

    stands_for: Provider | None = None


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
