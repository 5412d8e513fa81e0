"""What any run of a store was answered: a reply by the fingerprint of its request, for reuse across runs."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Self

import msgspec

from stretto.calls import lasting
from stretto.store.connecting import connect
from stretto.store.locations import Location
from stretto.store.schema import PATIENCE, explain
from stretto.store.sums import record_is_whole
from stretto.types import Reply

_reply = msgspec.json.Decoder(Reply)
# Without an order that the index has, so that the newest is found without reading the others.
_NEWEST = """
SELECT run, seq, fingerprint, record_sum, request, reply FROM events
WHERE fingerprint = ? AND reply IS NOT NULL AND run NOT IN (SELECT run FROM imports)
ORDER BY rowid DESC LIMIT ? OFFSET ?
"""
_AT_ONCE = 16  # replies looked at in one go once the newest was no good


class Recall:
    """Answers from everything that is recorded in the store at `location`, which must be there.

    One open connection that only reads; between two questions it holds nothing, so it keeps neither writers nor the
    write-ahead log waiting. Used as `with Recall(location) as recall`, in one thread at a time. `patience`: seconds
    to wait while another program holds the file.
    """

    def __init__(self, location: Location, patience: float = PATIENCE) -> None:
        self._location = location
        self._db = connect(location, create=False, patience=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def reply(self, fingerprint: str) -> tuple[str, Reply] | None:
        """The newest complete reply to this request, and the run it was recorded in; None if there is none.

        Left out are damaged ones, those a fallback gave, those that only a budget cut short, and those of runs that
        came from a file, or begin with such a run: somebody else may have written them. Raises `StoreError`.
        """
        try:
            for run, seq, key, said, request, reply in self._recorded(fingerprint):
                if record_is_whole(run, seq, key, request, reply, said) and (found := _undegraded(reply)):
                    return run, found
        except sqlite3.Error as error:
            raise explain(self._location, error) from error
        return None

    def _recorded(self, fingerprint: str) -> Iterator[tuple[Any, ...]]:
        """What is recorded of it, newest first, a few at a time: nothing stays open in between."""
        size, at = 1, 0
        while rows := self._db.execute(_NEWEST, (fingerprint, size, at)).fetchall():
            yield from rows
            size, at = _AT_ONCE, at + len(rows)


def _undegraded(reply: bytes) -> Reply | None:
    """The reply, if it is what was asked for in full, and can be read."""
    try:
        found = _reply.decode(reply)
    except msgspec.MsgspecError:  # it was damaged already when it got its checksum
        return None
    return found if lasting(found) else None
