"""Runs that are recorded in virtual time, and replayed."""

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from stretto import ReplayStream, Run
from stretto import events as e
from stretto.errors import StrettoError
from stretto.replay import Recording
from stretto.store.journal import Journal
from stretto.store.parcel import Entry
from stretto.types import Reply, Request
from virtual import clock

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Kept(Journal):
    """A journal that keeps its rows in memory, with the time of the loop, so that runs can be recorded virtually."""

    def __init__(self, run: str, rows: list[Entry]) -> None:
        self.rows = rows
        history = [row.event for row in rows]
        super().__init__(run, store=None, show=lambda _: None, history=history)

    def append(self, event: e.AnyEvent, *, request: Request | None = None, reply: Reply | None = None) -> None:
        if event.stored:
            at = (EPOCH + timedelta(seconds=clock())).isoformat(timespec="milliseconds")
            told = replace(event, run=self.run_id, at=at, seq=len(self.rows) + 1)
            asked, answered = (msgspec.json.encode(each) if each else None for each in (request, reply))
            self.rows.append(Entry(told, e.encode(told), asked, answered))
        super().append(event, request=request, reply=reply)


async def replayed(recording: Recording, *, timed: bool = False) -> tuple[Run, BaseException | None, list[str]]:
    """The run that a replay gives, the error that ended it, and what is different."""
    stream = ReplayStream(recording, timed=timed)
    error = None
    async with stream as events:
        try:
            await events.finished()
        except StrettoError as raised:
            error = raised
    return stream.run, error, stream.differences
