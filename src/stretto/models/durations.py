"""Seconds as headers and messages write them."""

import math
import re
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

from stretto.amounts import seconds

_EPOCH = 1e9  # a reset this large is a point in time, not a wait
_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORT = (("ms", 0.001), ("s", 1.0), ("µs", 1e-6), ("μs", 1e-6), ("us", 1e-6), ("ns", 1e-9))
_UNIT = r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_PART = re.compile(rf"(?<![\d.])(?<!\de)(\d{{1,12}}(?:\.\d{{1,9}})?)\s{{0,3}}({_UNIT})", re.IGNORECASE)
SPOKEN = (
    rf"\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT}(?:[\s,]{{0,3}}(?:and\s)?\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT})*"
)
"""What matches a time with its units, in signs or in words: `1m30s`, `20 seconds`, `1 minute and 5 seconds`."""


def duration(text: str, date: str = "") -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `20 seconds`, or until a time: an epoch, or as RFC 3339 or HTTP write it.

    None if it is none of these. `date`: when that was written by the clock of who wrote it (the header `Date`),
    which may differ from ours by more than the wait.
    """
    for unit, scale in _SHORT:  # nearly all are of one unit, and a header is read with every call
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdecimal():
            return float(text[: -len(unit)]) * scale
    plain = number(text)
    if plain is None:
        if (found := seconds(text)) is not None or (found := _spoken(text)) is not None:
            return found
        moment = moment_of(text)
    elif plain > _EPOCH:
        moment = plain / 1000 if plain > _EPOCH * 1000 else plain
    else:
        return max(0.0, plain)
    if moment is None:
        return None
    now = moment_of(date) if date else None
    return max(0.0, moment - (time.time() if now is None else now))


def _spoken(text: str) -> float | None:
    parts = _PART.findall(text[:200])
    scales = [_UNITS.get(unit[:2].lower(), _UNITS[unit[:1].lower()]) for _, unit in parts]
    return sum(float(part[0]) * scale for part, scale in zip(parts, scales, strict=True)) if parts else None


def moment_of(text: str) -> float | None:
    """The point in time that RFC 3339 or HTTP writes so, in seconds of the epoch; None if it is none."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text).timestamp()
        except (ValueError, TypeError, OverflowError):
            continue
    return None


def number(text: str) -> float | None:
    """The finite number that is written there; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
