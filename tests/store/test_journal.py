"""The log of a run while it runs: shown means stored, in order, in few transactions."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forked import python_begun
from stretto import events as e
from stretto.errors import StoreError
from stretto.store.checkup import findings
from stretto.store.journal import Journal
from stretto.store.sqlite import Store
from stretto.types import Coverage, Message, Reply, Request, Usage

REQUEST = Request("sim:x", (Message("user", "tea?"),))
REPLY = Reply("tea", "stop")


def stored(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM events ORDER BY run, seq")]


def transactions(path: Path) -> int:
    """Commits in the write-ahead log: its frames that end one carry the size of the file (sqlite.org/fileformat)."""
    log = path.with_name(path.name + "-wal").read_bytes()
    size = 24 + int.from_bytes(log[8:12], "big")
    salt = log[16:24]
    frames = [log[at : at + 24] for at in range(32, len(log), size)]
    return sum(1 for frame in frames if frame[8:16] == salt and any(frame[4:8]))


def begin(journal: Journal) -> None:
    journal.append(e.RunStarted(task="tea", workflow={}))


def call_started(n: int) -> e.CallStarted:
    return e.CallStarted(call=f"c{n}", role="worker", subtask=f"t{n}", fingerprint=f"f{n}", model="sim:x")


def call_finished(n: int) -> e.CallFinished:
    return e.CallFinished(
        call=f"c{n}", role="worker", subtask=f"t{n}", fingerprint=f"f{n}", model="sim:x", finish="stop"
    )


def subtask_finished(n: int) -> e.SubtaskFinished:
    return e.SubtaskFinished(subtask=f"t{n}", outcome="done", text="tea")


def test_without_a_store_everything_is_shown_at_once_and_no_thread_is_there() -> None:
    async def main() -> None:
        shown: list[e.AnyEvent] = []
        threads = threading.active_count()
        async with Journal("R", store=None, show=shown.append) as journal:
            begin(journal)
            assert [event.seq for event in shown] == [1]
            await journal.settled()
            assert threading.active_count() == threads

    asyncio.run(main())


def test_three_hundred_workers_that_finish_at_once_share_a_few_transactions(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"

        async def worker(journal: Journal, n: int) -> None:
            journal.append(e.SubtaskStarted(subtask=f"t{n}"))
            journal.append(call_started(n), request=REQUEST)
            journal.append(call_finished(n), reply=REPLY)
            journal.append(subtask_finished(n))
            await journal.settled()

        async with Journal("R", store=path, show=lambda _: None) as journal:
            begin(journal)
            await journal.settled()
            before = transactions(path)
            await asyncio.gather(*(worker(journal, n) for n in range(300)))
            commits = transactions(path) - before

        assert len(stored(path)) == 1201
        assert 1 <= commits <= 30

    asyncio.run(main())


def test_an_event_that_cannot_be_written_is_an_error_and_stops_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        shown: list[e.AnyEvent] = []
        async with Journal("R", store=tmp_path / "s.db", show=shown.append) as journal:
            begin(journal)
            with pytest.raises(TypeError):
                journal.append(e.RunResumed(workflow={"a set of objects": object()}))
            journal.append(e.SubtaskStarted(subtask="t1"))
            async with asyncio.timeout(5):
                await journal.settled()
        assert [event.seq for event in shown] == [1, 2]

    asyncio.run(main())


CHILD = """
import asyncio, sys
from pathlib import Path
from stretto import events as e
from stretto.store.journal import Journal
from stretto.types import Coverage, Message, Reply, Request, Usage

def show(event):
    sys.stdout.write(f"{event.seq} {event.kind} {getattr(event, 'fingerprint', '')}\\n")
    sys.stdout.flush()

async def worker(journal, w):
    for n in range(w, 10**6, 8):
        call = dict(call=f"c{n}", role="worker", subtask=f"t{n}", fingerprint=f"f{n}", model="sim:x")
        journal.append(e.CallStarted(**call), request=Request("sim:x", (Message("user", "x" * 500),)))
        journal.append(e.CallFinished(**call, finish="stop"), reply=Reply("y" * 3000, "stop"))
        await journal.settled()
        journal.append(e.AnswerDelta(text="z"))

