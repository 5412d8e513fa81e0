"""Bringing an older store up to date.

Format 1 gets checksums for its rows, and the list of runs; format 2, the table of what is known of models; format 3, an
order of its runs and the table of who carries one; format 4, codes where its events told something in words alone;
format 5, the table of keys that clients have given their requests; format 6, that of what runs have set aside; format
7, what programs read of an error, which its message alone told. Files of runs lack the same: codes up to version 1 of
theirs, facts up to 2. Only here the wording of a message is read: what these formats wrote does not change any more.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from stretto.errors import StoreError
from stretto.events import (
    AnyEvent,
    CallFinished,
    DegradedCode,
    RunDegraded,
    RunFailed,
    RunInterrupted,
    RunStarted,
    SubtaskFinished,
    decode,
    encode,
)
from stretto.ground.regex import regex
from stretto.store.database import Database
from stretto.store.logs import events_of
from stretto.store.summary import Summary, summary_of, write
from stretto.store.sums import event_is_whole, event_sum, record_sum
from stretto.store.tables import ASIDE, CARRIERS, IDEMPOTENCY, MODELS, RUNS, TABLES
from stretto.types import SkipCode
from stretto.types.facts import Facts

# In the order of their first events.
_IN_ORDER = """
INSERT INTO runs SELECT runs_3.* FROM runs_3 LEFT JOIN events ON events.run = runs_3.run AND seq = 1
ORDER BY events.rowid
"""
_TO_CODE = """
SELECT run, seq, kind, body, event_sum FROM events
WHERE kind IN ('call_finished', 'run_degraded', 'run_failed', 'run_interrupted', 'subtask_finished') ORDER BY run, seq
"""
_TO_TELL = """
SELECT run, seq, kind, body, event_sum FROM events
WHERE kind IN ('call_finished', 'run_failed') AND (instr(body, ?) OR instr(body, ?)) ORDER BY run, seq
"""
_LACKING = (b"ContextError", b"BudgetError")  # whose message alone told what programs read of it
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"

_SKIPPED: dict[str, SkipCode] = {
    "the deadline came before it was asked": "unasked",
    "the budget does not allow for it": "unpaid",
}
_DEGRADED: tuple[tuple[str, str, str, DegradedCode], ...] = (  # policy, beginning, end
    ("budget", "", "; asked for a shorter reply", "shorter"),
    ("budget", "checks and the like are left out", "", "left_out"),
    ("budget", "subtasks are skipped", "", "skipped"),
    ("deadline", "who is still at work is cut", "", "cut"),
    ("deadline", "the plan is taken as far as it was written", "", "half_planned"),
    ("deadline", "no further round is planned", "", "no_round"),
    ("deadline", "the answer is kept as far as it was written", "", "half_written"),
    ("dialect", "", "", "dialect"),
    ("fallback", "", " instead", "fallback"),
    ("plan", "the task was answered directly", "", "direct"),
    ("", "the results themselves are the answer", "", "unmerged"),
)


_RAISED = regex(r"; raise (budget and tokens|budget|tokens)\b")
_CONTEXT = regex(r"its context is ([\d,]+) tokens")


class Coding:
    """Gives the events of one run what they lack, in the order of its log; `codes`: whether they have none of these."""

    def __init__(self, *, codes: bool) -> None:
        self._codes = codes
        self._failed: dict[str, str] = {}  # by what its error said, the last call that ended with it

    def coded(self, event: AnyEvent) -> AnyEvent:
        """The event as this version would have written it; the same object if that makes no difference."""
        event = self._with_code(event) if self._codes else event
        if isinstance(event, CallFinished | RunFailed) and event.facts is None and (facts := _facts(event)):
            return replace(event, facts=facts)
        return event

    def _with_code(self, event: AnyEvent) -> AnyEvent:
        match event:
            case CallFinished(error=str(error), call=call):
                self._failed[error] = call
            case SubtaskFinished(outcome="skipped", code="", error=str(error)) if error in _SKIPPED:
                return replace(event, code=_SKIPPED[error])
            case RunInterrupted(code="", reason="stopped at its plan"):
                return replace(event, code="stopped")
            case RunFailed(call="", error=error) if error in self._failed:
                return replace(event, call=self._failed[error])
            case RunDegraded(code=""):
                return _degraded(event)
            case _:
                pass
        return event


def _degraded(event: RunDegraded) -> RunDegraded:
    told = event.reason
    for policy, begins, ends, code in _DEGRADED:
        if (not policy or event.policy == policy) and told.startswith(begins) and told.endswith(ends):
            asked = told.removesuffix(ends).rpartition("; asked ")[2] if code == "fallback" else ""
            return replace(event, code=code, instead=asked)
    return event


def _facts(event: CallFinished | RunFailed) -> Facts | None:
    """The facts of an error that say more than its status, which was nowhere."""
    told = event.error or ""
    if event.error_type == "ContextError" and (found := _CONTEXT.search(told)):
        return Facts(context=int(found[1].replace(",", "")))
    if event.error_type == "BudgetError" and (found := _RAISED.search(told)):
        return Facts(binding=tuple(found[1].split(" and ")))
    return None


def migrate(db: Database, path: Path, form: int) -> None:
    """Bring a store of an older format up to date, within the transaction that is open."""
    if form == 1:
        _of_format_1(db, path)
    if form == 2:
        db.execute(MODELS)
    if form in {2, 3}:
        db.execute("ALTER TABLE runs RENAME TO runs_3")
        db.execute(RUNS)
        db.execute(_IN_ORDER)
        db.execute("DROP TABLE runs_3")
        db.execute(CARRIERS)
    if 1 < form < 6:
        db.execute(IDEMPOTENCY)
    if 1 < form < 7:
        db.execute(ASIDE)
    _code(db, codes=form < 5)


def _code(db: Database, *, codes: bool) -> None:
    """Give events their facts, and their codes if they have none; a damaged one stays as it is."""
    by_run = defaultdict[str, Coding](lambda: Coding(codes=codes))
    changed = list[tuple[bytes, int, str, int]]()
    for run, seq, kind, body, said in db.execute(_TO_CODE) if codes else db.execute(_TO_TELL, _LACKING):
        if not event_is_whole(run, seq, kind, body, said):
            continue
        with suppress(msgspec.MsgspecError):  # an event of another version: whoever reads the run says so
            event = decode(body)
            coded = by_run[run].coded(event)
            if coded is not event:
                written = encode(coded)
                changed.append((written, event_sum(run, seq, kind, written), run, seq))
    db.executemany("UPDATE events SET body = ?, event_sum = ? WHERE run = ? AND seq = ?", changed)


def _of_format_1(db: Database, path: Path) -> None:
    """Within the transaction that is open: copy every event into a new table with checksums, and tell of every run.

    What an older format holds is taken as it stands: nobody can tell any more whether it is what was written.
    """
    db.execute("DROP INDEX run_starts")
    db.execute("ALTER TABLE events RENAME TO events_1")
    for table in TABLES:
        db.execute(table)
    db.executemany(_INSERT, _copied(db))  # in the old order
    db.execute("DROP TABLE events_1")
    for (run,) in db.execute("SELECT run FROM events WHERE kind = 'run_started' ORDER BY rowid").fetchall():
        write(db, _told(db, path, run))


def _copied(db: Database) -> Iterator[tuple[Any, ...]]:
    old = db.execute("SELECT run, seq, kind, body, fingerprint, request, reply FROM events_1 ORDER BY rowid")
    for run, seq, kind, body, fingerprint, request, reply in old:
        told, asked, answered = _bytes(body) or b"", _bytes(request), _bytes(reply)
        event, record = event_sum(run, seq, kind, told), record_sum(run, seq, fingerprint, asked, answered)
        yield run, seq, kind, told, event, fingerprint, record, asked, answered


def _bytes(value: Any) -> bytes | None:
    """What should be bytes; in a damaged row it may be anything, and is then damaged as bytes."""
    return value if value is None or isinstance(value, bytes) else str(value).encode()


def _told(db: Database, path: Path, run: str) -> Summary:
    try:
        events = events_of(db, path, run)
    except StoreError as error:
        told = Summary(run=run, status="unreadable", started_at="", last_at="", task="", error=str(error))
        return _begun(db, told)
    return summary_of(events)


def _begun(db: Database, told: Summary) -> Summary:
    """When a run whose log is damaged was begun, and with which task, if at least that can be read."""
    (body,) = db.execute("SELECT body FROM events WHERE run = ? AND kind = 'run_started'", (told.run,)).fetchone()
    try:
        first = decode(body)
    except msgspec.MsgspecError:
        return told
    if not isinstance(first, RunStarted):
        return told
    return replace(told, task=first.task, started_at=first.at, last_at=first.at)
