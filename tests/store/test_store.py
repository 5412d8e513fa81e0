"""The store file: its form and modes, what a bad one says, who may carry a run, finding runs."""

import asyncio
import os
import re
import resource
import shutil
import signal
import sqlite3
import stat
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from forked import python, python_begun
from stores import as_nobody
from stretto import Workflow
from stretto import events as e
from stretto.errors import RunBusy, RunNotFound, StoreError
from stretto.models.simulator import Simulator
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.schema import connect
from stretto.store.sqlite import Store
from stretto.store.tables import VERSION
from stretto.types import Reply

TASK = "Describe tea in 4 subtasks"


def flow(path: Path | None, ttft: float = 0.0) -> Workflow:
    speed = Simulator(ttft=ttft, ttft_spread=0)
    return Workflow("sim:instant", {"a": "sim:instant"}, "sim:instant", store=path, providers={"sim": speed})


def a_run(path: Path) -> Run:
    return flow(path).run_sync(TASK)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql, values)


# -- the file


def test_everything_about_a_store_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "runs.db"

    async def main() -> None:
        async with Journal("R", store=path, show=lambda _: None) as journal:
            journal.append(e.RunStarted(task="tea", workflow={}))
            await journal.settled()
            assert [mode(path.with_name(path.name + end)) for end in ("", "-wal", "-shm")] == [0o600] * 3

    before = os.umask(0)
    try:
        asyncio.run(main())
        with Store(path).carrying("R"):
            assert mode(tmp_path / "state" / "runs.db.locks") == 0o700
            assert [mode(lock) for lock in (tmp_path / "state" / "runs.db.locks").iterdir()] == [0o600]
    finally:
        os.umask(before)
    assert mode(tmp_path / "state") == 0o700


def test_a_commit_is_on_the_disk_and_readers_never_wait_for_it(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "s.db")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_several_that_make_one_new_store_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    def make(path: Path) -> None:
        start.wait()
        connect(path).close()

    for number in range(20):
        start = threading.Barrier(6)
        with ThreadPoolExecutor(6) as threads:
            for made in [threads.submit(make, tmp_path / f"{number}.db") for _ in range(6)]:
                made.result()


def test_a_path_with_odd_characters_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=ro#%41 é" / "s.db"
    run = a_run(path)

    assert Store(path).run(run.id).answer == run.answer


# -- bad stores: one clear error that names file and remedy


def newer(path: Path) -> None:
    a_run(path)
    change(path, f"PRAGMA user_version = {VERSION + 1}")


def text(path: Path) -> None:
    path.write_text("Dear diary, today I learned about fugues. " * 100)


def of_someone_else(path: Path) -> None:
    change(path, "CREATE TABLE bookmarks (url TEXT)")
    change(path, "PRAGMA user_version = 1")


def beheaded(path: Path) -> None:
    a_run(path)
    os.truncate(path, 50)


def halved(path: Path) -> None:
    a_run(path)
    os.truncate(path, 4096)


def with_a_trigger(path: Path) -> None:
    a_run(path)
    change(path, "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM events WHERE kind = 'call_finished'; END")


def with_a_view(path: Path) -> None:
    a_run(path)
    change(path, "ALTER TABLE runs RENAME TO was")
    change(path, "CREATE VIEW Runs AS SELECT * FROM was")


def folder(path: Path) -> None:
    path.mkdir()


