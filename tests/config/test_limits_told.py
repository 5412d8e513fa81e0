"""Limits and prices told in Python: what people write is understood, the rest gets a message."""

from decimal import Decimal
from typing import Any

import pytest

from stretto import Limits, Price, Workflow
from stretto.errors import ConfigError

NAN, INF, ONE = float("nan"), float("inf"), Decimal(1)


def told(**facts: Any) -> Limits:
    return Workflow("sim:x", {"part": "sim:x"}, limits=Limits(**facts)).definition.limits


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("budget", "$0.50", Decimal("0.50")),
        ("budget", "50ct", Decimal("0.5")),
        ("budget", 0.1, Decimal("0.1")),
        ("budget", 1e-7, Decimal("1e-7")),
        ("budget", 2, Decimal(2)),
        ("deadline", "2m30s", 150.0),
        ("timeout", INF, INF),
        ("tokens", "250k", 250_000),
        ("rpm", "600", 600.0),
        ("hedge", "5%", 0.05),
    ],
)
def test_what_people_write_is_understood(name: str, written: object, meant: object) -> None:
    assert getattr(told(**{name: written}), name) == meant


@pytest.mark.parametrize("name", ["budget", "deadline", "tokens", "rpm", "tpm", "timeout", "max_wait", "hedge"])
@pytest.mark.parametrize("value", [NAN, Decimal("NaN"), Decimal("sNaN"), -1, True, "soon", "", [1]])
def test_what_is_no_amount_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name}: "):
        told(**{name: value})


@pytest.mark.parametrize("name", ["parallel", "max_subtasks", "attempts", "tokens"])
@pytest.mark.parametrize("value", [0, 2.5, INF, "many", True])
def test_a_count_is_a_whole_number(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name}: "):
        told(**{name: value})


@pytest.mark.parametrize("name", ["budget", "deadline", "rpm", "tpm"])
def test_no_limit_is_said_by_none_and_not_by_infinity(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"limits\.{name}: "):
        told(**{name: Decimal("Infinity") if name == "budget" else INF})


@pytest.mark.parametrize(
    "price",
    [
        Price(Decimal(-1), ONE),
        Price(Decimal("NaN"), ONE),
        Price(ONE, Decimal("Infinity")),
        Price(ONE, ONE, Decimal(-1)),
        Price(ONE, ONE, above=((9, Price(ONE, Decimal(-1))),)),
        Price(0.5, 1.0),  # type: ignore[arg-type]
        3,
    ],
)
def test_a_price_that_cannot_be_reckoned_with_is_refused(price: Any) -> None:
    """A run whose account cannot compare would wait for ever."""
    with pytest.raises(ConfigError, match=r'prices\."sim:x"'):
        Workflow("sim:x", {"part": "sim:x"}, prices={"sim:x": price})
