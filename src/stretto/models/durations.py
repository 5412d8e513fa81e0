"""Seconds as headers and messages write them."""

import math
import re
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

from stretto.ground.amounts import seconds
from stretto.ground.regex import regex

_EPOCH, _LAST_EPOCH = 1e9, 1e11  # a reset this large is a point in time, not a wait
_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHORT = (("ms", 0.001), ("s", 1.0), ("µs", 1e-6), ("μs", 1e-6), ("us", 1e-6), ("ns", 1e-9))
_UNIT = r"(?:milliseconds?|msecs?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_CLOCK = regex(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:\.\d{1,9})?)")
_ONE = regex(r"\s*(?:an?|one)(?=\s)", re.IGNORECASE)
_PART = regex(rf"(?<![\d.])(?<!\de)(\d{{1,12}}(?:\.\d{{1,9}})?)\s{{0,3}}({_UNIT})", re.IGNORECASE)
SPOKEN = (
    rf"\d{{1,3}}:\d{{2}}:\d{{2}}(?!\d)|(?:an?|one)\s{{1,3}}{_UNIT}|"
    rf"\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT}(?:[\s,]{{0,3}}(?:and\s)?\d{{1,12}}(?:\.\d{{1,9}})?\s{{0,3}}{_UNIT})*"
)
"""What matches a time with its units, in signs or in words: `1m30s`, `20 seconds`, `a minute`, `00:01:30`."""


def duration(text: str, date: str = "") -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `a minute`, `00:01:30`, or until a time: an epoch, RFC 3339's, HTTP's.

    None if it is none of these. `date`: when that was written by the clock of who wrote it (the header `Date`),
    which may differ from ours by more than the wait.
    """
    for unit, scale in _SHORT:  # nearly all are of one unit, and a header is read with every call
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdecimal():
            return float(text[: -len(unit)]) * scale
    text = text.partition(";")[0].strip(" \t\"'")
    plain = number(text)
    if plain is None:
        if (found := seconds(text)) is not None or (found := _spoken(text)) is not None:
            return found
        moment = moment_of(text)
    elif plain > _EPOCH:
        moment = plain
        while moment > _LAST_EPOCH:  # in thousandths of a second, or of those
            moment /= 1000
    else:
        return max(0.0, plain)
    if moment is None:
        return None
    now = moment_of(date) if date else None
    return max(0.0, moment - (time.time() if now is None else now))


def _spoken(text: str) -> float | None:
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = clock.groups()
        return float(hours or 0) * 3600 + float(minutes) * 60 + float(rest)
    parts = _PART.findall(_ONE.sub("1", text[:200]))
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
