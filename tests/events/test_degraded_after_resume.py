"""What a run gave up is said after a resumption, too."""

import asyncio
from pathlib import Path

from logs import cut_after
from stretto import Role, Simulator, Workflow
from stretto import events as e
from stretto.models.simulator import parse_fault
from stretto.store.sqlite import Store


def test_a_reply_of_a_fallback_that_is_reused_is_still_told_as_one(tmp_path: Path) -> None:
    def flow(store: Path) -> Workflow:
        gone = Simulator(faults=(parse_fault("404"),))
        workers = {"a": Role(["gone:x", "sim:instant"])}
        return Workflow("sim:instant", workers, "sim:instant", store=store, providers={"gone": gone})

    async def main() -> None:
        whole = await flow(tmp_path / "s.db").run("Compare teas in exactly 2 subtasks")
        assert any(why.startswith("fallback: gone:x") for why in whole.coverage.degraded)
        log = Store(tmp_path / "s.db").events(whole.id)
        last = max(ev.seq or 0 for ev in log if isinstance(ev, e.CallFinished) and ev.role == "worker")
        cut_after(tmp_path / "s.db", tmp_path / "part.db", last)
        async with flow(tmp_path / "part.db").resume(whole.id) as events:
            run = await events.finished()
        assert any(why.startswith("fallback: gone:x") for why in run.coverage.degraded)

    asyncio.run(main())
