"""Looking a store over: is everything there, and is it what was written? Says what is lost, run by run."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from stretto.calls import fingerprint
from stretto.errors import StoreError
from stretto.store.carriers import take_in_all
from stretto.store.connecting import connect, opened
from stretto.store.database import READING, Database, transaction
from stretto.store.locations import Location
from stretto.store.logs import events_of, records_of
from stretto.store.pruning import size_of
from stretto.store.schema import PATIENCE
from stretto.store.summary import ONE, read, summary_of
from stretto.store.tables import VERSION

_LINES = 100  # of what SQLite finds; one broken page can be thousands
_NEWEST = 100  # runs that a glance looks into

_CACHE = 64 * 1024  # KiB


class Facts(Struct, frozen=True):
    """A store in figures: the format of its tables, bytes on the disk, runs in its list, bytes free for new ones."""

    location: Location
    form: int
    size: int
    runs: int
    free: int


class Finding(Struct, frozen=True):
    """Something that is not as it was written, and what is lost by it; `run` is None if it is about the whole file."""

    run: str | None
    lost: str


def facts(location: Location, patience: float = PATIENCE) -> Facts:
    """The store in figures; raises `StoreError` if it cannot be opened."""
    with opened(location, create=False, patience=patience) as db:
        form, free = _form(db) if isinstance(location, Path) else (VERSION, 0)
        (runs,) = db.execute("SELECT count(*) FROM runs").fetchone()
    return Facts(location, form, size_of(location), runs, free)


def _form(db: Database) -> tuple[int, int]:
    """The format of a file, and how many bytes of it are free."""
    names = ("user_version", "freelist_count", "page_size")
    form, free, page = (int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return form, free * page


def findings(location: Location, *, quick: bool = False, patience: float = PATIENCE) -> Iterator[Finding]:
    """Everything that is wrong with a store, as it is found; one run after the other, so that memory stays bounded.

    Checked are SQLite's own structures, every event and every record against its checksum, that every request is kept
    under its own fingerprint, and that the list of runs says what the logs say. `quick`: neither indices nor records.
    """
    take_in_all(location, patience)
    with closing(connect(location, create=False, patience=patience)) as db:
        if isinstance(location, Path):
            db.execute(f"PRAGMA cache_size = -{_CACHE}")  # an index is looked up in the table row by row
            yield from _of_the_file(db, quick=quick)
        last = ""
        while True:
            try:
                run = _next(db, last)
            except sqlite3.Error as error:
                yield Finding(None, f"the runs after {last or 'the beginning'} cannot be found: {error}")
                return
            if run is None:
                return
            yield from _of_a_run(db, location, run, quick=quick)
            last = run


def glance(location: Location, patience: float = PATIENCE) -> Iterator[Finding]:
    """What is wrong with the file's structure, and with the logs of the newest hundred runs: soon told of any store."""
    take_in_all(location, patience)
    with closing(connect(location, create=False, patience=patience)) as db:
        if isinstance(location, Path):
            yield from _of_the_file(db, quick=True)
        try:
            newest = db.execute("SELECT run FROM runs ORDER BY rowid DESC LIMIT ?", (_NEWEST,)).fetchall()
        except sqlite3.Error as error:
            yield Finding(None, f"its list of runs cannot be read: {error}")
            return
        for (run,) in newest:
            yield from _of_a_run(db, location, str(run), quick=True)


def _of_the_file(db: Database, *, quick: bool) -> Iterator[Finding]:
    check = "quick_check" if quick else "integrity_check"
    try:
        for (line,) in db.execute(f"PRAGMA {check}({_LINES})"):
            if line != "ok":
                yield Finding(None, line)
    except sqlite3.Error as error:
        yield Finding(None, str(error))


def _next(db: Database, last: str) -> str | None:
    """The next run, in the list or in the log: either may have lost it."""
    query = """
        SELECT min(run) FROM (SELECT min(run) AS run FROM runs WHERE run > ?
                              UNION ALL SELECT min(run) FROM events WHERE run > ?) AS nexts
    """
    (run,) = db.execute(query, (last, last)).fetchone()
    return None if run is None else str(run)


def _of_a_run(db: Database, location: Location, run: str, *, quick: bool) -> Iterator[Finding]:
    """What is wrong with one run, at one moment."""
    try:
        with transaction(db, READING):
            yield from _of_its_log(db, location, run)
            if not quick:
                yield from _of_its_records(db, run)
    except sqlite3.Error as error:
        yield Finding(run, f"it cannot be read to its end: {error}")


def _of_its_log(db: Database, location: Location, run: str) -> Iterator[Finding]:
    try:
        events = events_of(db, location, run)
    except StoreError as error:
        kept = db.execute("SELECT count(*) FROM events WHERE run = ? AND reply IS NOT NULL", (run,)).fetchone()[0]
        yield Finding(run, f"{error}; it cannot be shown or resumed, {kept} of its replies are still there")
        return
    row = db.execute(ONE, (run,)).fetchone()
    if row is None:
        yield Finding(run, "it is missing in the list of runs; `stretto show` and `resume` find it by its whole id")
        return
    told = read(row)
    if told is None:
        yield Finding(run, "its line in the list of runs is damaged; the list tells it from its log, nothing is lost")
    elif told.status != "running" and told != summary_of(events):  # of a running one it lags behind
        yield Finding(run, "its line in the list of runs is not what its log says; the log is right")


def _of_its_records(db: Database, run: str) -> Iterator[Finding]:
    for row in records_of(db, run):
        if not row.whole:
            yield Finding(
                run, f"what was recorded with event {row.seq} is damaged and counts as not there: asked again"
            )
        elif row.request is not None and fingerprint(row.request) != row.fingerprint:
            yield Finding(run, f"the request of event {row.seq} is kept under a fingerprint not its own: asked again")
