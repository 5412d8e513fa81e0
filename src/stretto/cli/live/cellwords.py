"""Figures and names as they stand in the narrow columns of the picture."""

from decimal import Decimal
from functools import lru_cache

from stretto.cli.words import dollars, long_span, short

_LONGEST = 300  # characters of a text that are shown
_LEAST = Decimal("0.0001")


@lru_cache(maxsize=4096)  # the same texts are drawn ten times a second
def harmless(text: str, most: int = _LONGEST) -> str:
    """A text that a model wrote on one line, without anything a terminal would obey, or that not all measure alike."""
    return short(text, most).replace("\N{VARIATION SELECTOR-16}", "")


def seconds(length: float) -> str:
    """0.4s, 12.3s, 123s, 12m05s, 3h07m."""
    if length >= 600:
        return long_span(length)
    return f"{length:.1f}s" if length < 99.95 else f"{length:.0f}s"


def count(number: int) -> str:
    """812, 1.2k, 12k, 1.2M."""
    if number < 1000:
        return str(number)
    if number < 999_500:
        return f"{number / 1000:.1f}k" if number < 9950 else f"{number / 1000:.0f}k"
    return f"{number / 1e6:.1f}M"


def money(cost: Decimal | int | None) -> str:
    """Dollars, nothing for nothing and for what nobody knows."""
    if not cost:
        return ""
    return f"<${_LEAST}" if cost < _LEAST else dollars(Decimal(cost))


def model_name(model: str) -> str:
    """`gpt-oss-120b` of `together:openai/gpt-oss-120b`, `solve` of `python:shop.work.solve@1`."""
    provider, _, name = model.partition(":")
    if provider == "python":
        return name.partition("@")[0].rpartition(".")[2]
    return (name or provider).rpartition("/")[2]
