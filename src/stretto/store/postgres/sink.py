"""Rows on their way into a store in PostgreSQL, under the name of whoever carries their run.

A connection that is lost (a server that starts anew, a network) is made again, and what was on its way is written once
more: what came through the first time stays as it is. Meanwhile nothing new is asked, for a request leaves only when
its row is there.
"""

import time
from collections.abc import Mapping, Sequence

from stretto.errors import RunBusy, StoreError, StoreLocked
from stretto.store.database import transaction
from stretto.store.locations import Server
from stretto.store.patience import AWAY
from stretto.store.postgres.presence import owners
from stretto.store.postgres.sessions import Session, session
from stretto.store.postgres.tables import CHANNEL
from stretto.store.rows import Entry, Source, columns, forget
from stretto.store.summary import write

_AGAIN = 0.25  # seconds between two tries

_INSERT = """
INSERT INTO events (run, seq, kind, body, event_sum, fingerprint, record_sum, request, reply)
SELECT * FROM unnest(?::text[], ?::bigint[], ?::text[], ?::bytea[], ?::bigint[], ?::text[], ?::bigint[], ?::bytea[],
                     ?::bytea[])
ON CONFLICT (run, seq) DO NOTHING
"""
_HELD = "SELECT run, owner FROM carriers WHERE run = ANY(?) ORDER BY run FOR SHARE"
_NOTIFY = "SELECT pg_notify(?, told) FROM unnest(?::text[]) AS told"


class ServerSink:
    """The connection of a writer's thread to a server (`stretto.store.rows.Sink`)."""

    pause = None
    strict = True

    def __init__(self, server: Server) -> None:
        self._server = server
        self._db: Session = session(server, create=True, patience=_AGAIN)

    def keep(self, entries: Mapping[Source, Sequence[Entry]], *, last: bool) -> None:
        """Have entries in the database when this returns, or the `error` of their run set."""
        fresh = {source: some for source, some in entries.items() if source.error is None}
        if not fresh:
            return
        try:
            self._commit(fresh, time.monotonic() + AWAY)
        except StoreError as error:
            if len(fresh) > 1 and not isinstance(error, StoreLocked):  # what one of them says is no fault of the others
                for source, some in fresh.items():
                    self.keep({source: some}, last=last)
                return
            for source in fresh:
                source.error = error

    def told(self, error: Exception, source: Source) -> StoreError:
        """What went wrong in writing a run, in words."""
        if isinstance(error, StoreError):
            return error
        return StoreError(
            f"{self._server}: what run {source.run} says cannot be written: {type(error).__name__}: {error}; what was "
            "written before is kept, `stretto resume` goes on from there"
        )

    def displaced(self) -> None:
        """A database has one name."""

    def leave(self, source: Source) -> None:
        """Nothing more comes of a run."""

    def close(self) -> None:
        """Nothing more comes at all."""
        self._db.close()

    def _commit(self, entries: Mapping[Source, Sequence[Entry]], until: float) -> None:
        while True:
            try:
                if self._db.raw.closed:
                    self._db = session(self._server, create=False, patience=_AGAIN)
                with transaction(self._db):
                    self._write(entries)
            except StoreLocked:
                if time.monotonic() > until:
                    raise
                time.sleep(_AGAIN)
            else:
                return

    def _write(self, entries: Mapping[Source, Sequence[Entry]]) -> None:
        self._check(entries)
        rows = [columns(*row) for some in entries.values() for row, _ in some]
        self._db.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
        for turn in (turn for some in entries.values() for _, turn in some if turn is not None):
            write(self._db, turn.summary)
            if turn.forget:
                forget(self._db, turn.summary.run)
        told = [f"{source.run} {some[-1][0][1]}" for source, some in entries.items()]
        self._db.execute(_NOTIFY, (CHANNEL, told))

    def _check(self, entries: Mapping[Source, Sequence[Entry]]) -> None:
        """That these runs are still this process's; while this is written nobody takes one over."""
        ours = {source.run: owner for source in entries if (owner := owners.get((self._server, source.run)))}
        held = dict(self._db.execute(_HELD, (list(ours),)).fetchall()) if ours else {}
        for run, owner in ours.items():
            if held.get(run) != owner:
                raise RunBusy(
                    f"run {run} was taken over by another process, because this one could not be seen at work; it goes "
                    "on there, what this one is about is not recorded any more"
                )
