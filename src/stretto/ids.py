"""Run ids: ULIDs, so that they sort by the time they were made (https://github.com/ulid/spec)."""

import os
import time
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """A new ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def made_at(ulid: str) -> datetime:
    """When a ULID was made, in UTC; the end of all times if that is beyond it."""
    milliseconds = 0
    for letter in ulid[:10]:
        milliseconds = milliseconds << 5 | _ALPHABET.index(letter)
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
