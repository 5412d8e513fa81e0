"""What models cost: as told, nothing where nobody is paid, else looked up in `genai-prices`."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from stretto.types import Price

LISTED: Mapping[str, str] = {
    "together": "together", "openai": "openai", "anthropic": "anthropic", "gemini": "google", "groq": "groq",
    "mistral": "mistral", "openrouter": "openrouter", "deepseek": "deepseek", "fireworks": "fireworks",
}  # fmt: skip
"""Our names of providers, and theirs in `genai-prices`."""

FREE = Price(Decimal(0), Decimal(0))


class Prices:
    """The prices of models as written, each looked up once; None is unknown.

    `known` holds those that need no look-up. The others are looked up in a thread from `look_up` on: the import takes
    0.15 s, which the first request can use. `assumed`: whose price was taken for a model, where a name was all that
    there was to find it by. `batches`: which part of its price a model costs in a batch, of those that have some.
    """

    def __init__(self) -> None:
        self.known: dict[str, Price | None] = {}
        self.assumed: dict[str, str] = {}
        self.batches: dict[str, float] = {}
        self._coming: asyncio.Future[dict[str, Price | None]] | None = None

    def look_up(self, models: Mapping[str, tuple[str, str]], elsewhere: Mapping[str, tuple[str, str]]) -> None:
        """Begin to look up models as written, each given as provider (theirs) and name.

        Of those `elsewhere` something else answers under the provider's name, a gateway mostly: the price is assumed to
        be that of whoever the model's name tells of.
        """
        wanted, guessed = (
            {written: model for written, model in some.items() if written not in self.known}
            for some in (models, elsewhere)
        )
        if wanted or guessed:
            self._coming = asyncio.get_running_loop().run_in_executor(None, self._listed, wanted, guessed)

    def _listed(
        self, models: Mapping[str, tuple[str, str]], elsewhere: Mapping[str, tuple[str, str]]
    ) -> dict[str, Price | None]:
        prices = {written: found and _price(found.model_price) for written, found in _found(models)}
        for written, (provider, model) in elsewhere.items():
            guesses = {str(number): guess for number, guess in enumerate(_guesses(provider, model))}
            found = next((found for _, found in _found(guesses) if found), None)
            prices[written] = price = found and _price(found.model_price)
            if found and price:
                self.assumed[written] = f"{found.model.id} of {found.provider.id}"
        return prices

    async def ready(self) -> None:
        """Wait until every look-up is done."""
        if self._coming is not None:
            found = await asyncio.shield(self._coming)
            self.known = {**found, **self.known}

    async def of(self, model: str) -> Price | None:
        """The price of a model, as written."""
        if model not in self.known:
            await self.ready()
        return self.known.setdefault(model, None)

    def assumptions(self, models: Iterable[str]) -> tuple[str, ...]:
        """Those of the models whose price is assumed, and whose it is: `openai:gpt-5: gpt-5 of openai`."""
        return tuple(f"{model}: {self.assumed[model]}" for model in sorted(models) if model in self.assumed)


def contexts(models: Mapping[str, tuple[str, str]]) -> dict[str, int]:
    """The tokens models take, where the list of prices says so; each is given as provider (theirs) and name."""
    windows = {
        written: getattr(getattr(found, "model", None), "context_window", None) for written, found in _found(models)
    }
    return {written: window for written, window in windows.items() if isinstance(window, int)}


def _guesses(provider: str, model: str) -> Iterator[tuple[str | None, str]]:
    """Whose it may be, the likeliest first: the provider's, that of whoever stands before its name, anybody's."""
    yield provider, model
    before, slash, rest = model.partition("/")
    if slash and before in {*LISTED, *LISTED.values()}:
        yield LISTED.get(before, before), rest
        yield None, rest
    yield None, model


def _found(models: Mapping[str, tuple[str | None, str]]) -> Iterator[tuple[str, Any]]:
    """Each model with what `genai-prices` knows of it, or None; without a provider it is anybody's of that name."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:  # the extra `prices` is not installed
        yield from dict.fromkeys(models).items()
        return
    for written, (provider, model) in models.items():
        try:
            yield written, calc_price(Usage(input_tokens=1, output_tokens=1), model_ref=model, provider_id=provider)
        except LookupError:
            yield written, None


def _price(listed: Any) -> Price | None:
    """Our form of a `genai_prices.types.ModelPrice`: prices for a million tokens, of which any may have tiers."""
    parts = {ours: getattr(listed, theirs, None) for ours, theirs in _PARTS.items()}
    if parts["input"] is None or parts["output"] is None:
        return None
    starts = sorted({tier.start for part in parts.values() for tier in getattr(part, "tiers", ())})
    above = tuple((start + 1, _at(parts, start)) for start in starts)  # theirs begin after so many tokens
    base = _at(parts, 0)
    return Price(base.input, base.output, base.cached, above)


_PARTS = {"input": "input_mtok", "output": "output_mtok", "cached": "cache_read_mtok"}


def _at(parts: Mapping[str, Any], tokens: int) -> Price:
    """The prices of a call with so many input tokens."""
    prices = {}
    for name, part in parts.items():
        price = getattr(part, "base", part)
        for tier in getattr(part, "tiers", ()):
            price = tier.price if tokens >= tier.start else price
        prices[name] = price
    return Price(**prices)
