"""Stores for tests: full of small runs, in today's format or in an older one."""

import random
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import msgspec

from forked import python
from stretto import events as e
from stretto.calls import fingerprint
from stretto.store.connecting import connect
from stretto.store.database import transaction
from stretto.store.locations import Location
from stretto.store.rows import Row, insert
from stretto.store.summary import summary_of, write
from stretto.store.tables import APPLICATION_ID
from stretto.types import Coverage, Message, Reply, Request, Usage

KEY = "f" * 32
FORMAT_1 = (
    """
CREATE TABLE events (
    run         TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    body        BLOB NOT NULL,
    fingerprint TEXT,
    request     BLOB,
    reply       BLOB,
    PRIMARY KEY (run, seq)
)
""",
    "CREATE INDEX run_starts ON events (run) WHERE kind = 'run_started'",
)


def rows(run: str, chance: random.Random, *, calls: int = 3, at: str = "", end: str = "finished") -> list[Row]:
    """The rows of a whole run: every call with what it asked and was answered; `end` is how it ended, "" not at all."""
    usage = Usage(100, 50)
    told: list[tuple[e.AnyEvent, Request | None, Reply | None]] = [
        (e.RunStarted(task=f"Describe tea {chance.randrange(10**6)}, é", workflow={"n": chance.random()}), None, None)
    ]
    for n in range(calls):
        asked = Request("sim:x", (Message("user", f"{run} {n} " + "x" * chance.randrange(3000)),))
        reply = Reply("y" * chance.randrange(6000), "stop", usage)
        call = {"call": f"c{n}", "role": "worker", "subtask": f"t{n}", "fingerprint": fingerprint(asked)}
        told += [
            (e.SubtaskPlanned(subtask=f"t{n}", type="a", description="some tea"), None, None),
            (e.CallStarted(**call, model="sim:x"), asked, None),  # type: ignore[arg-type]
            (e.CallFinished(**call, model="sim:x", finish="stop", usage=usage), None, reply),  # type: ignore[arg-type]
            (e.SubtaskFinished(subtask=f"t{n}", outcome="done", text=reply.text), None, None),
        ]
    counts = Coverage({"done": calls})
    ends: dict[str, e.AnyEvent] = {
        "finished": e.RunFinished(answer="tea", usage=usage, coverage=counts),
        "failed": e.RunFailed(error="no tea", error_type="WorkError"),
        "interrupted": e.RunInterrupted(),
    }
    told += [(ends[end], None, None)] if end else []
    return [_row(run, seq, at or e.now(), *one) for seq, one in enumerate(told, 1)]


def _row(run: str, seq: int, at: str, event: e.AnyEvent, asked: Request | None, reply: Reply | None) -> Row:
    body = e.encode(msgspec.structs.replace(event, run=run, seq=seq, at=at))
    key = event.fingerprint if isinstance(event, e.CallStarted | e.CallFinished) else None
    coded = [msgspec.json.encode(one) if one else None for one in (asked, reply)]
    return run, seq, event.kind, body, key, coded[0], coded[1]


def answered(run: str, text: str, *, finish: str = "stop", **more: str) -> list[Row]:
    """A run with one reply to the request `KEY`; `more`: what a later version says of a reply."""
    first, *_ = rows(run, random.Random(run), calls=0)
    reply = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(Reply(text, finish))) | more)
    return [
        first,
        *(
            (name, seq, kind, body, KEY if answer else key, asked, reply if answer else None)
            for name, seq, kind, body, key, asked, answer in rows(run, random.Random(run), calls=1)[1:]
        ),
    ]


def fill(where: Location, runs: list[list[Row]]) -> None:
    """A store of today's format."""
    with closing(connect(where)) as db, transaction(db):
        for run in runs:
            insert(db, run)
            events = [e.decode(body) for _, _, _, body, *_ in run]
            write(db, summary_of(events))


def fill_format_1(path: Path, runs: list[list[Row]]) -> None:
    """A store as the first format was."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        for statement in FORMAT_1:
            db.execute(statement)
        for run in runs:
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", run)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        db.execute("COMMIT")
    path.chmod(0o600)


DAYS = [f"2026-01-{n + 1:02d}T12:00:00.000Z" for n in range(12)]


def twelve(folder: Path) -> Path:
    """A store of twelve runs, one a day, of which the fourth never ended."""
    chance, made = random.Random(5), folder / "s.db"
    fill(made, [rows(f"01K{n:04d}", chance, at=at, end="" if n == 3 else "finished") for n, at in enumerate(DAYS)])
    return made


def change(where: Location, sql: str, *values: object) -> None:
    """Change one row, past everything that watches over it."""
    with closing(connect(where)) as db:
        assert db.execute(sql, values).rowcount == 1


def keep_until(where: Location, run: str, seq: int) -> None:
    """Leave of a run what a process had written of it that was killed after this event."""
    with closing(connect(where)) as db, transaction(db):
        db.execute("DELETE FROM events WHERE run = ? AND seq > ?", (run, seq))
        db.execute("DELETE FROM runs WHERE run = ?", (run,))
        left = db.execute("SELECT body FROM events WHERE run = ? ORDER BY seq", (run,)).fetchall()
        write(db, summary_of([e.decode(body) for (body,) in left]))


def as_nobody(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code as a user whom permissions bind, and who may not be able to read where this checkout lies."""
    drop = "import os\nif os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
    return python("-c", "import sys, asyncio\n" + drop + code, *arguments)
