"""Many runs of one event loop in one store: one connection, one thread and one lock serve them all."""

import asyncio
import threading
from contextlib import closing
from pathlib import Path

from forked import python
from stretto import events as e
from stretto.errors import StoreError
from stretto.store.journal import Journal
from stretto.store.schema import connect
from stretto.store.sqlite import Store

FEW_FILES = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import stretto
slow = {"sim": stretto.Simulator(ttft=0.3, tokens_per_second=2000)}
flow = stretto.Workflow("sim:x", {"work": "sim:x"}, "sim:x", providers=slow, store=sys.argv[1])
async def main():
    runs = await asyncio.gather(*(flow.run(f"Task {n}, in 2 subtasks") for n in range(60)))
    print(sum(run.status == "finished" and run.coverage.complete for run in runs))
asyncio.run(main())
"""


def test_a_process_carries_more_runs_than_it_may_open_files(tmp_path: Path) -> None:
    done = python("-c", FEW_FILES, tmp_path / "s.db")
    assert (done.stdout, done.stderr) == ("60\n", "")
    assert list((tmp_path / "s.db.locks").iterdir()) == []
    assert len(Store(tmp_path / "s.db").recent(99)) == 60


def test_what_cannot_be_written_of_one_run_fails_that_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with closing(connect(path)) as db:
        db.execute("CREATE INDEX no ON events (json(CASE run WHEN 'B' THEN 'no JSON' END))")

    before = threading.active_count()

    async def main() -> None:
        async with Journal("A", store=path, show=lambda _: None) as good:
            bad = Journal("B", store=path, show=lambda _: None)
            for journal in (bad, good):
                journal.append(e.RunStarted(task="tea", workflow={}))
            told = await asyncio.gather(bad.settled(), good.settled(), return_exceptions=True)
            assert isinstance(told[0], StoreError)
            assert told[1] is None
            await bad.__aexit__(None, None, None)
            good.append(e.RunInterrupted())
            await good.settled()
        assert threading.active_count() == before

    asyncio.run(main())
    assert [run.id for run in Store(path).recent()] == ["A"]