BAD: list[tuple[Callable[[Path], None], str]] = [
    (newer, "newer Stretto.*upgrade"),
    (text, "not a database.*--store"),
    (of_someone_else, "not a Stretto store.*--store"),
    (beheaded, "(not a database|malformed).*--store"),
    (halved, "malformed.*--store"),
    (with_a_trigger, "the trigger t, which is not Stretto's.*--store"),
    (with_a_view, "the view Runs, which is not Stretto's.*--store"),
    (folder, "a folder.*--store"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[spoil.__name__ for spoil, _ in BAD])
def test_a_bad_store_is_one_clear_error_and_nothing_is_asked_or_changed(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "s.db"
    spoil(path)
    before, threads = None if path.is_dir() else path.read_bytes(), threading.enumerate()
    workflow = flow(path)

    async def main() -> None:
        async with workflow.stream(TASK) as events:
            with pytest.raises(StoreError, match=f"(?s){re.escape(str(path))}.*{message}"):
                [event async for event in events if pytest.fail(f"shown: {event.kind}")]

    asyncio.run(main())
    with pytest.raises(StoreError, match=re.escape(str(path))):
        Store(path).recent()
    with pytest.raises(StoreError, match=re.escape(str(path))):
        Store(path).find("01")
    assert before is None or path.read_bytes() == before
    assert [each.name for each in threading.enumerate() if each not in threads] == []


def test_a_view_of_ones_own_is_nobodys_harm(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    a_run(path)
    change(path, "CREATE VIEW costs AS SELECT run, cost FROM runs")
    assert Store(path).recent()


@pytest.mark.parametrize("place", ["a file/s.db", "a file/deeper/s.db", "/proc/stretto/s.db", "/dev/null/s.db"])
def test_a_path_where_no_file_can_be_is_one_clear_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").write_text("")
    path = tmp_path / place

    with pytest.raises(StoreError, match=f"{re.escape(str(path))}.*cannot be written.*--store"):
        a_run(path)


RUN = """
from stretto import Limits, Simulator, Workflow
from stretto.errors import StoreError
two = {"limits": Limits(parallel=2), "providers": {"sim": Simulator(ttft=0.01, tokens_per_second=1e6)}}
try:
    flow = Workflow("sim:x", {"a": "sim:x"}, "sim:x", store=sys.argv[1], **two)
    run = flow.run_sync(sys.argv[2])
    print("answered", run.id)
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_store_that_may_not_be_written_says_so_and_is_unchanged(what: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders are closed to the other user
        path = Path(name) / "s.db"
        a_run(path)
        shutil.rmtree(path.with_name("s.db.locks"))
        if what == "file":
            path.chmod(0o444)
            path.parent.chmod(0o777)
        else:
            path.chmod(0o666)
            path.parent.chmod(0o555)
        before = path.read_bytes()
        done = as_nobody(RUN, str(path), TASK)

        assert done.stderr == ""
        assert str(path) in done.stdout
        assert "cannot be written; check its permissions" in done.stdout
        assert path.read_bytes() == before
        path.parent.chmod(0o755)


def test_a_disk_that_is_full_stops_the_run_and_what_was_recorded_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    full = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))
{RUN}
print(__import__("threading").active_count())
"""
    task = "Describe tea in 60 subtasks"
    stopped = python("-c", full, path, task)

    assert stopped.stderr == ""
    assert re.search(f"{path}: .*free some room.*resume.*\n1\n", stopped.stdout)
    before = Store(path).recent()[0]
    assert before.status == "running"
    assert before.plan.subtasks

    async def resume() -> Run:
        async with flow(path).resume(before.id) as events:
            return await events.finished()

    run = asyncio.run(resume())
    assert run.status == "finished"
    assert len(run.results) == 60
    kept = {call.fingerprint for call in before.calls if call.finished and call.finished.finish == "stop"}
    paid = {call.fingerprint for call in run.calls[len(before.calls) :] if call.finished and not call.finished.reused}
    assert len(kept) > 2
    assert not kept & paid


def test_the_limit_on_file_size_is_no_leftover_of_the_test_above() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN  # Python's own default


def test_a_store_that_is_not_there_is_not_made_by_reading_or_resuming(tmp_path: Path) -> None:
    path = tmp_path / "none" / "s.db"

    for ask in (Store(path).recent, lambda: Store(path).find("01"), lambda: asyncio.run(resumed(path, "01"))):
        with pytest.raises(StoreError, match=f"{re.escape(str(path))}.*no run store here yet"):
            ask()
    assert not path.parent.exists()


def test_an_empty_file_is_a_store_without_runs_yet(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()

    with pytest.raises(StoreError, match="no run store here yet"):
        Store(path).recent()
    assert a_run(path).status == "finished"


# -- finding runs


async def resumed(path: Path, run: str) -> Run:
    async with flow(path).resume(run) as events:
        return await events.finished()


@pytest.mark.parametrize("run", ["nope", "../../etc/passwd", "", "\udce9", "x" * 5000])
def test_a_run_that_is_not_there_is_an_error_and_leaves_nothing_behind(tmp_path: Path, run: str) -> None:
    path = tmp_path / "s.db"
    a_run(path)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(RunNotFound, match=r"no run .* in this store; `stretto runs` lists them"):
        asyncio.run(resumed(path, run))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_is_found_by_the_beginning_or_end_of_its_id_in_either_case(tmp_path: Path) -> None:
    run = a_run(tmp_path / "s.db").id
    store = Store(tmp_path / "s.db")

    assert [store.find(part) for part in (run, run[:10], run[-6:], run[-6:].lower())] == [run] * 4
    with pytest.raises(RunNotFound, match="no run 'ZZZ'"):
        store.find("ZZZ")


def test_letters_that_fit_several_runs_are_an_error_that_names_them(tmp_path: Path) -> None:
    runs = [a_run(tmp_path / "s.db").id for _ in range(2)]

    with pytest.raises(RunNotFound, match=rf"s\.db.*'01' fits 2 runs \({runs[1]}, {runs[0]}\); write more"):
        Store(tmp_path / "s.db").find("01")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET body = 'gibberish' WHERE run = ? AND seq = 3",
        'UPDATE events SET body = \'{"kind":"coffee_made"}\' WHERE run = ? AND seq = 3',
        "DELETE FROM events WHERE run = ? AND seq = 3",
    ],
)
def test_a_run_with_a_damaged_log_says_so_and_hides_no_other(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.db"
    whole, spoilt = a_run(path), a_run(path)
    change(path, damage, spoilt.id)

    said = f"{re.escape(str(path))}: the log of run {spoilt.id} is damaged"
    with pytest.raises(StoreError, match=said):
        Store(path).run(spoilt.id)
    with pytest.raises(StoreError, match=said):
        asyncio.run(resumed(path, spoilt.id))
    assert [(run.id, run.status) for run in Store(path).recent()] == [
        (spoilt.id, "unreadable"),
        (whole.id, "finished"),
    ]
    assert Store(path).run(whole.id).answer == whole.answer


def test_the_newest_runs_come_first(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    runs = []
    for _ in range(4):
        runs.append(a_run(path).id)
        time.sleep(0.002)

    assert [run.id for run in Store(path).recent(3)] == runs[:0:-1]


# -- exactly one carrier


CARRY = """
import sys, time
from pathlib import Path
from stretto.store.sqlite import Store
from stretto.store.tables import VERSION
from stretto.types import Reply
with Store(Path(sys.argv[1])).carrying("R"):
    print("in", flush=True)
    time.sleep(60)
"""


def test_a_run_is_carried_by_one_process_and_a_killed_one_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with python_begun("-c", CARRY, path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"in\n"
        began = time.monotonic()
        with pytest.raises(RunBusy, match=r"run R is being carried already.*then resume"), Store(path).carrying("R"):
            pass
        assert time.monotonic() - began < 1
        with Store(path).carrying("another run"):
            pass
        child.kill()
    with Store(path).carrying("R"):
        pass
    assert list((tmp_path / "s.db.locks").iterdir()) == []


def test_a_run_is_carried_once_within_a_process_too(tmp_path: Path) -> None:
    async def main() -> None:
        workflow = flow(tmp_path / "s.db", ttft=0.05)
        async with workflow.stream(TASK) as events:
            assert (await anext(events)).kind == "run_started"
            for _ in range(2):
                with pytest.raises(RunBusy):
                    await resumed(tmp_path / "s.db", events.run_id)
            in_thread = asyncio.to_thread(asyncio.run, resumed(tmp_path / "s.db", events.run_id))
            with pytest.raises(RunBusy):
                await in_thread
            assert (await events.finished()).status == "finished"
        assert (await resumed(tmp_path / "s.db", events.run_id)).executions == 2

    asyncio.run(main())


def test_of_twenty_resumes_at_once_one_carries_the_run(tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "s.db"
        run = await flow(path).run(TASK)
        slow = flow(path, ttft=0.05)

        async def resume() -> Run:
            async with slow.resume(run.id) as events:
                return await events.finished()

        told = await asyncio.gather(*(resume() for _ in range(20)), return_exceptions=True)
        carried = [one for one in told if isinstance(one, Run)]
        assert len(carried) == 1
        assert sum(isinstance(one, RunBusy) for one in told) == 19
        assert Store(path).run(run.id).executions == 2

    asyncio.run(main())


@pytest.mark.slow
def test_fifty_runs_at_once_in_one_process_all_complete_and_leave_no_lock(tmp_path: Path) -> None:
    async def main() -> None:
        workflow = flow(tmp_path / "s.db")
        runs = await asyncio.gather(*(workflow.run(f"Task {n}, in 3 subtasks") for n in range(50)))

        assert {run.status for run in runs} == {"finished"}
        kept = {run.id: run for run in Store(tmp_path / "s.db").recent(99)}
        assert {run.id: run.answer for run in runs} == {id_: run.answer for id_, run in kept.items()}

    asyncio.run(main())
    assert list((tmp_path / "s.db.locks").iterdir()) == []
    assert [each.name for each in threading.enumerate() if each.name.startswith("stretto")] == []


def test_two_processes_write_different_runs_into_one_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    many = "import sys\nfor _ in range(4):\n" + textwrap.indent(RUN, "    ")
    children = [python_begun("-c", many, path, "Describe tea in 20 subtasks") for _ in range(2)]
    lines = [line for child in children for line in child.communicate()[0].decode().splitlines()]

    assert len(lines) == 8
    for line in lines:
        told, _, run = line.partition(" ")
        assert told == "answered"
        assert Store(path).run(run).coverage.counts["done"] == 20


FULL = """
import asyncio, resource, sys
import stretto
from stretto.store.schema import connect
connect(__import__("pathlib").Path(sys.argv[1])).close()
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
asked = []
def part(subtask: stretto.Subtask) -> str:
    asked.append(subtask)
    return "Done."
flow = stretto.Workflow(None, {"part": part}, store=sys.argv[1])
async def main():
    async with flow.stream("Describe tea.") as events:
        try:
            await events.finished()
        except stretto.StoreError as error:
            print(error, len(asked))
asyncio.run(main())
"""


def test_a_run_that_cannot_be_recorded_asks_nothing(tmp_path: Path) -> None:
    done = python("-c", FULL, tmp_path / "s.db")
    assert re.search(r"full.*free some room.* 0\n", done.stdout)


# -- damaged records


def test_a_damaged_reply_is_told_and_costs_that_reply_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    run = a_run(path)
    before = Store(path).replies(run.id)
    spoilt = next(call.fingerprint for call in run.calls if call.subtask == "t2")
    change(path, "UPDATE events SET reply = replace(reply, 'e', 'o') WHERE fingerprint = ? AND reply NOTNULL", spoilt)

    told: list[str] = []
    store = Store(path, tell=told.append)
    assert store.replies(run.id) == {key: reply for key, reply in before.items() if key != spoilt}
    assert re.fullmatch(
        rf".*what was recorded with event \d+ of run {run.id} is damaged, and counts as not there", told[0]
    )
    assert store.records(run.id)[spoilt].request
    assert store.records(run.id)[spoilt].reply is None
    assert len(told) == 3
    again = asyncio.run(resumed(path, run.id))
    assert again.answer == run.answer
    fresh = [call for call in again.calls[len(run.calls) :] if call.finished and not call.finished.reused]
    assert [call.fingerprint for call in fresh] == [spoilt]
    assert Store(path).replies(run.id) == before


def test_replies_of_a_megabyte_go_in_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    large = {f"{n:032x}": Reply("é" * 400_000 + f'"\\ {n}' * 40_000, "stop") for n in range(6)}

    async def main() -> None:
        async with Journal("R", store=path, show=lambda _: None) as journal:
            journal.append(e.RunStarted(task="tea", workflow={}))
            for n, (key, reply) in enumerate(large.items()):
                call = e.CallFinished(
                    call=f"c{n}", role="worker", subtask=f"t{n}", fingerprint=key, model="sim:x", finish="stop"
                )
                journal.append(call, reply=reply)

    asyncio.run(main())
    assert Store(path).replies("R") == {key: [reply] for key, reply in large.items()}


WRITE = """
import asyncio, sys
from pathlib import Path
from stretto import events as e
from stretto.store.journal import Journal
from stretto.store.sqlite import Store
from stretto.types import Reply

async def main(run):
    async with Journal(run, store=Path(sys.argv[1]), show=lambda _: None) as journal:
        journal.append(e.RunStarted(task="tea", workflow={}))
        for n in range(40):
            call = dict(call=f"c{n}", role="worker", subtask=f"t{n}", fingerprint=f"{run}{n}", model="sim:x")
            journal.append(e.CallFinished(**call, finish="stop"), reply=Reply(run * 20_000, "stop"))
            await journal.settled()
        journal.append(e.RunInterrupted())

with Store(Path(sys.argv[1])).carrying(sys.argv[2]):
    asyncio.run(main(sys.argv[2]))
"""


def test_four_processes_write_large_replies_at_once_while_others_list_and_read(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    connect(path).close()
    children = [python_begun("-c", WRITE, path, f"R{n}", stdout=1) for n in range(4)]
    seen: dict[str, set[str]] = {}
    while any(child.poll() is None for child in children):
        for run in Store(path).listing():
            seen.setdefault(run.run, set()).add(run.status)
            assert all(reply.text == run.run * 20_000 for (reply,) in Store(path).replies(run.run).values())

    assert [child.returncode for child in children] == [0] * 4
    assert {run.run: run.status for run in Store(path).listing()} == {f"R{n}": "interrupted" for n in range(4)}
    assert [len(Store(path).replies(f"R{n}")) for n in range(4)] == [40] * 4
    assert all(statuses <= {"running", "killed", "interrupted"} for statuses in seen.values())
