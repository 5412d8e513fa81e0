"""Taking a run out of a store, and into one."""

from collections.abc import Iterator

import msgspec

from stretto.errors import StoreError
from stretto.events import decode
from stretto.store.carriers import take_in_all
from stretto.store.connecting import opened
from stretto.store.database import READING, Database, transaction
from stretto.store.locations import Location
from stretto.store.logs import damaged, least_of, not_found
from stretto.store.parcel import LONGEST, Entry, Parcel, check, header
from stretto.store.rows import insert
from stretto.store.summary import summary_of, write
from stretto.store.sums import event_is_whole, record_is_whole

_ROWS = "SELECT body, request, reply FROM events WHERE run = ? ORDER BY seq"
_WHOLE = """
SELECT seq, kind, body, event_sum, fingerprint, record_sum, request, reply FROM events WHERE run = ? ORDER BY seq
"""


def entries(location: Location, run: str) -> Iterator[Entry]:
    """The log of a run with its records, oldest first, each checked; close the iterator if you leave it early.

    Raises `RunNotFound`, or `StoreError` if a part of it is damaged.
    """
    take_in_all(location, run=run)
    with opened(location, create=False) as db:
        yield from _entries(db, location, run)


def exported(location: Location, run: str) -> Iterator[bytes]:
    """A run as the lines of a file; no more than one of them is in memory at a time."""
    take_in_all(location, run=run)
    with opened(location, create=False) as db:
        db.execute(READING)  # so that the number and the lines are of one moment, whoever is writing
        (number,) = db.execute("SELECT count(*) FROM events WHERE run = ?", (run,)).fetchone()
        if not number:
            raise not_found(location, run)
        yield header(run, number)
        for entry in _entries(db, location, run):
            line = entry.line
            if len(line) > LONGEST:
                raise StoreError(f"{location}: event {entry.event.seq} of run {run} is too long for a file to import")
            yield line


def imported(location: Location, parcel: Parcel) -> bool:
    """Take a run in, whole or not at all; False if it was there already, `StoreError` if another one was."""
    with opened(location) as db, transaction(db):
        new = not _is_there(db, location, parcel)
        if new:
            _insert(db, parcel)
    return new


def _is_there(db: Database, location: Location, parcel: Parcel) -> bool:
    """Whether this run is in the store, just as it is in the file."""
    wanted = iter(parcel.entries)
    number = 0
    for row in db.execute(_ROWS, (parcel.run,)):
        number += 1
        entry = next(wanted, None)
        if entry is None or row != (entry.body, entry.asked, entry.answered):
            raise StoreError(
                f"{location}: another run {parcel.run} is in this store already, and differs from event {number} on; "
                "import it elsewhere (--store FILE)"
            )
    if 0 < number < len(parcel.entries):
        raise StoreError(
            f"{location}: run {parcel.run} is in this store already, but only its first {number} of "
            f"{len(parcel.entries)} events; import it elsewhere (--store FILE)"
        )
    return number > 0


def _entries(db: Database, location: Location, run: str) -> Iterator[Entry]:
    place, least = 0, least_of(db, run)  # first: meanwhile there can only be more
    for place, (seq, kind, body, event_sum, key, record_sum, asked, answered) in enumerate(db.each(_WHOLE, (run,)), 1):
        if not event_is_whole(run, seq, kind, body, event_sum):
            raise damaged(location, run, f"event {seq} is not what was written")
        if (asked or answered) and not record_is_whole(run, seq, key, asked, answered, record_sum):
            raise damaged(location, run, f"what was recorded with event {seq} is not what was written")
        try:
            entry = Entry(decode(body), body, asked, answered)
            check(entry, run, place)
        except (msgspec.MsgspecError, ValueError) as error:
            raise damaged(location, run, f"event {place}: {error}") from error
        yield entry
    if not (least or place):
        raise not_found(location, run)
    if place < least:
        raise damaged(location, run, f"{place} events where {least} were written")


def _insert(db: Database, parcel: Parcel) -> None:
    for entry in parcel.entries:
        event = entry.event
        row = parcel.run, event.seq, event.kind, entry.body, entry.fingerprint, entry.asked, entry.answered
        insert(db, [row])
    write(db, summary_of([entry.event for entry in parcel.entries]))
    db.execute("INSERT INTO imports VALUES (?) ON CONFLICT (run) DO NOTHING", (parcel.run,))
