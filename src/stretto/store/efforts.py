"""What the newest calls of a store took: tokens and seconds, by model and by what they were made for."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
from msgspec import Struct

from stretto import events as e
from stretto.calls import KEPT
from stretto.store.connecting import opened
from stretto.store.locations import Location
from stretto.store.schema import PATIENCE
from stretto.store.sums import event_is_whole
from stretto.types import RoleName, Usage

_ROWS = 12_000  # that are looked at, the newest: some 2,500 calls
# Only what stands before the requests and replies is read, so their pages are not touched.
_NEWEST = """
SELECT run, seq, kind, body, event_sum FROM
(SELECT rowid, run, seq, kind, body, event_sum FROM events ORDER BY rowid DESC LIMIT ?) AS newest
WHERE kind IN ('subtask_planned', 'call_started', 'call_retried', 'call_finished') ORDER BY rowid
"""


class Effort(Struct, frozen=True):
    """What one call took, retries included; `type`: that of the subtask it was made for, `part` what of it it was.

    `seconds` are those from the first request to the end.
    """

    model: str
    role: RoleName
    type: str
    part: str
    input_tokens: int
    output_tokens: int
    seconds: float
    simulated: bool


def newest_efforts(location: Location, patience: float = PATIENCE) -> list[Effort]:
    """The efforts of the newest calls of a store that brought a reply, oldest first; raises `StoreError`.

    Left out are replies that were reused and calls that a rate limit held back or that were asked in duplicate: what
    these took is no matter of the call. A damaged event counts as not there.
    """
    with opened(location, create=False, patience=patience) as db:
        rows = db.execute(_NEWEST, (_ROWS,)).fetchall()
    return list(_efforts(rows))


def _efforts(rows: list[tuple[str, int, str, bytes, int]]) -> Iterator[Effort]:
    types: dict[tuple[str, str | None], str] = {}
    sent: dict[tuple[str, str], str] = {}
    held: set[tuple[str, str]] = set()
    for run, seq, kind, body, said in rows:
        event = _event(run, seq, kind, body, said)
        match event:
            case e.SubtaskPlanned():
                types[run, event.subtask] = event.type
            case e.CallStarted():
                sent.setdefault((run, event.call), event.at)
            case e.CallRetried():
                if event.rate_limited or event.duplicate:
                    held.add((run, event.call))
            case e.CallFinished() if (began := sent.pop((run, event.call), "")) and (run, event.call) not in held:
                if event.finish in KEPT and event.usage is not None and not event.reused:
                    yield effort_of(event, began, types.get((run, event.subtask), ""))
            case _:
                pass


def _event(run: str, seq: int, kind: str, body: bytes, said: int) -> e.AnyEvent | None:
    if not event_is_whole(run, seq, kind, body, said):
        return None
    try:
        return e.decode(body)
    except msgspec.MsgspecError:  # it was damaged already when it got its checksum
        return None


def effort_of(event: e.CallFinished, began: str, type_: str = "") -> Effort:
    """What a call took that ended so; `began`: when its request left, if one did."""
    took = datetime.fromisoformat(event.at) - datetime.fromisoformat(began)
    usage = (event.usage or Usage()) + event.lost
    return Effort(
        event.asked or event.model,
        event.role,
        type_,
        event.part,
        usage.input_tokens,
        usage.output_tokens,
        max(0.0, took.total_seconds()),
        event.simulated,
    )
