"""Reading what is stored of one run, checked against its checksums: never a wrong event, never a wrong record."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec

from stretto.errors import RunNotFound, StoreError
from stretto.events import AnyEvent, RunStarted, decode
from stretto.ground.text import clean
from stretto.store.database import Database
from stretto.store.locations import Location
from stretto.store.summary import ONE, read
from stretto.store.sums import event_is_whole, record_is_whole
from stretto.types import Reply, Request

_EVENTS = "SELECT seq, kind, body, event_sum FROM events WHERE run = ? ORDER BY seq"
_RECORDS = """
SELECT seq, fingerprint, record_sum, request, reply FROM events
WHERE run = ? AND (fingerprint IS NOT NULL OR record_sum IS NOT NULL) ORDER BY seq
"""


_request = msgspec.json.Decoder(Request)
_reply = msgspec.json.Decoder(Reply)


class Recorded(NamedTuple):
    """What one row holds of a call; not `whole`: something in it changed since, and neither is told."""

    seq: int
    fingerprint: str
    request: Request | None = None
    reply: Reply | None = None
    whole: bool = False


def events_of(db: Database, location: Location, run: str) -> list[AnyEvent]:
    """The log of a run, oldest first; raises `RunNotFound`, or `StoreError` if a part of it is damaged."""
    bodies = whole_bodies(db, location, run)
    try:
        events = [decode(body) for body in bodies]
    except msgspec.MsgspecError as error:
        raise damaged(location, run, f"an event cannot be read: {error}") from error
    if not isinstance(events[0], RunStarted):
        raise damaged(location, run, f"it begins with {events[0].kind}")
    return events


def whole_bodies(db: Database, location: Location, run: str) -> list[bytes]:
    """The events of a run as they are stored, not yet decoded; none is missing and none has changed."""
    least = least_of(db, run)  # first: meanwhile there can only be more
    rows = db.execute(_EVENTS, (run,)).fetchall()
    if not rows and not least_of(db, run):
        raise not_found(location, run)
    if len(rows) < least:
        raise damaged(location, run, f"{len(rows)} events where {least} were written")
    for place, (seq, kind, body, said) in enumerate(rows, 1):
        if seq != place:
            raise damaged(location, run, f"{len(rows)} events where {rows[-1][0]} were written")
        if not event_is_whole(run, seq, kind, body, said):
            raise damaged(location, run, f"event {seq} is not what was written")
    return [body for _, _, body, _ in rows]


def least_of(db: Database, run: str) -> int:
    """How many events there must be, as the list of runs tells; 0 if it does not."""
    try:
        row = db.execute(ONE, (run,)).fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return 0  # a damaged list keeps nobody from the logs
    told = row and read(row)
    return told.events if told else 0


def records_of(db: Database, run: str, only: Collection[str] | None = None) -> Iterator[Recorded]:
    """What the calls of a run asked and were answered, or `only` those of these fingerprints; oldest row first."""
    for seq, key, said, asked, answered in db.each(_RECORDS, (run,)):
        if only is not None and key not in only:
            continue
        recorded = Recorded(seq, str(key))
        if record_is_whole(run, seq, key, asked, answered, said):
            # One that was damaged before it got its checksum is no error either: the others are still good.
            with suppress(msgspec.MsgspecError):
                request = None if asked is None else _request.decode(asked)
                recorded = Recorded(seq, key, request, None if answered is None else _reply.decode(answered), True)
        yield recorded


def damaged(location: Location, run: str, how: str) -> StoreError:
    """The log of a run cannot be relied on."""
    return StoreError(
        f"{location}: the log of run {run} is damaged ({how}); other runs are not concerned, run its task again"
    )


def not_found(location: Location, run: str) -> RunNotFound:
    """There is no such run."""
    return RunNotFound(f"{location}: no run {clean(run)!r} in this store; `stretto runs` lists them")
