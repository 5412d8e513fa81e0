"""A reply is found again by its request, whichever run it was recorded in; never a degraded or damaged one."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stores import KEY, answered, fill
from stretto.errors import StoreError
from stretto.store.recall import Recall
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.sums import record_sum
from stretto.types import Reply


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        assert db.execute(sql).rowcount == 1


@pytest.mark.parametrize(
    "damage",
    [
        "SET reply = replace(reply, 'second', 'wrong!')",
        "SET reply = substr(reply, 1, 10)",
        "SET reply = 7",
        "SET record_sum = NULL",
        "SET run = '01KX'",
    ],
)
def test_a_damaged_reply_is_left_out(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.db"
    fill(path, [answered("01KA", "first"), answered("01KB", "second")])
    change(path, f"UPDATE events {damage} WHERE run = '01KB' AND reply IS NOT NULL")
    with Recall(path) as recall:
        assert recall.reply(KEY) == ("01KA", Reply("first", "stop"))


def test_it_is_found_by_an_index_without_sorting(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    fill(path, [answered("01KA", "first")])
    with Recall(path) as recall:
        plan = "EXPLAIN QUERY PLAN SELECT reply FROM events WHERE fingerprint = ? AND reply IS NOT NULL"
        steps = [step for *_, step in recall._db.execute(f"{plan} ORDER BY rowid DESC LIMIT 1", (KEY,))]
    assert steps == ["SEARCH events USING INDEX replies (fingerprint=?)"]


def test_a_reply_that_was_spoilt_before_it_got_its_checksum_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    first, second = answered("01KA", "first"), answered("01KB", "second")
    spoilt = [(*row[:6], row[6][:20] if row[6] else None) for row in second]
    fill(path, [first, spoilt])
    with Recall(path) as recall:
        assert recall.reply(KEY) == ("01KA", Reply("first", "stop"))
    assert Store(path).replies("01KB") == {}


CHECKPOINT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=2)
print(*db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
"""


def test_between_two_questions_it_holds_up_neither_writers_nor_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    fill(path, [answered("01KA", "first")])
    with Recall(path) as recall, closing(connect(path)) as writer:
        assert recall.reply(KEY)
        writer.execute("DELETE FROM events WHERE run = '01KA'")
        done = subprocess.run([sys.executable, "-c", CHECKPOINT, str(path)], capture_output=True, text=True, check=True)
        assert done.stdout == "0 0 0\n"
        assert recall.reply(KEY) is None


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no run store here yet"):
        Recall(tmp_path / "s.db")


def test_what_cannot_be_read_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    fill(path, [answered("01KA", "first")])
    with Recall(path) as recall:
        change_schema = sqlite3.connect(path, isolation_level=None)
        change_schema.execute("DROP TABLE events")
        change_schema.close()
        with pytest.raises(StoreError, match=r"s\.db: no such table"):
            recall.reply(KEY)


def test_the_sum_tells_an_empty_reply_from_none() -> None:
    assert record_sum("R", 1, KEY, None, b"") != record_sum("R", 1, KEY, b"", None)
    assert record_sum("R", 1, KEY, b"ab", b"c") != record_sum("R", 1, KEY, b"a", b"bc")
    assert record_sum("R", 1, None, None, None) is None
