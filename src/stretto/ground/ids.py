"""Run ids: ULIDs, so that they sort by the time they were made (https://github.com/ulid/spec)."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

from stretto.ground.regex import regex

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


_ULID = regex("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_SHARED = 13  # letters that are the same for all names of a group


def new_ulid() -> str:
    """A new ULID: 48 bits of milliseconds, 80 random bits, in Crockford's base 32."""
    return _written((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10)))


def named_ulid(group: str, name: str) -> str:
    """The ULID that stands for a name in a group, always the same; all of a group begin alike (`group_of`).

    The time it tells is none, but one before 2005: a store that takes it in must not think that it came from later.
    """
    shared, own = (int.from_bytes(hashlib.sha256(text.encode()).digest()[:10]) for text in (group, f"{group}\0{name}"))
    return _written((shared & (1 << 55) - 1) << 65 | own & (1 << 65) - 1)


def group_of(ulid: str) -> str:
    """The letters with which all ids of the same group begin."""
    return ulid[:_SHARED]


def is_ulid(text: str) -> bool:
    """Whether a text is a ULID, in capital letters."""
    return _ULID.fullmatch(text) is not None


def _written(number: int) -> str:
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
