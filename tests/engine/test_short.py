"""A run that gets short of money: cheaper models, then shorter replies, then fewer subtasks, and still an answer."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from stretto import Limits, Price, Role, Run, Simulator, Workflow
from stretto.errors import BudgetError
from virtual import virtually

DEAR, CHEAP = Price(Decimal(10), Decimal(40)), Price(Decimal(1), Decimal(4))
PRICES = {"sim:p": CHEAP, "sim:dear": DEAR, "sim:cheap": CHEAP, "sim:s": CHEAP}
EVEN = {"sim": Simulator(length_spread=0.0, ttft_spread=0.0)}


def run(subtasks: int, model: str | tuple[str, ...], *, synthesizer: str | None = "sim:s", **limits: Any) -> Run:
    worker = Role(model, options={"max_tokens": 400})
    flow = Workflow(
        Role("sim:p", options={"max_tokens": 1500}),
        {"part": worker},
        None if synthesizer is None else Role(synthesizer, options={"max_tokens": 1500}),
        limits=Limits(**limits),
        providers=EVEN,
        prices=PRICES,
    )
    return virtually(flow.run(f"Describe tea in {subtasks} subtasks."))


def policies(degraded: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(reason.partition(":")[0] for reason in degraded))


def asked(told: Run) -> set[str]:
    """Who did the subtasks."""
    finished = [call.finished for call in told.calls if call.role == "worker" and call.finished]
    return {event.asked or event.model for event in finished if event.finish}


def test_with_plenty_nothing_is_given_up() -> None:
    told = run(6, ("sim:dear", "sim:cheap"), budget=Decimal(2))
    assert told.coverage.complete
    assert told.coverage.degraded == ()
    assert asked(told) == {"sim:dear"}
    assert told.cost is not None
    assert 0 < told.cost < 2


def test_a_cheaper_model_is_asked_first() -> None:
    told = run(6, ("sim:dear", "sim:cheap"), budget=Decimal("0.04"))
    assert told.coverage.complete
    assert policies(told.coverage.degraded) == ["fallback"]
    assert asked(told) == {"sim:dear", "sim:cheap"}
    assert told.cost is not None
    assert told.cost <= Decimal("0.04")


def test_then_replies_are_kept_shorter_and_then_subtasks_are_skipped() -> None:
    told = run(40, "sim:dear", budget=Decimal("0.2"))
    assert policies(told.coverage.degraded) == ["budget"]
    assert "asked for a shorter reply" in told.coverage.degraded[0]
    assert any("subtasks are skipped" in reason for reason in told.coverage.degraded)
    assert told.coverage.counts["done"] > 0
    assert told.coverage.counts["skipped"] > 0
    assert told.answer
    assert told.coverage.answer != "unmerged"
    assert told.cost is not None
    assert told.cost <= Decimal("0.2")


def test_tokens_are_kept_to_as_money_is() -> None:
    told = run(30, "sim:cheap", tokens=12_000)
    assert told.usage.input_tokens + told.usage.output_tokens <= 12_000
    assert told.coverage.counts["skipped"] > 0
    assert told.answer


def test_a_budget_smaller_than_the_plan_sends_nothing_and_says_what_would_do() -> None:
    with pytest.raises(
        BudgetError, match=r"cost as much as \$0\.\d+, .* of \$0\.0001 only .* are left; raise budget, or"
    ):
        run(3, "sim:cheap", budget=Decimal("0.0001"))


def test_more_subtasks_than_anyone_could_pay_for_cost_no_more_than_a_few() -> None:
    told = run(60, "sim:dear", budget=Decimal("0.1"), max_subtasks=60)
    assert told.cost is not None
    assert told.cost <= Decimal("0.1")
    assert len(told.results) == 60
