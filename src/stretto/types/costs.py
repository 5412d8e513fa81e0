"""What calls take: tokens, money, and what providers permit."""

from decimal import Decimal

from msgspec import Struct

from stretto.types.keywords import Keyworded

_MILLION = Decimal(1_000_000)


class Usage(Struct, frozen=True):
    """Tokens of one call, or the sum of several.

    - `input_tokens`: those of the request.
    - `output_tokens`: those of the reply, thoughts among them.
    - `cached_tokens`: those of the request that came from the provider's cache.
    - `reasoning_tokens`: those of the reply that are thoughts.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class Quota(Struct, frozen=True):
    """What a provider says of one limit: how much it is, what is left of it, and seconds until all of it is back."""

    limit: float
    remaining: float
    reset: float | None = None


class Allowance(Struct, frozen=True):
    """What a provider says of its limits with an answer."""

    requests: Quota | None = None
    tokens: Quota | None = None


class Price(Struct, frozen=True, metaclass=Keyworded):
    """What a model costs, in US dollars for a million tokens.

    - `input`: those of the request.
    - `output`: those of the reply, thoughts among them.
    - `cached`: those of the request that came from the provider's cache; None: what the others cost.
    - `above`: prices of long calls, each with the tokens of input from which on it is that of the whole call; none.
    """

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    above: tuple[tuple[int, "Price"], ...] = ()

    def times(self, part: float) -> "Price":
        """A part of it: half of it if that is 0.5."""
        by = Decimal(str(part))
        cached = None if self.cached is None else self.cached * by
        above = tuple((least, dearer.times(part)) for least, dearer in self.above)
        return Price(self.input * by, self.output * by, cached, above)

    def of(self, usage: Usage) -> Decimal:
        """What a call with this usage costs."""
        price = self
        for least, dearer in self.above:
            price = dearer if usage.input_tokens >= least else price
        cost = usage.input_tokens * price.input + usage.output_tokens * price.output
        if usage.cached_tokens and price.cached is not None:
            cost -= min(usage.cached_tokens, usage.input_tokens) * (price.input - price.cached)
        return cost / _MILLION

    def most(self, usage: Usage) -> Decimal:
        """What a call costs at most that takes no more than this: any of its input may come from the cache."""
        asked, written = max(self.input, self.cached or self.input), self.output
        for least, dearer in self.above:
            if usage.input_tokens >= least:
                asked = max(asked, dearer.input, dearer.cached or dearer.input)
                written = max(written, dearer.output)
        return (usage.input_tokens * asked + usage.output_tokens * written) / _MILLION
