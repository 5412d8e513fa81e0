"""Times, money and counts as people write them."""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from stretto.errors import ConfigError
from stretto.ground.regex import regex

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_SCALE = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = regex(rf"\s*({_NUMBER})\s*(ms|sec|s|min|m|h|d|w)(?![a-z])\s*")
_DOLLARS = regex(rf"(?:\$|usd)?\s*({_NUMBER})\s*(\$|usd|ct|cts|cents?|c|¢)?", re.IGNORECASE)
_COUNT = regex(rf"([0-9]+(?:_[0-9]+)+|{_NUMBER})\s*([kKmMgG]?)")
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def seconds(text: str) -> float | None:
    """Seconds in `250ms`, `20s`, `2m30s`, `1.5h`, or a plain number of them; None if it is no time."""
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    total, at = 0.0, 0
    while part := _PART.match(text, at):
        total += float(part[1]) * _SCALE[part[2]]
        at = part.end()
    return total if at and at == len(text) else None


def money(text: str) -> Decimal | None:
    """US dollars in `0.5`, `$0.50`, `0.50 USD` or `50c`; None if it is no amount of them."""
    found = _DOLLARS.fullmatch(text.strip())
    if found is None:
        return None
    cents = (found[2] or "").lower() not in {"", "$", "usd"}
    return Decimal(found[1]) / (100 if cents else 1)


def dollars(value: Any, place: str) -> Decimal:
    """An amount of US dollars, as a number or a text; raises `ConfigError` that says how one is written."""
    plain = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    # A float's own digits, not those of its binary fraction; an exponent is fine in a number.
    found = money(f"{Decimal(str(value)):f}" if plain else value) if plain or isinstance(value, str) else None
    if found is None:
        raise ConfigError(f"{place}: {value!r} is no {MONEY}")
    return found


def count(text: str) -> float | None:
    """A number with thousands, millions and so on in short: `200k`, `1.5M`, `8G`, `250_000`; None if it is none."""
    found = _COUNT.fullmatch(text.strip())
    return None if found is None else float(found[1]) * _TIMES[found[2].lower()]


def share(text: str) -> float | None:
    """A share: `0.05` or `5%`; None if it is none."""
    number = text.strip()
    if not re.fullmatch(rf"{_NUMBER}\s*%?", number):
        return None
    return float(number.rstrip("% ")) / (100 if number.endswith("%") else 1)


MONEY = "amount of US dollars; write 0.50, $0.50 or 50c"
"""What a text must be that is no amount of money."""
A_TIME = (seconds, "time; write seconds, or 250ms, 20s, 2m30s, 1h")
A_COUNT = (count, "number; write 250000, 250k or 1.5M")
A_SHARE = (share, "share; write 0.05 or 5%")
"""What reads such a text, and what it must be."""
WRITTEN: Mapping[str, tuple[Callable[[str], Any], str]] = {
    **dict.fromkeys(("budget", "budget_per_day"), (money, MONEY)),
    "hedge": A_SHARE,
    **dict.fromkeys(("deadline", "timeout", "max_wait"), A_TIME),
    **dict.fromkeys(("tokens", "rpm", "tpm"), A_COUNT),
}
"""Limits that may be given as a text: what reads it, and what it then must be."""


def read_as(kind: tuple[Callable[[str], Any], str], text: str, place: str) -> Any:
    """What a text says as one of these, or a `ConfigError` that says how such a thing is written."""
    read, what = kind
    found = read(text)
    if found is None:
        raise ConfigError(f"{place}: {text!r} is no {what}")
    return found


def limit(name: str, value: Any) -> Any:
    """A limit as a number, money as `Decimal`; raises `ConfigError` for what cannot be read as one."""
    read, what = WRITTEN[name]
    if read is money and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Decimal(str(value))  # a float's own digits, not those of its binary fraction
    if not isinstance(value, str):
        if read is money and value is not None and not isinstance(value, Decimal):
            raise ConfigError(f"limits.{name}: {value!r} is no {what}")
        return value
    found = read_as(WRITTEN[name], value, f"limits.{name}")
    return int(found) if name == "tokens" and found.is_integer() else found
