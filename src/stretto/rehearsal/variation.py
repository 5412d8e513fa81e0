"""The configuration at hand, and the same with one setting changed."""

from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.types import Limits

AS_IT_IS = "as it is"
_HEDGE = 0.05


class Variation(Struct, frozen=True):
    """Limits under a name; `changed` says which of them differ from those at hand."""

    name: str
    limits: Limits
    changed: dict[str, Any] = {}


def vary(limits: Limits, key: str, value: Any) -> Variation:
    """The limits with one of them changed."""
    return Variation(f"{key} {_told(key, value)}", replace(limits, **{key: value}), {key: value})


def usual(limits: Limits, *, free: bool = False) -> list[Variation]:
    """What is worth trying: half and double the calls in flight, budget and deadline; hedging, or not.

    `free`: no model costs anything, so a budget of money is never met.
    """
    tried: list[tuple[str, Any]] = [("parallel", limits.parallel // 2), ("parallel", limits.parallel * 2)]
    tried.append(("hedge", 0.0 if limits.hedge else _HEDGE))
    if limits.budget is not None and not free:
        tried += [("budget", limits.budget / 2), ("budget", limits.budget * 2)]
    if limits.deadline is not None:
        tried += [("deadline", limits.deadline / 2), ("deadline", limits.deadline * 2)]
    variations = [vary(limits, key, value) for key, value in tried]
    return [one for one in variations if one.limits.parallel >= (2 if one.limits.hedge else 1)]


def _told(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if key in {"budget", "budget_per_day"}:
        return f"${Decimal(value).normalize():f}"
    if key == "hedge":
        return f"{100 * value:g} %"
    return f"{value:g} s" if key in ("deadline", "timeout", "max_wait") else str(value)
