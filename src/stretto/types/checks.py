"""What a run may use and what models cost, as told in Python: checked at the door."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.types import Limits, Memory, Price
from stretto.types.keywords import check_keywords

_T = TypeVar("_T", Limits, Memory)


def taken(kind: type[_T], told: _T | Mapping[str, Any] | None, place: str) -> _T:
    """What was told, or made of a mapping of its fields; raises `ConfigError` naming what does not belong in it."""
    if isinstance(told, kind):
        return told
    known = kind.__struct_fields__
    if not isinstance(told, Mapping | None):
        raise ConfigError(f"{place}: must be {kind.__name__}({known[0]}=…) or a mapping of the same, not {told!r}")
    check_keywords(place, told or {}, known)
    return kind(**(told or {}))


def checked_limits(limits: Limits) -> Limits:
    """They; raises `ConfigError` if nothing could run within them, or if they contradict each other."""
    counts = ("parallel", "max_subtasks", "rounds", "tokens", "attempts")
    sizes = ("rpm", "tpm", "budget", "budget_per_day", "deadline")
    check_numbers("limits", limits, counts, sizes, ("timeout", "max_wait"))
    if not _is_number(limits.hedge) or not 0 <= limits.hedge <= 1:
        raise ConfigError(f"limits.hedge: must be a share from 0 to 1, not {limits.hedge}")
    if limits.hedge and limits.parallel == 1:
        raise ConfigError("limits.hedge: asking twice needs a second place; raise parallel, or leave hedge out")
    if limits.budget_per_day is not None and limits.budget is None:
        raise ConfigError("limits.budget_per_day: say what one run may take of it, too (limits.budget)")
    if limits.budget is not None and limits.budget_per_day is not None and limits.budget > limits.budget_per_day:
        raise ConfigError(
            f"limits.budget: one run may cost ${limits.budget:f}, and all of a day only ${limits.budget_per_day:f} "
            "(limits.budget_per_day), so none could begin; lower the one or raise the other"
        )
    if limits.unpriced not in {"refuse", "allow"}:
        raise ConfigError(f"limits.unpriced: must be refuse or allow, not {limits.unpriced!r}")
    return limits


def check_numbers(
    place: str, holder: Struct, counts: Sequence[str], sizes: Sequence[str], endless: Sequence[str] = ()
) -> None:
    """Raise `ConfigError` for a count that is no whole number from 1 on, or an amount that is not above 0.

    Only those that may be `endless` can be infinite; for the others None is no limit.
    """
    for name in (*counts, *sizes, *endless):
        value = getattr(holder, name)
        if value is None:
            continue
        what = "1 or more" if name in counts else "more than 0"
        if not _is_number(value) or not (value >= 1 if name in counts else value > 0):
            told = repr(value) if isinstance(value, str) else value
            raise ConfigError(f"{place}.{name}: must be {what}, not {told}")
        if math.isinf(value) and name not in endless:
            raise ConfigError(f"{place}.{name}: must be finite; leave it out for no limit")
        if name in counts and not isinstance(value, int):
            raise ConfigError(f"{place}.{name}: must be a whole number, not {value}")


def check_prices(prices: Mapping[str, Price | None]) -> None:
    """Raise `ConfigError` for a price that cannot be reckoned with."""
    for model, price in prices.items():
        if price is not None:
            _check_price(f'prices."{model}"', price)


_SEVERAL = "one reply is read of each call; for several, give the worker samples, or leave it out"
_LIMIT = "the limit of a reply is called max_tokens here, which every provider is asked for in its own words"
NO_TOOLS = (
    "there are no tools for workers yet, and no MCP: give them what they need as inputs (-i), or make a worker of a "
    "Python function"
)
TOOLS = ("tools", "tool_choice", "functions", "function_call", "mcp", "mcp_servers")
"""What would have to be said of tools, wherever it is said."""
_MEANINGLESS: Mapping[str, str] = {
    **dict.fromkeys(("n", "best_of", "num_return_sequences"), _SEVERAL),
    **dict.fromkeys(("max_output_tokens", "max_new_tokens", "num_predict", "n_predict"), _LIMIT),
    **dict.fromkeys(TOOLS, NO_TOOLS),
}
"""Options that cannot go into a request, and why: what they lead to would be neither read nor reckoned with."""


def check_options(place: str, options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an option of a request whose outcome nobody reads, or whose cost nobody could foresee."""
    for name, why in _MEANINGLESS.items():
        if options.get(name) and not (why is _SEVERAL and options[name] == 1):
            raise ConfigError(f"{place}.{name}: {why}")


def checked_memory(memory: Memory) -> Memory:
    """It, or a `ConfigError` for a word that means nothing here."""
    for name, known in (("reuse", ("run", "store", "off")), ("record", ("all", "usage"))):
        if getattr(memory, name) not in known:
            raise ConfigError(f"memory.{name}: must be {' or '.join(known)}, not {getattr(memory, name)!r}")
    return memory


def _check_price(place: str, price: Any) -> None:
    if not isinstance(price, Price):
        raise ConfigError(f"{place}: must be a Price, or None if it is unknown, not {price!r}")
    for name in ("input", "output", "cached"):
        value = getattr(price, name)
        if value is None and name == "cached":
            continue
        if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
            raise ConfigError(f"{place}.{name}: must be a Decimal from 0 on, like Decimal('0.50'), not {value!r}")
    for _, dearer in price.above:
        _check_price(f"{place}.above", dearer)


def _is_number(value: Any) -> bool:
    """Whether a value can be compared with others; NaN cannot."""
    if isinstance(value, Decimal):
        return not value.is_nan()
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
