"""What models cost: told, free where nobody is paid, looked up where the provider is the known one, else unknown."""

import asyncio
from decimal import Decimal

import pytest

from stretto.errors import ConfigError
from stretto.models.providers import Provider
from stretto.pool import Pool
from stretto.types import Limits, Price, Usage
from stretto.workflow import Workflow

PROVIDERS = {
    "together": Provider("https://api.together.ai/v1"),
    "openai": Provider("http://localhost:9/v1"),
    "vllm": Provider("http://localhost:8000/v1", local=True),
    "mine": Provider("http://localhost:9000/v1"),
}


async def price(model: str, told: dict[str, Price] | None = None) -> Price | None:
    pool = Pool(PROVIDERS, Limits(), told)
    pool.look_up_prices([model])
    return await pool.prices.of(model)


def looked_up(model: str, told: dict[str, Price] | None = None) -> Price | None:
    return asyncio.run(price(model, told))


def test_a_known_model_is_looked_up() -> None:
    found = looked_up("together:openai/gpt-oss-120b")
    assert found is not None
    assert 0 < found.input < found.output < 10


def test_what_is_told_goes_before_what_is_known() -> None:
    mine = Price(Decimal(1), Decimal(2))
    assert looked_up("together:openai/gpt-oss-120b", {"together:openai/gpt-oss-120b": mine}) == mine


@pytest.mark.parametrize("model", ["together:no-such-model", "mine:anything", "openai:gpt-6-luna"])
def test_what_nobody_knows_is_unknown_and_a_known_name_at_another_address_proves_nothing(model: str) -> None:
    assert looked_up(model) is None


def test_a_server_on_this_machine_takes_no_money() -> None:
    assert looked_up("vllm:qwen") == Price(Decimal(0), Decimal(0))


def test_a_long_prompt_may_cost_more() -> None:
    price = Price(Decimal(1), Decimal(2), above=((1000, Price(Decimal(10), Decimal(20))),))
    assert price.of(Usage(999, 100)) == Decimal("0.001199")
    assert price.of(Usage(1000, 100)) == Decimal("0.012")


def test_cached_input_has_its_own_price_if_it_has_one() -> None:
    usage = Usage(1000, 0, cached_tokens=600)
    assert Price(Decimal(1), Decimal(2), Decimal("0.1")).of(usage) == Decimal("0.00046")
    assert Price(Decimal(1), Decimal(2)).of(usage) == Decimal("0.001")


def test_a_budget_needs_prices_and_says_how_to_give_them() -> None:
    flow = Workflow("mine:m", {"part": "mine:m"}, "mine:m", providers=PROVIDERS, limits=Limits(budget=Decimal(1)))
    with pytest.raises(ConfigError) as caught:
        flow.run_sync("Say hello.")
    for words in ("the price of mine:m is unknown", '[prices."mine:m"]', "stretto[prices]", 'unpriced = "allow"'):
        assert words in str(caught.value)


@pytest.mark.parametrize("budget", ["0.5", 0.5, "50ct"])
def test_a_budget_in_python_may_be_written_in_other_ways(budget: object) -> None:
    flow = Workflow("sim:m", {"part": "sim:m"}, limits=Limits(budget=budget))  # type: ignore[arg-type]
    assert flow.definition.limits.budget == Decimal("0.5")


@pytest.mark.parametrize("budget", ["soon", -1, Decimal(-1), Decimal(0), float("nan"), Decimal("nan"), Decimal("inf")])
def test_a_budget_that_is_none_is_refused(budget: object) -> None:
    with pytest.raises(ConfigError, match=r"limits\.budget"):
        Workflow("sim:m", {"part": "sim:m"}, limits=Limits(budget=budget))  # type: ignore[arg-type]
