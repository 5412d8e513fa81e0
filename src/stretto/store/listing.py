"""Lists of runs, from what their summaries say: a store of a hundred thousand runs is searched without their logs."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import RunNotFound, StoreError
from stretto.store.carriers import goes_on, is_queued
from stretto.store.database import Database
from stretto.store.locations import Location
from stretto.store.logs import events_of, whole_bodies
from stretto.store.summary import ROW, Standing, Summary, read, summary_of

LOOKED_INTO = 100
"""Runs in a list up to which each one's log is read and checked; a longer list relies on the summaries."""
LAST_LETTER = "\U0010ffff"  # sorts behind every id
_LAST = 2**63 - 1
_TASK = ROW.split(", ").index("task") + 1
_AT_ONCE = 500  # rows read in one go, so that no list holds a snapshot of the store open


class Wanted(Struct, frozen=True, kw_only=True):
    """Which runs to list: those whose task has this text, in any case, in this status, begun since then.

    `before`: those that came before this run. `since`: RFC 3339 in UTC, as events write it. `group`: those whose ids
    begin so. Asking for `unreadable` ones reads every log.
    """

    task: str = ""
    status: Standing | None = None
    since: str = ""
    limit: int = 20
    before: str = ""
    group: str = ""


def listed(db: Database, location: Location, wanted: Wanted) -> list[Summary]:
    """The wanted runs of a store, newest first."""
    thorough = wanted.limit <= LOOKED_INTO or wanted.status == "unreadable"
    found = (_standing(db, location, row, thorough=thorough) for row in _rows(db, location, wanted))
    fitting = (told for told in found if wanted.status in {None, told.status})
    return list(islice(fitting, wanted.limit))


def _rows(db: Database, location: Location, wanted: Wanted) -> Iterator[tuple[Any, ...]]:
    part = wanted.task.casefold()
    clauses, values = ["rowid < ?"], list[Any]()
    if wanted.group:
        clauses.append("run BETWEEN ? AND ?")
        values += [wanted.group, wanted.group + LAST_LETTER]
    if wanted.since:
        clauses.append("started_at >= ?")
        values.append(wanted.since)
    if wanted.status == "queued":
        if isinstance(location, Path):
            return
        clauses.append("run IN (SELECT run FROM queued)")
    elif wanted.status not in {None, "unreadable"}:
        clauses.append("status = ?")
        values.append("running" if wanted.status == "killed" else wanted.status)
    which = " AND ".join(clauses)
    query = f"SELECT rowid, {ROW} FROM runs WHERE {which} ORDER BY rowid DESC LIMIT ?"  # noqa: S608 - our own words
    last = _place(db, wanted.before) if wanted.before else _LAST
    size = _AT_ONCE if part else min(wanted.limit, _AT_ONCE)
    while rows := db.execute(query, (last, *values, size)).fetchall():
        yield from (row[1:] for row in rows if part in str(row[_TASK]).casefold())
        last = rows[-1][0]


def _place(db: Database, run: str) -> int:
    """Where a run stands in the list; raises `RunNotFound`."""
    found = db.execute("SELECT rowid FROM runs WHERE run = ?", (run,)).fetchone()
    if found is None:
        raise RunNotFound(f"no run {run!r} in the list of runs")
    return int(found[0])


def _standing(db: Database, location: Location, row: tuple[Any, ...], *, thorough: bool) -> Summary:
    """What a row of the list says, as far as it can be relied on; else what the log says."""
    told = read(row)
    run = str(row[0])
    try:
        if (told is None or told.status != "finished") and is_queued(db, location, run):
            return replace(told or summary_of(events_of(db, location, run)), status="queued")
        if told is None or told.status == "running":
            # First whether it is carried: one that ends in between was not killed.
            carried = goes_on(db, location, run)
            events = events_of(db, location, run)
            told = summary_of(events)
            return told if carried or told.status != "running" else replace(told, status="killed")
        if thorough:
            whole_bodies(db, location, run)
    except StoreError as error:
        nothing = Summary(run=run, status="unreadable", started_at="", last_at="", task="")
        return replace(told or nothing, status="unreadable", error=str(error), error_type=None)
    return told
