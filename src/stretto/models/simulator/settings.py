"""What a simulated provider is like: its speed, its faults, its limits."""

import math
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import ConfigError
from stretto.models.providers import Provider
from stretto.models.simulator.faults import Fault
from stretto.types.keywords import Keyworded

Grain = Literal["token", "line"]
"""What is streamed at once; lines spare events, and each comes when its last token is due."""


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
