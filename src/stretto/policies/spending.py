"""Money and tokens: of a usage, of what a call wants to set aside, of what it came to."""

from decimal import Decimal

from msgspec import Struct, field

from stretto.types import Price, RoleName, Usage

_ZERO = Decimal(0)


class Amount(Struct, frozen=True):
    """Money and tokens; what has no known price is counted in tokens only."""

    money: Decimal = _ZERO
    tokens: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.money + other.money, self.tokens + other.tokens)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.money - other.money, self.tokens - other.tokens)


NOTHING = Amount()


def amount(usage: Usage, price: Price | None) -> Amount:
    """What a usage amounts to."""
    return Amount(price.of(usage) if price else _ZERO, usage.input_tokens + usage.output_tokens)


class Bill(Struct):
    """What one call came to over all its attempts: its cost (None if a price is unknown), and usage nobody told of.

    `under_way`: what those of its attempts that are not over may come to.
    """

    cost: Decimal | None = _ZERO
    lost: Usage = Usage()
    under_way: dict[object, tuple[Usage, Decimal | None]] = field(default_factory=dict)

    def most(self) -> tuple[Usage, Decimal | None]:
        """What the call may come to altogether, as far as it is known by now."""
        usage, cost = self.lost, self.cost
        for most, price in self.under_way.values():
            usage += most
            cost = None if cost is None or price is None else cost + price
        return usage, cost


class Wish(Struct):
    """What a call wants to set aside: its request's tokens, those of its reply at most, and what they cost.

    `least`: tokens with which the reply is still worth its price. `rank` orders those who wait, the lowest first.
    `shorten`: fewer tokens for the reply are better than none. `held` is what the account set aside for it, `cost` the
    money in it that is for the call itself.
    """

    role: RoleName
    input: int
    output: int
    price: Price | None
    least: int = 0
    rank: tuple[float, ...] = ()
    shorten: bool = False
    held: Amount = NOTHING
    cost: Decimal | None = None

    def at(self, output: int) -> Amount:
        """What it amounts to with a reply of so many tokens."""
        usage = Usage(self.input, output)
        return Amount(self.price.most(usage) if self.price else _ZERO, self.input + output)