async def main():
    async with Journal("R", store=Path(sys.argv[1]), show=show) as journal:
        journal.append(e.RunStarted(task="tea", workflow={}))
        await asyncio.gather(*(worker(journal, w) for w in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("moment", [0.01, 0.08, 0.21, 0.4])
def test_what_a_killed_process_has_shown_is_in_the_store_and_no_reply_is_without_its_event(
    tmp_path: Path, moment: float
) -> None:
    path = tmp_path / "s.db"
    with python_begun("-c", CHILD, path) as child:
        assert child.stdout is not None
        first = child.stdout.readline().decode()
        time.sleep(moment)
        child.kill()
        lines = [first, *child.stdout.read().decode().split("\n")]
    shown = [line.split(" ") for line in lines if line.count(" ") == 2 and not line.startswith("None")]

    log = Store(path).events("R")
    told = {event.seq: event for event in log}
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert [int(seq) for seq, *_ in shown] == list(range(1, len(shown) + 1))
    assert all(told[int(seq)].kind == kind for seq, kind, _ in shown[:-1])
    finished = {event.fingerprint for event in log if isinstance(event, e.CallFinished)}
    assert set(Store(path).replies("R")) == finished
    assert set(Store(path).records("R")) == {ev.fingerprint for ev in log if isinstance(ev, e.CallStarted)}


def _broken_while_running(path: Path, spoil: Callable[[], Any], patience: float = 0.2) -> StoreError:
    """What a journal says when its store is spoilt under it; it says the same to everyone, at once, and ends."""

    async def main() -> StoreError:
        journal = Journal("R", store=path, show=lambda _: None, patience=patience)
        async with asyncio.timeout(10):
            async with journal:
                begin(journal)
                await journal.settled()
                spoil()
                waiting = [asyncio.create_task(_append_and_settle(journal, n)) for n in range(5)]
                said = await asyncio.gather(*waiting, return_exceptions=True)
                with pytest.raises(StoreError) as refused:
                    journal.append(e.SubtaskStarted(subtask="late"))
        assert said == [refused.value] * 5
        return refused.value

    error = asyncio.run(main())
    assert "stretto-store" not in [thread.name for thread in threading.enumerate()]
    assert str(path) in str(error)
    return error


async def _append_and_settle(journal: Journal, n: int) -> None:
    journal.append(subtask_finished(n))
    await journal.settled()


def test_what_is_said_while_another_program_holds_the_store_is_kept_beside_it_and_taken_in_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    shown: list[e.AnyEvent] = []

    async def held() -> float:
        async with Journal("R", store=path, show=shown.append) as journal:
            begin(journal)
            await journal.settled()
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            for n in range(5):
                journal.append(call_started(n), request=REQUEST)
                journal.append(call_finished(n), reply=REPLY)
                await journal.settled()
        took = time.monotonic() - began
        assert stored(path) == [1]
        other.close()
        return took

    assert asyncio.run(held()) < 2
    assert [event.seq for event in shown] == list(range(1, 12))
    (late,) = (tmp_path / "s.db.late").iterdir()
    assert late.stat().st_mode & 0o777 == 0o600
    whole = late.read_bytes()
    late.write_bytes(whole + whole[:100])  # a frame that was cut by a crash: nobody was told that it was there
    assert [event.seq for event in Store(path).events("R")] == list(range(1, 12))
    assert Store(path).replies("R") == {f"f{n}": [REPLY] for n in range(5)}
    assert list((tmp_path / "s.db.late").iterdir()) == []
    late.write_bytes(whole)  # a crash before it was cleared away
    assert [event.seq for event in Store(path).events("R")] == list(range(1, 12))


def test_a_store_that_is_let_go_while_a_run_goes_on_has_everything_soon(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"
        async with Journal("R", store=path, show=lambda _: None, patience=0.05) as journal:
            begin(journal)
            await journal.settled()
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                journal.append(e.SubtaskStarted(subtask="t1"))
                await journal.settled()
                assert stored(path) == [1]
            async with asyncio.timeout(5):
                while stored(path) != [1, 2]:
                    await asyncio.sleep(0.05)
            journal.append(e.SubtaskStarted(subtask="t2"))
        assert stored(path) == [1, 2, 3]
        assert list((tmp_path / "s.db.late").iterdir()) == []

    asyncio.run(main())


def test_of_requests_that_nobody_pays_for_a_few_may_leave_before_the_log_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"
        async with Journal("R", store=path, show=lambda _: None) as journal:
            begin(journal)
            await journal.settled()
            for n in range(8):
                journal.append(call_started(n), request=REQUEST)
                await journal.departing(paid=False)
            assert stored(path) == [1]
            journal.append(call_started(8), request=REQUEST)
            await journal.departing(paid=False)
            assert stored(path) == list(range(1, 11))
            journal.append(call_started(9), request=REQUEST)
            await journal.departing(paid=True)
            assert stored(path) == list(range(1, 12))

    asyncio.run(main())


def test_an_event_that_cannot_be_shown_is_the_error_of_all_who_wait(tmp_path: Path) -> None:
    async def main() -> None:
        def show(event: e.AnyEvent) -> None:
            if event.seq == 2:
                raise ZeroDivisionError

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # it is told, too
        with pytest.raises(StoreError, match="ZeroDivisionError"):
            async with asyncio.timeout(5), Journal("R", store=tmp_path / "s.db", show=show) as journal:
                begin(journal)
                await journal.settled()
                journal.append(e.SubtaskStarted(subtask="t1"))
                await journal.settled()

    asyncio.run(main())


def test_whatever_the_writer_cannot_do_is_the_error_of_all_who_wait(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    def lose_the_table() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("ALTER TABLE events RENAME TO elsewhere")

    assert "events" in str(_broken_while_running(path, lose_the_table))


def test_numbers_that_sqlite_cannot_hold_are_kept_as_the_largest_that_it_can(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"
        huge = Usage(2**64 - 1, 2**63)
        async with Journal("R", store=path, show=lambda _: None) as journal:
            begin(journal)
            journal.append(call_started(1), request=REQUEST)
            journal.append(msgspec.structs.replace(call_finished(1), usage=huge), reply=REPLY)
            journal.append(e.RunFailed(error="no tea", error_type="WorkError"))
        (told,) = Store(path).listing()
        assert (told.usage.input_tokens, told.usage.output_tokens) == (2**63 - 1, 2**63 - 1)
        assert Store(path).run("R").calls[0].finished.usage == huge  # type: ignore[union-attr]
        assert [found for found in findings(path) if "list of runs" in found.lost] == []

    asyncio.run(main())


def test_a_store_that_another_program_locks_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"
        async with Journal("R", store=path, show=lambda _: None) as journal:
            begin(journal)
            await journal.settled()
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                journal.append(e.SubtaskStarted(subtask="t1"))
                await asyncio.sleep(0.1)
                other.execute("COMMIT")
            await journal.settled()
        assert stored(path) == [1, 2]

    asyncio.run(main())


def test_a_store_that_is_removed_while_it_is_written_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    assert "removed or replaced" in str(_broken_while_running(path, path.unlink))


def test_a_second_run_in_the_process_does_not_drop_the_locks_of_the_first(tmp_path: Path) -> None:
    """Opening and closing the file would: then another process takes the write-ahead log away, and commits are lost."""
    path = tmp_path / "s.db"
    other = "import sqlite3,sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM events').fetchall()"

    async def main() -> None:
        async with Journal("A", store=path, show=lambda _: None) as first:
            begin(first)
            await first.settled()
            async with Journal("B", store=path, show=lambda _: None) as second:
                begin(second)
            await asyncio.to_thread(subprocess.run, [sys.executable, "-c", other, str(path)], check=True)
            first.append(e.SubtaskStarted(subtask="t1"))
            await first.settled()
            assert [event.seq for event in Store(path).events("A")] == [1, 2]

    asyncio.run(main())


def test_a_log_that_was_damaged_before_it_is_forgotten_is_an_error_and_not_a_wait_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "s.db"

    async def main() -> None:
        journal = Journal("R", store=path, show=lambda _: None, keeps_texts=False)
        async with asyncio.timeout(10), journal:
            begin(journal)
            await journal.settled()
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("UPDATE events SET body = 'gibberish'")
            journal.append(e.RunFinished(answer="tea", usage=Usage(), coverage=Coverage()))
            with pytest.raises(StoreError, match="log of run R is damaged"):
                await journal.settled()

    asyncio.run(main())
    assert stored(path) == [1]
