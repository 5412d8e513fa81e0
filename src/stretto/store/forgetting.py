"""Forgetting what a run said, once it is finished: its events stay, with their times, usage and cost."""

import sqlite3

from msgspec.structs import replace

from stretto.events import (
    AnyEvent,
    PlanFinished,
    RunFinished,
    RunStarted,
    SubtaskFinished,
    SubtaskPlanned,
    decode,
    encode,
)
from stretto.store.sums import event_sum

_UPDATE = """
UPDATE events SET body = ?, event_sum = ?, request = NULL, reply = NULL, record_sum = NULL WHERE run = ? AND seq = ?
"""


def forget(db: sqlite3.Connection, run: str) -> None:
    """Take every text of a run out of its log: task, inputs, descriptions, results, answer, prompts and replies.

    Within the transaction that is under way.
    """
    db.execute("PRAGMA secure_delete = ON")  # what stood there is overwritten, too
    for seq, body in db.execute("SELECT seq, body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall():
        event = _emptied(decode(body))
        written = encode(event)
        db.execute(_UPDATE, (written, event_sum(run, seq, event.kind, written), run, seq))


def _emptied(event: AnyEvent) -> AnyEvent:
    """The event without what was said in it; errors stay, and so does the definition of the workflow."""
    match event:
        case RunStarted():
            return replace(event, task="", basis=replace(event.basis, plan=None, inputs=()))
        case SubtaskPlanned():
            return replace(event, description="", remark=None)
        case PlanFinished():
            return replace(event, analysis="", remarks=())
        case SubtaskFinished():
            return replace(event, text="")
        case RunFinished():
            return replace(event, answer="")
        case _:
            return event
