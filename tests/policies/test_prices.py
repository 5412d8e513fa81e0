"""Prices: as the list of known ones has them, tiers and cached tokens too; of strangers nothing is known."""

import asyncio
from decimal import Decimal

import pytest

from stretto.errors import ConfigError
from stretto.models.providers import KNOWN, Provider
from stretto.models.simulator import Simulator
from stretto.policies.prices import FREE, LISTED, Prices
from stretto.pool import AnyProvider, Pool
from stretto.types import Limits, Price, Usage
from stretto.workflow import Workflow

SIZES = [(1000, 1000, 0), (1000, 1000, 500), *((n, 10, 0) for n in (200_000, 200_001, 272_000, 272_001, 900_000))]


async def found(*models: str, providers: dict[str, AnyProvider] | None = None) -> list[Price | None]:
    pool = Pool({**KNOWN, "sim": Simulator(), **(providers or {})}, Limits())
    pool.look_up_prices(models)
    return [await pool.prices.of(model) for model in models]


@pytest.mark.parametrize(
    "model", ["anthropic:claude-sonnet-4-5", "gemini:gemini-2.5-pro", "openai:gpt-4o-mini", "groq:openai/gpt-oss-20b"]
)
def test_a_known_model_costs_what_the_list_says_for_calls_of_every_size(model: str) -> None:
    from genai_prices import Usage as TheirUsage  # so long to import that only whoever runs this does
    from genai_prices import calc_price

    (price,) = asyncio.run(found(model))
    assert price is not None
    provider, _, name = model.partition(":")
    for size in SIZES:
        listed = TheirUsage(input_tokens=size[0], output_tokens=size[1], cache_read_tokens=size[2] or None)
        theirs = calc_price(listed, model_ref=name, provider_id=LISTED[provider]).total_price
        assert price.of(Usage(*size)) == pytest.approx(theirs, abs=Decimal("1e-9"))


def test_nobody_knows_the_price_of_a_stranger() -> None:
    elsewhere: dict[str, AnyProvider] = {"mine": Provider("http://x/v1")}
    models = ("mine:gpt-4o-mini", "groq:no-such-model-at-all")
    assert asyncio.run(found(*models, providers=elsewhere)) == [None, None]


def test_behind_a_gateway_a_price_is_found_by_the_models_name_and_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    names = {
        "gpt-4o-mini": "gpt-4o-mini of openai",
        "anthropic/claude-sonnet-4-5": "claude-sonnet-4-5 of anthropic",
        "gemini/gemini-2.5-flash": "gemini-2.5-flash of google",
        "mistral-large-latest": "mistral-large of mistral",
        "my-own-deployment": None,
    }

    async def main() -> None:
        pool = Pool(KNOWN, Limits())
        pool.look_up_prices([f"openai:{name}" for name in names])
        for name, whose in names.items():
            assert (await pool.prices.of(f"openai:{name}") is None) == (whose is None)
            assert pool.prices.assumed.get(f"openai:{name}") == whose

    asyncio.run(main())
    assert asyncio.run(found("anthropic:claude-sonnet-4-5")) == asyncio.run(found("openai:claude-sonnet-4-5"))


def test_where_nobody_is_paid_it_costs_nothing() -> None:
    assert asyncio.run(found("sim:x", "ollama:qwen3.5")) == [FREE, FREE]


def test_a_price_that_is_told_needs_no_list() -> None:
    async def main() -> None:
        prices = Prices()
        prices.known["openai:gpt-4o-mini"] = FREE
        prices.look_up({"openai:gpt-4o-mini": ("openai", "gpt-4o-mini")}, {})
        assert await prices.of("openai:gpt-4o-mini") == FREE

    asyncio.run(main())


def test_a_long_prompt_may_cost_more() -> None:
    price = Price(Decimal(1), Decimal(2), above=((1000, Price(Decimal(10), Decimal(20))),))
    assert price.of(Usage(999, 100)) == Decimal("0.001199")
    assert price.of(Usage(1000, 100)) == Decimal("0.012")


def test_cached_input_has_its_own_price_if_it_has_one() -> None:
    usage = Usage(1000, 0, cached_tokens=600)
    assert Price(Decimal(1), Decimal(2), Decimal("0.1")).of(usage) == Decimal("0.00046")
    assert Price(Decimal(1), Decimal(2)).of(usage) == Decimal("0.001")


def test_a_budget_needs_prices_and_says_how_to_give_them() -> None:
    flow = Workflow(
        "mine:m",
        {"part": "mine:m"},
        "mine:m",
        providers={"mine": Provider("http://localhost:9000/v1")},
        limits=Limits(budget=Decimal(1)),
    )
    with pytest.raises(ConfigError) as caught:
        flow.run_sync("Say hello.")
    for words in ("the price of mine:m is unknown", '[prices."mine:m"]', 'unpriced = "allow"'):
        assert words in str(caught.value)
