"""Checksums of what is stored: SQLite does not notice a byte that changed inside a page.

CRC-32 over a JSON array of the short values and the lengths of the long ones, then the long ones. It finds accidents,
not forgeries.
"""

from typing import Any
from zlib import crc32

import msgspec

_head = msgspec.json.Encoder()


def event_sum(run: str, seq: int | None, kind: str, body: bytes) -> int:
    """The checksum of an event where it stands."""
    return crc32(body, crc32(_head.encode((run, seq, kind))))


def record_sum(
    run: str, seq: int | None, fingerprint: str | None, request: bytes | None, reply: bytes | None
) -> int | None:
    """The checksum of what a call asked or was answered; None if the row holds neither."""
    if request is None and reply is None:
        return None
    lengths = (None if request is None else len(request), None if reply is None else len(reply))
    return crc32(reply or b"", crc32(request or b"", crc32(_head.encode((run, seq, fingerprint, *lengths)))))


def values_sum(values: tuple[Any, ...]) -> int:
    """The checksum of a row of short values."""
    return crc32(_head.encode(values))


def event_is_whole(run: str, seq: Any, kind: Any, body: Any, said: Any) -> bool:
    """Whether this is the event that was written; a damaged row may hold anything."""
    return isinstance(body, bytes) and event_sum(run, seq, kind, body) == said


def record_is_whole(run: str, seq: Any, fingerprint: Any, request: Any, reply: Any, said: Any) -> bool:
    """Whether this is what was recorded; a damaged row may hold anything."""
    blobs = isinstance(request, bytes | None) and isinstance(reply, bytes | None)
    return blobs and isinstance(fingerprint, str) and record_sum(run, seq, fingerprint, request, reply) == said
