"""A run whose process was killed at a chosen moment goes on where it was; `test_chaos.py` kills at any."""

import asyncio
import json
import os
import signal
from pathlib import Path

from chaos_endpoint import Endpoint, endpoint
from chaos_story import Moment, Story, Victim
from forked import Child
from simulated import record_of
from stretto import Workflow
from stretto import events as e
from stretto.models.simulator import Simulator
from stretto.store.journal import Journal
from stretto.store.sqlite import Store

CONFIG = """
[orchestrator]
model = "chaos:default"
[workers.draft]
model = "chaos:default"
[workers.proof]
model = "chaos:default"
[synthesizer]
model = "chaos:default"
[limits]
parallel = 6
[providers.chaos]
base_url = "{url}"
"""


def a_story(folder: Path, at: Endpoint, task: str) -> Story:
    (folder / "chaos.toml").write_text(CONFIG.format(url=at.url), encoding="utf-8")
    return Story(folder, at, task)


def test_a_plan_that_was_cut_short_by_a_kill_is_kept_and_only_its_rest_is_asked_for(tmp_path: Path) -> None:
    with endpoint(Simulator(ttft=0.01, tokens_per_second=900, length=10)) as at:
        story = a_story(tmp_path, at, "Compare teas in exactly 12 subtasks")
        story.live(Moment(lambda _: True, 9))
        before = story.store.run(story.run)
        assert story.live().code == 0

    assert 0 < len(before.plan.subtasks) < 12
    assert before.plan.state is None
    assert story.complaints(story.store.run(story.run)) == []
    asked = [record.request for record in story.store.records(story.run).values()]
    plans = [request.messages for request in asked if request and request.schema]
    assert len(plans) == 2
    first, rest = sorted(plans, key=len)
    assert rest[: len(first)] == first
    assert all(subtask.description in rest[-1].content for subtask in before.plan.subtasks)
    after = story.store.run(story.run)
    assert len({subtask.description for subtask in after.plan.subtasks}) == 12
    assert after.coverage.complete
    assert after.plan.subtasks[: len(before.plan.subtasks)] == before.plan.subtasks


def test_a_run_that_is_being_carried_is_refused_at_once_and_goes_on_after_its_carrier_was_killed(
    tmp_path: Path,
) -> None:
    with endpoint(Simulator(ttft=0.3, tokens_per_second=5000, length=10)) as at:
        story = a_story(tmp_path, at, "Compare teas in exactly 3 subtasks")
        store = ("--store", str(tmp_path / "s.db"))
        words = ["run", "-w", "./chaos.toml", story.task, "--json", "-q", *store]
        with Child(words, tmp_path, os.environ, stderr=2) as carrier:
            assert carrier.stdout is not None
            story.run = json.loads(carrier.stdout.readline())["run"]
            carrier.send_signal(signal.SIGSTOP)  # or it may be over before the other one has begun
            other = Victim(tmp_path, "resume", story.run)
            carrier.kill()
        assert (other.code, other.shown) == (1, [])
        assert other.errors.count("\n") == 1
        assert f"run {story.run} is being carried already" in other.errors
        assert story.live().code == 0
    assert list((tmp_path / "s.db.locks").iterdir()) == []


def test_a_call_that_left_no_trace_before_the_kill_costs_no_other_call_its_id(tmp_path: Path) -> None:
    async def main() -> None:
        flow = Workflow("sim:instant", {"a": "sim:instant"}, "sim:instant", store=tmp_path / "s.db")
        async with Journal("R", store=flow.store, show=lambda _: None) as journal:
            journal.append(e.RunStarted(task="Compare teas", workflow=record_of(flow)))
            journal.append(e.SubtaskPlanned(subtask="t1", type="a", description="waits for its turn as c2"))
            journal.append(e.SubtaskPlanned(subtask="t2", type="a", description="was sent as c3"))
            sent = e.CallStarted(call="c3", role="worker", subtask="t2", fingerprint="f", model="sim:instant")
            journal.append(sent)
        async with flow.resume("R") as events:
            run = await events.finished()
        assert run.calls[0].subtask == "t2"
        assert run.calls[0].finished is None
        fresh = [event.call for event in Store(tmp_path / "s.db").events("R") if isinstance(event, e.CallFinished)]
        assert len(set(fresh)) == len(fresh)
        assert "c3" not in fresh

    asyncio.run(main())
