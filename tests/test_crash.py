"""A run that is killed at any moment, again and again, goes on where it was and pays nothing twice."""

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stretto import Workflow
from stretto import events as e
from stretto.calls import fingerprint
from stretto.models.simulator import Simulator
from stretto.models.simulator.provider import SimulatedProvider
from stretto.server.sim import PROVIDER, listening, simulator_app
from stretto.store.journal import Journal
from stretto.store.sqlite import Store

KILLS = 10
COMMAND = (sys.executable, "-m", "stretto")
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


class Endpoint:
    """The simulator behind a real socket, in a thread of its own, and what it was asked."""

    def __init__(self, url: str, counts: SimulatedProvider) -> None:
        self.url = url
        self._counts = counts

    @property
    def asked(self) -> Counter[str]:
        """How often each request was asked, by its fingerprint as this side of the wire sees it."""
        return Counter(self._counts.asked)


@contextmanager
def endpoint(simulator: Simulator) -> Iterator[Endpoint]:
    ready: list[Endpoint] = []
    begun, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        app = simulator_app(simulator)
        async with listening(app) as url:
            ready.append(Endpoint(url, app[PROVIDER]))
            begun.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert begun.wait(10)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Victim:
    """A run as a process, killed a moment after so many lines of its events (None: never), and what it showed."""

    def __init__(self, folder: Path, *arguments: str, lines: int | None = None, delay: float = 0.0) -> None:
        command = [*COMMAND, *arguments, "--json", "-q", "--store", str(folder / "s.db")]
        shown = []
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                shown.append(line)
                if len(shown) == lines:
                    time.sleep(delay)
                    process.kill()
            self.errors = process.stderr.read().decode()
        self.code = process.returncode
        self.shown: list[dict[str, Any]] = [json.loads(line) for line in shown if line.endswith(b"\n")]

    @property
    def completed(self) -> set[str]:
        """Fingerprints of the calls that were seen to complete."""
        return {event["fingerprint"] for event in self.shown if event["kind"] == "call_finished" and event["finish"]}


class Story:
    """One run from its start over its kills to its end."""

    def __init__(self, folder: Path, at: Endpoint, task: str) -> None:
        self.folder = folder
        self.at = at
        self.task = task
        self.run = ""
        self.lives: list[Victim] = []
        self._settled: dict[str, int] = {}
        (folder / "chaos.toml").write_text(CONFIG.format(url=at.url))

    def live(self, lines: int | None = None, delay: float = 0.0) -> Victim:
        """Begin or go on, until it ends or is killed."""
        how = ("resume", self.run) if self.run else ("run", "-w", "./chaos.toml", self.task)
        victim = Victim(self.folder, *how, lines=lines, delay=delay)
        self.lives.append(victim)
        self.run = self.run or victim.shown[0]["run"]
        asked = self.at.asked
        for request in self._requests(victim.completed):
            self._settled.setdefault(request, asked[request])
        return victim

    def _requests(self, fingerprints: set[str]) -> set[str]:
        """The same requests as the endpoint sees them; a plan's is another there, because of its schema."""
        records = self.store.records(self.run)
        requests = [record.request for key, record in records.items() if key in fingerprints]
        return {fingerprint(replace(one, model="default")) for one in requests if one and one.schema is None}

    @property
    def store(self) -> Store:
        return Store(self.folder / "s.db")

    def check(self, subtasks: int) -> None:
        """Nothing is lost, doubled, missing, out of order or paid twice."""
        run, log = self.store.run(self.run), self.store.events(self.run)
        kept = {event.seq: event.kind for event in log}
        for victim in self.lives:
            seqs = [event["seq"] for event in victim.shown if event["seq"]]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
            assert all(kept[event["seq"]] == event["kind"] for event in victim.shown if event["seq"])
        assert list(kept) == list(range(1, len(log) + 1))

        planned = [event.subtask for event in log if isinstance(event, e.SubtaskPlanned)]
        assert planned == [f"t{n}" for n in range(1, subtasks + 1)]
        assert len({subtask.description for subtask in run.plan.subtasks}) == subtasks
        assert run.status == "finished"
        assert run.executions == len(self.lives)
        assert run.coverage.complete
        assert run.coverage.counts["done"] == subtasks

        paid = Counter(ev.fingerprint for ev in log if isinstance(ev, e.CallFinished) and ev.finish and not ev.reused)
        assert set(paid.values()) == {1}
        assert set().union(*(victim.completed for victim in self.lives)) <= set(paid)
        ids = Counter(event.call for event in log if isinstance(event, e.CallFinished))
        assert set(ids.values()) == {1}
        asked = self.at.asked
        assert {request: asked[request] for request in self._settled} == self._settled


def test_runs_that_are_killed_at_random_moments_lose_nothing_and_pay_nothing_twice(tmp_path: Path) -> None:
    chance, kills = random.Random(7), 0
    with endpoint(Simulator(ttft=0.01, tokens_per_second=5000, length=20)) as at:
        for number in range(9):
            folder = tmp_path / str(number)
            folder.mkdir()
            subtasks = chance.randint(4, 16)
            story = Story(folder, at, f"Compare teas, part {number}, in exactly {subtasks} subtasks with needs")
            while kills < KILLS:
                if story.live(chance.randint(1, 50), chance.uniform(0, 0.03)).code == 0:
                    break
                kills += 1
                if len(story.lives) == 5:
                    break
            last = story.lives[-1] if story.lives and story.lives[-1].code == 0 else story.live()
            assert (last.code, last.errors) == (0, "")
            story.check(subtasks)
            assert len(story._settled) > subtasks / 2 or len(story.lives) == 1
            if kills == KILLS:
                return
    raise AssertionError(f"only {kills} kills")


def test_a_plan_that_was_cut_short_by_a_kill_is_kept_and_only_its_rest_is_asked_for(tmp_path: Path) -> None:
    with endpoint(Simulator(ttft=0.01, tokens_per_second=900, length=10)) as at:
        story = Story(tmp_path, at, "Compare teas in exactly 12 subtasks")
        story.live(lines=9)
        before = story.store.run(story.run)
        assert story.live().code == 0

    assert 0 < len(before.plan.subtasks) < 12
    assert before.plan.state is None
    story.check(12)
    asked = [record.request for record in story.store.records(story.run).values()]
    plans = [request.messages for request in asked if request and request.schema]
    assert len(plans) == 2
    first, rest = sorted(plans, key=len)
    assert rest[: len(first)] == first
    assert all(subtask.description in rest[-1].content for subtask in before.plan.subtasks)
    after = story.store.run(story.run)
    assert after.plan.subtasks[: len(before.plan.subtasks)] == before.plan.subtasks


def test_a_run_that_is_being_carried_is_refused_at_once_and_goes_on_after_its_carrier_was_killed(
    tmp_path: Path,
) -> None:
    with endpoint(Simulator(ttft=0.3, tokens_per_second=5000, length=10)) as at:
        story = Story(tmp_path, at, "Compare teas in exactly 3 subtasks")
        store = ("--store", str(tmp_path / "s.db"))
        command = [*COMMAND, "run", "-w", "./chaos.toml", story.task, "--json", "-q", *store]
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as carrier:
            assert carrier.stdout is not None
            story.run = json.loads(carrier.stdout.readline())["run"]
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
        async with Journal("R", path=flow.store, show=lambda _: None) as journal:
            journal.append(e.RunStarted(task="Compare teas", workflow=flow.record()))
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
