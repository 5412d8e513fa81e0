"""Seconds as headers and messages write them."""

import math
import time

from stretto.amounts import seconds

_EPOCH = 1e9  # a reset this large is a point in time, not a wait


def duration(text: str) -> float | None:
    """Seconds in `1.5`, `120ms`, `6m0s`, `1h2m3s`, or until an epoch time; None if it is none of these."""
    for unit, scale in (("ms", 0.001), ("s", 1.0)):  # nearly all are of one unit, and a header is read with every call
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdecimal():
            return float(text[: -len(unit)]) * scale
    plain = number(text)
    if plain is None:
        return seconds(text)
    if plain > _EPOCH * 1000:
        plain /= 1000
    return max(0.0, plain - time.time()) if plain > _EPOCH else max(0.0, plain)


def number(text: str) -> float | None:
    """The finite number that is written there; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
