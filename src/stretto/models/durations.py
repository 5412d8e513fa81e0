"""Seconds as headers and messages write them."""

import math
import re
import time

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$"
)
_SCALE = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1e9  # a reset this large is a point in time, not a wait


def duration(text: str) -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `1h2m3s`, or until an epoch time; None if it is none of these."""
    seconds = number(text)
    if seconds is not None:
        if seconds > _EPOCH * 1000:
            seconds /= 1000
        return max(0.0, seconds - time.time()) if seconds > _EPOCH else max(0.0, seconds)
    for unit, scale in (("ms", 0.001), ("s", 1.0)):  # nearly all are of one unit, and a header is read with every call
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdecimal():
            return float(text[: -len(unit)]) * scale
    match = _DURATION.match(text.strip())
    if not match or not any(match.groups()):
        return None
    return sum(float(part) * scale for part, scale in zip(match.groups(), _SCALE, strict=True) if part)


def number(text: str) -> float | None:
    """The finite number that is written there; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
