"""Forgetting what a run said, once it is finished: its events stay, with their times, usage and cost."""

from msgspec.structs import replace

from stretto.events import (
    AnyEvent,
    CallFinished,
    CallRetried,
    PlanFinished,
    PlanWithdrawn,
    RunDegraded,
    RunFailed,
    RunFinished,
    RunStarted,
    SubtaskFinished,
    SubtaskPlanned,
    SubtaskReopened,
    SubtaskStopped,
    decode,
    encode,
)
from stretto.store.database import Database
from stretto.store.schema import File
from stretto.store.sums import event_sum
from stretto.types import Coverage

_GONE = "(not kept)"

_UPDATE = """
UPDATE events SET body = ?, event_sum = ?, request = NULL, reply = NULL, record_sum = NULL WHERE run = ? AND seq = ?
"""


def forget(db: Database, run: str) -> None:
    """Take every text of a run out of its log: task, inputs, descriptions, results, answer, prompts and replies.

    Within the transaction that is under way.
    """
    if isinstance(db, File):
        db.execute("PRAGMA secure_delete = ON")  # what stood there is overwritten, too
    for seq, body in db.execute("SELECT seq, body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall():
        event = _emptied(decode(body))
        written = encode(event)
        db.execute(_UPDATE, (written, event_sum(run, seq, event.kind, written), run, seq))


def _emptied(event: AnyEvent) -> AnyEvent:  # noqa: C901 - one arm for each kind of event, by design
    """The event without what was said in it, errors too: they may quote it. The definition of the workflow stays."""
    match event:
        case RunStarted():
            basis = replace(event.basis, plan=None, inputs=(), plans={}, each=None, remarks={}, messages=())
            return replace(event, task="", basis=basis)
        case SubtaskPlanned():
            return replace(event, description="", remark=None, brief="")
        case PlanFinished():
            return replace(event, analysis="", remarks=())
        case PlanWithdrawn():
            return replace(event, remark="", plan=None)
        case SubtaskFinished():
            return replace(event, text="", error=event.error and _GONE, remark="")
        case SubtaskStopped():
            return replace(event, text="")
        case SubtaskReopened():
            return replace(event, remark="")
        case CallFinished():
            return replace(event, error=event.error and _GONE)
        case CallRetried() | RunDegraded():
            return replace(event, reason=_GONE)
        case RunFailed():
            return replace(event, error=_GONE)
        case RunFinished():
            return replace(event, answer="", coverage=_without_reasons(event.coverage), citations=(), remarks=())
        case _:
            return event


def _without_reasons(coverage: Coverage) -> Coverage:
    """What is missing, and by which policy what was given up, but not why."""
    missing = tuple(replace(one, reason=one.outcome) for one in coverage.missing)
    doubtful = tuple(replace(one, remark="") for one in coverage.doubtful)
    policies = dict.fromkeys(told.partition(":")[0] for told in coverage.degraded)
    return replace(
        coverage, missing=missing, doubtful=doubtful, degraded=tuple(f"{policy}: {_GONE}" for policy in policies)
    )
