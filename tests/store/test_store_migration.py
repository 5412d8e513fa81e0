"""A store of the first format is brought up to date by whoever opens it, whole or not at all."""

import random
import re
import shutil
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from forked import python_begun
from stores import as_nobody, fill, fill_format_1, rows
from stretto.errors import StoreError
from stretto.store.daily import set_aside
from stretto.store.idempotency import claim
from stretto.store.rows import Row
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.tables import VERSION
from stretto.types import Reply, Request

OPEN = "import sys; from pathlib import Path; from stretto.store.schema import connect; connect(Path(sys.argv[1]))"


def some_runs(count: int = 12, calls: int = 3) -> list[list[Row]]:
    chance = random.Random(1)
    ends = ("finished", "failed", "interrupted", "")
    return [rows(f"01K{n:04d}", chance, calls=calls, end=ends[n % 4]) for n in range(count)]


def told(path: Path) -> list[tuple[object, ...]]:
    """Everything in a store but where in the file it stands."""
    with closing(connect(path, create=False)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
        events = db.execute("SELECT * FROM events ORDER BY run, seq").fetchall()
        return [*events, *db.execute("SELECT * FROM runs ORDER BY run")]


def form(path: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()


def test_an_old_store_becomes_what_it_would_be_had_it_been_written_today(tmp_path: Path) -> None:
    runs = some_runs()
    fill_format_1(tmp_path / "old.db", runs)
    fill(tmp_path / "new.db", runs)

    kept = Store(tmp_path / "old.db")
    for run in runs:
        name = run[0][0]
        assert [msgspec.json.decode(body) for _, _, _, body, *_ in run] == [
            msgspec.json.decode(msgspec.json.encode(event)) | {"run": name} for event in kept.events(name)
        ]
        asked = {key: msgspec.json.decode(r, type=Request) for _, _, _, _, key, r, _ in run if key and r}
        replies = {key: msgspec.json.decode(r, type=Reply) for _, _, _, _, key, _, r in run if key and r}
        assert {key: record.request for key, record in kept.records(name).items()} == asked
        assert kept.replies(name) == {key: [reply] for key, reply in replies.items()}
    assert told(tmp_path / "old.db") == told(tmp_path / "new.db")
    assert form(tmp_path / "old.db") == form(tmp_path / "new.db")
    assert [path.stat().st_mode & 0o777 for path in tmp_path.glob("old.db*")] == [0o600]


def make_format_3(path: Path) -> None:
    """Take from a store what the third format had not: an order of its runs, and who carries one."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (runs,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'runs'").fetchone()
        db.execute("DROP TABLE carriers")
        db.execute("DROP TABLE idempotency")
        db.execute("DROP TABLE aside")
        db.execute("ALTER TABLE runs RENAME TO newer")
        db.execute(f"{runs} WITHOUT ROWID")
        db.execute("INSERT INTO runs SELECT * FROM newer")
        db.execute("DROP TABLE newer")
        db.execute("PRAGMA user_version = 3")


def test_a_store_of_the_third_format_gets_its_runs_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    runs = some_runs()
    random.Random(2).shuffle(runs)
    for name in ("old.db", "new.db"):
        fill(tmp_path / name, runs)
    make_format_3(tmp_path / "old.db")

    newest = [run[0][0] for run in reversed(runs)]
    assert [run.id for run in Store(tmp_path / "old.db").recent()] == newest
    assert [run.run for run in Store(tmp_path / "old.db").listing()] == newest
    assert told(tmp_path / "old.db") == told(tmp_path / "new.db")
    assert form(tmp_path / "old.db") == form(tmp_path / "new.db")


def two_stores(folder: Path, form: int, *later: str) -> tuple[Path, Path]:
    """A store of this format, which has none of the `later` tables, and a new one of the same runs."""
    old, new, runs = folder / "old.db", folder / "new.db", some_runs()
    for path in (old, new):
        fill(path, runs)
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        for table in later:
            db.execute(f"DROP TABLE {table}")
        db.execute(f"PRAGMA user_version = {form}")
    return old, new


def test_a_store_of_the_fifth_format_gets_the_table_of_keys_and_stays_as_it_is(tmp_path: Path) -> None:
    old, new = two_stores(tmp_path, 5, "idempotency", "aside")

    assert claim(old, "k", "d", "01K0001") == ("01K0001", "d")
    assert claim(old, "k", "other", "01K0002") == ("01K0001", "d")
    assert (told(old), form(old)) == (told(new), form(new))


def test_a_store_of_the_sixth_format_gets_the_table_of_what_is_set_aside(tmp_path: Path) -> None:
    old, new = two_stores(tmp_path, 6, "aside")

    set_aside(old, "01K0001", Decimal(1), Decimal(2))
    with closing(connect(old)) as db:
        assert db.execute("SELECT run, amount FROM aside").fetchall() == [("01K0001", "1")]
    assert (told(old), form(old)) == (told(new), form(new))


def open_and_close(path: Path) -> None:
    connect(path).close()


def test_several_that_open_an_old_store_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    runs = some_runs()
    fill(tmp_path / "new.db", runs)
    whole = told(tmp_path / "new.db")
    for number in range(5):
        path = tmp_path / f"{number}.db"
        fill_format_1(path, runs)
        with ThreadPoolExecutor(4) as threads:
            for opened in [threads.submit(open_and_close, path) for _ in range(4)]:
                opened.result()
        assert told(path) == whole


def test_two_processes_open_an_old_store_at_once(tmp_path: Path) -> None:
    runs = some_runs(200)
    fill_format_1(tmp_path / "old.db", runs)
    fill(tmp_path / "new.db", runs)
    children = [python_begun("-c", OPEN, tmp_path / "old.db", stdout=1) for _ in range(2)]

    assert [child.wait(timeout=30) for child in children] == [0, 0]
    assert told(tmp_path / "old.db") == told(tmp_path / "new.db")


def test_whoever_is_killed_while_bringing_it_up_to_date_changed_nothing(tmp_path: Path) -> None:
    runs = some_runs(200)
    fill_format_1(tmp_path / "old.db", runs)
    fill(tmp_path / "new.db", runs)
    path, midst, whole = tmp_path / "s.db", 0, told(tmp_path / "new.db")
    child = f"print('now', flush=True); {OPEN}"
    for turn in range(8):
        shutil.copy(tmp_path / "old.db", path)
        with python_begun("-c", child, path) as process:
            log = path.with_name("s.db-wal")
            while process.poll() is None and not (log.exists() and log.stat().st_size > turn * 250_000):
                time.sleep(0.0002)
            process.kill()
        with closing(sqlite3.connect(path)) as db:
            midst += db.execute("PRAGMA user_version").fetchone() == (1,)
        assert told(path) == whole
        for left in tmp_path.glob("s.db*"):
            left.unlink()
    assert midst > 3


def test_an_old_store_that_may_not_be_written_says_so_and_is_unchanged() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders are closed to the other user
        path = Path(name) / "s.db"
        fill_format_1(path, some_runs())
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = DELETE")  # else not even reading is possible
        path.chmod(0o444)
        path.parent.chmod(0o555)
        before = path.read_bytes()
        ask = (
            "from stretto.store.sqlite import Store\nfrom pathlib import Path\n"
            "try: Store(Path(sys.argv[1])).recent()\nexcept Exception as error: print(type(error).__name__, error)"
        )
        done = as_nobody(ask, str(path))

        assert done.stderr == ""
        assert re.match(f"StoreError {path}: .*older format.*cannot be written; check its permissions", done.stdout)
        assert path.read_bytes() == before
        path.parent.chmod(0o755)


def test_a_damaged_run_of_an_old_store_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    runs = some_runs(3)
    fill_format_1(path, runs)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE events SET body = 'gibberish' WHERE run = '01K0001' AND seq = 2")
        db.execute("DELETE FROM events WHERE run = '01K0002' AND seq = 2")

    assert [run.status for run in Store(path).recent()] == ["unreadable", "unreadable", "finished"]
    with pytest.raises(StoreError, match="the log of run 01K0001 is damaged"):
        Store(path).events("01K0001")


def test_a_writer_of_the_older_format_is_refused_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    runs = some_runs(4)
    fill_format_1(path, runs[:3])
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        insert = "INSERT INTO events (run, seq, kind, body, fingerprint, request, reply) VALUES (?, ?, ?, ?, ?, ?, ?)"
        old.execute(insert, runs[3][0])
        connect(path).close()
        with pytest.raises(sqlite3.IntegrityError, match="event_sum"):
            old.execute(insert, runs[3][1])
    assert [event.kind for event in Store(path).events("01K0003")] == ["run_started"]
