"""A run is replayed from its records: the same answer to the byte, the same gaps, and nobody is asked."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from drawn import share
from recorded import Kept, replayed
from simulated import pool_of, record_of
from stretto import Limits, Memory, Price, Provider, ReplayStream, Result, Role, Run, Simulator, Subtask, Workflow
from stretto import events as e
from stretto.calls import lasting
from stretto.engine import Execution
from stretto.errors import ConfigError, MissingRecord, RunNotFound, StrettoError
from stretto.ground.ids import new_ulid
from stretto.models.simulator import parse_fault
from stretto.policies.composition import Composition
from stretto.policies.memo import Replies
from stretto.replay import recording_of
from stretto.rerun import Rerun, basis_of, given_results
from stretto.run.purse import open_account
from stretto.store.parcel import Entry, read_parcel
from stretto.store.sqlite import Store
from stretto.store.travel import exported, imported
from stretto.types import Basis, Reply, Request
from terminal import Terminal, served
from virtual import clock, virtually


class Studio:
    """Carries runs of a workflow in virtual time, and keeps what is recorded of them."""

    def __init__(self, flow: Workflow) -> None:
        self.flow = flow

    async def new(self, task: str, *, kill: float | None = None, **basis: Any) -> list[Entry]:
        rows: list[Entry] = []
        journal = Kept(new_ulid(), rows)
        journal.append(e.RunStarted(task=task, workflow=self.record(), basis=Basis(**basis)))
        return await self._carry(journal, kill)

    async def resumed(self, rows: list[Entry], *, kill: float | None = None) -> list[Entry]:
        journal = Kept(rows[0].event.run, rows)
        journal.append(e.RunResumed(workflow=self.record()))
        return await self._carry(journal, kill)

    async def rerun(self, origin: list[Entry], **wanted: Any) -> list[Entry]:
        run = recording_of(origin).run
        basis = basis_of(Rerun(run.id, **wanted), run, replies_of(origin), self.flow.definition)
        journal = Kept(new_ulid(), [])
        journal.append(e.RunStarted(task=run.task, workflow=self.record(), basis=basis))
        return await self._carry(journal, None, origin)

    def record(self) -> dict[str, Any]:
        told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record_of(self.flow)))
        return told

    async def _carry(self, journal: Kept, kill: float | None, origin: Sequence[Entry] = ()) -> list[Entry]:
        definition = self.flow.definition
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(pool_of(self.flow))
            pool.look_up_prices(self.flow.all_models)
            own = replies_of(journal.rows)
            replies = Replies(own, earlier(origin), shared=definition.memory.reuse != "off")
            account = await open_account(definition, journal, pool)
            composition = Composition(pool.model, definition.limits, account, pool.prices, replies, self.flow.jitter)
            given: Mapping[str, Result] = {}
            if origin:
                given = given_results(journal.run.basis, recording_of(origin).run)
            execution = Execution(definition, journal, composition.model, account, replies, given)
            await self._execute(execution, journal, kill)
        return journal.rows

    async def _execute(self, execution: Execution, journal: Kept, kill: float | None) -> None:
        written: list[int] = []
        if kill is not None:
            asyncio.get_running_loop().call_later(kill, lambda: written.append(len(journal.rows)))
        try:
            async with asyncio.timeout(kill):
                await execution.execute()
        except TimeoutError:  # killed: nothing was written after that
            del journal.rows[written[0] :]
        except Exception as group:  # noqa: BLE001 - as a run stream does it
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            journal.append(e.RunFailed(error=str(error) or repr(error), error_type=type(error).__name__))

    _at_kill = 0


def replies_of(rows: Sequence[Entry]) -> dict[str, list[Reply]]:
    replies: dict[str, list[Reply]] = {}
    for row in rows:
        if row.reply and row.fingerprint:
            replies.setdefault(row.fingerprint, []).append(row.reply)
    return replies


def earlier(origin: Sequence[Entry]) -> Callable[[str, Request], tuple[str, Reply] | None]:
    recorded = replies_of(origin)

    def find(key: str, _: Request) -> tuple[str, Reply] | None:
        found = [reply for reply in recorded.get(key, ()) if lasting(reply)]
        return (origin[0].event.run, found[-1]) if found else None

    return find


FAULTS = (
    "500 rate=0.3", "500 once role=worker", "400 rate=0.2 role=worker", "empty rate=0.2 role=worker", "reset rate=0.2",
    "truncated rate=0.3", "malformed once", "malformed always", "429 rate=0.3 retry_after=0.5", "disconnect rate=0.3",
    "500 always role=synthesizer", "fenced once", "prose once", "html rate=0.1", "500 always role=orchestrator",
    "quota rate=0.1", "401 always", "400 always role=worker",
)  # fmt: skip


def scene(seed: int) -> tuple[Studio, Studio, str, random.Random]:
    """A random workflow, the same one as it is resumed with, and a task."""
    dice = random.Random(seed)
    simulator = Simulator(
        seed=seed,
        faults=tuple(parse_fault(fault) for fault in dice.sample(FAULTS, dice.choice((0, 0, 1, 2)))),
        ttft=dice.choice((0.1, 0.5)),
        tokens_per_second=dice.choice((50.0, 500.0)),
        length=dice.choice((20, 80)),
    )
    spare = ("down:w", "sim:w2") if dice.random() < 0.4 else ("sim:w",)
    workers = {
        name: Role(dice.choice((spare, ("sim:w",))), options=dice.choice(({}, {"max_tokens": 30}, {"max_tokens": 400})))
        for name in ("draft", "proof", "check")[: dice.randint(1, 3)]
    }
    limits = Limits(
        parallel=dice.choice((2, 8, 64)),
        max_subtasks=dice.choice((64, 64, 64, 3)),
        attempts=dice.choice((1, 3)),
        hedge=dice.choice((0, 0, 0.2)),
        tokens=dice.choice((None, None, None, None, 9000, 14000)),
        budget=dice.choice((None, None, None, None, Decimal("0.08"), Decimal("0.2"))),
        deadline=dice.choice((None, None, None, 0.6, 2.0, 4.0)),
    )
    count = dice.choice((1, 4, 8, 12))
    task = f"Compare teas in exactly {count} subtasks" + (" with needs" if dice.random() < 0.6 else "")
    price = Price(Decimal(dice.choice((1, 5))), Decimal(10))

    def studio(limits: Limits) -> Studio:
        made = Studio(
            Workflow(
                Role("sim:o"),
                workers,
                dice.choice((Role("sim:s"), Role("sim:s"), Role("sim:s", options={"max_tokens": 60}), None)),
                limits=limits,
                memory=Memory(reuse=dice.choice(("run", "run", "off"))),
                providers={"sim": simulator, "down": Simulator(faults=(parse_fault("500"),))},
                prices=dict.fromkeys(("sim:o", "sim:w", "sim:w2", "sim:s", "down:w"), price),
            )
        )
        made.flow.jitter = random.Random(seed).uniform
        return made

    return studio(limits), studio(replace(limits, tokens=None, budget=limits.budget, deadline=None)), task, dice


async def story(seed: int) -> list[Entry]:
    """A random run: killed and resumed perhaps, or the rerun of another."""
    first, then, task, dice = scene(seed)
    kill = dice.choice((None, None, 0.3, 1.0, 2.5))
    rows = await first.new(task, kill=kill)
    while rows and kill is not None and not isinstance(rows[-1].event, e.RunFinished):
        kill = dice.choice((None, None, 1.0, 0.5))
        rows = await dice.choice((first, then)).resumed(rows, kill=kill)
    run = recording_of(rows).run
    if run.status == "finished" and run.plan.subtasks and dice.random() < 0.4:
        ids = [subtask.id for subtask in run.plan.subtasks]
        wanted = dice.choice(({"fresh": (ids[-1],)}, {"only": (ids[0],)}, {}))
        rows = await then.rerun(rows, **wanted)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_whatever_happened_in_a_run_a_replay_comes_to_the_same(block: int) -> None:
    for seed in range(block * 50, block * 50 + share(50, 8)):
        virtually(one(seed))


@pytest.mark.parametrize("seed", [84, 152, 251, 1212, 1607, 2065, 3308, 11748, 20787, 23241])
def test_a_run_that_a_replay_once_told_differently_comes_out_the_same(seed: int) -> None:
    virtually(one(seed))


async def one(seed: int) -> None:
    recording = recording_of(await story(seed))
    run, error, differences = await replayed(recording)
    before = recording.run
    if before.status == "failed" and not before.plan.subtasks and isinstance(error, MissingRecord):
        return  # what a plan said until it broke off is not recorded
    assert not differences, (seed, differences)
    assert (run.answer, run.coverage, run.results) == (before.answer, before.coverage, before.results), seed
    assert (before.error is None) == (error is None), (seed, before.error, error)
    assert before.error is None or (before.error, before.error_type) == (str(error), type(error).__name__), seed


async def events_of(stream: ReplayStream) -> list[tuple[float, e.AnyEvent]]:
    async with stream as events:
        return [(clock(), event) async for event in events]


PLAIN = Workflow(
    "sim:o", {"draft": "sim:w", "proof": "sim:w"}, "sim:s", providers={"sim": Simulator(ttft=0.5, length=100)}
)
TASK = "Compare teas in exactly 6 subtasks with needs"


def test_a_replay_tells_the_same_events_in_the_same_order_under_the_same_id() -> None:
    async def main() -> None:
        rows = await Studio(PLAIN).new(TASK)
        told = [event for _, event in await events_of(ReplayStream(recording_of(rows))) if event.stored]
        assert {event.run for event in told} == {rows[0].event.run}
        assert [event.kind for event in told[:3]] == ["run_started", "call_started", "subtask_planned"]
        for kind in ("call_finished", "subtask_finished", "subtask_planned", "plan_finished", "run_finished"):
            of_kind = [[event for event in each if event.kind == kind] for each in (told, [r.event for r in rows])]
            whose = [[getattr(event, "subtask", None) for event in each] for each in of_kind]
            assert whose[0] == whose[1]
        assert all(event.reused for event in told if isinstance(event, e.CallFinished))

    virtually(main())


def test_at_once_a_replay_takes_no_time_and_timed_the_time_that_was_recorded() -> None:
    async def main() -> None:
        rows = await Studio(PLAIN).new(TASK)
        began = clock()
        at_once = await events_of(ReplayStream(recording_of(rows)))
        assert clock() == began
        assert sum(isinstance(event, e.AnswerDelta) for _, event in at_once) == 1
        timed = await events_of(ReplayStream(recording_of(rows), timed=True))
        start = datetime.fromisoformat(rows[0].event.at)
        ends = ("call_finished", "subtask_finished", "run_finished")
        recorded = [datetime.fromisoformat(row.event.at) - start for row in rows if row.event.kind in ends]
        taken = [at - began for at, event in timed if event.kind in ends]
        assert taken == pytest.approx([each.total_seconds() for each in recorded], abs=0.002)
        assert sum(isinstance(event, e.AnswerDelta) for _, event in timed) > 10
        for told in (at_once, timed):
            said = "".join(event.text for _, event in told if isinstance(event, e.AnswerDelta))
            assert said == recording_of(rows).run.answer

    virtually(main())


def test_a_run_that_never_finished_is_replayed_up_to_the_first_call_that_is_not_recorded() -> None:
    async def main() -> None:
        rows = await Studio(PLAIN).new(TASK)
        asked = [row.event for row in rows if isinstance(row.event, e.CallFinished) and row.event.role == "worker"]
        stop = asked[2].seq or 0
        run, error, differences = await replayed(recording_of(rows[: stop - 1]))
        assert isinstance(error, MissingRecord)
        assert "the call of subtask" in str(error)
        assert "that broke off, or the run ended before it was whole" in str(error)
        assert asked[0].subtask in run.results
        assert not differences
        _, error, _ = await replayed(recording_of(rows[:2]))
        assert "the call of the orchestrator (sim:o) is not recorded" in str(error)
        run, error, _ = await replayed(recording_of(rows[:-1]))  # killed at the very end
        assert (error, run.answer) == (None, recording_of(rows).run.answer)

    virtually(main())


def test_a_request_that_is_not_the_recorded_one_is_said_with_what_is_different() -> None:
    async def main() -> None:
        recording = recording_of(await Studio(PLAIN).new("Compare teas in exactly 2 subtasks"))
        definition = recording.definition
        changes: list[tuple[dict[str, Any], str]] = [
            ({"orchestrator": Role("sim:other")}, "the orchestrator .* its model is sim:other, recorded is sim:o"),
            (
                {"synthesizer": Role("sim:s", options={"temperature": 1})},
                "option temperature is 1, recorded is not set",
            ),
            (
                {"synthesizer": Role("sim:s", system="Be curt.")},
                "its system prompt differs from character 1 on: 'Be curt",
            ),
            (
                {"workers": dict.fromkeys(definition.workers, Role("sim:w", "Do it: {task_description}"))},
                "subtask t[12] .* its prompt differs from character 1 on: 'For all parts.*, recorded is 'Task: Compare",
            ),
        ]
        for change, said in changes:
            with pytest.raises(MissingRecord, match=said):
                async with ReplayStream(recording, replace(definition, **change)) as events:
                    await events.finished()

    virtually(main())


def test_a_workflow_without_a_worker_of_the_plan_does_not_wait_for_its_calls() -> None:
    async def main() -> None:
        rows = await Studio(PLAIN).new(TASK)
        plan = replace(recording_of(rows).run.basis, plan=recording_of(rows).run.plan)
        rows[0] = msgspec.structs.replace(rows[0], event=replace(rows[0].event, basis=plan))
        recording = recording_of(rows)
        workers = {"proof": Role("sim:w"), "other": Role("sim:w")}
        with pytest.raises(StrettoError):
            async with ReplayStream(recording, replace(recording.definition, workers=workers)) as events:
                await events.finished()

    virtually(main())


def test_a_plan_that_is_read_otherwise_than_it_was_does_not_wait_for_subtasks_that_are_no_more() -> None:
    async def main() -> None:
        quick = Role("sim:fast")
        flow = Workflow("sim:o", {"draft": quick, "proof": quick}, "sim:s", providers={"sim": Simulator(length=10)})
        rows = await Studio(flow).new("Compare teas in exactly 12 subtasks")
        ended = [row.event.role for row in rows if isinstance(row.event, e.CallFinished)]
        assert ended[0] == "worker"  # before the plan
        (plan,) = (n for n, row in enumerate(rows) if row.reply and '"tasks"' in row.reply.text)
        reply = rows[plan].reply
        assert reply is not None
        told = msgspec.json.decode(reply.text)
        told["tasks"] = told["tasks"][4:]
        rows[plan] = replace(rows[plan], answered=msgspec.json.encode(replace(reply, text=json.dumps(told))))
        run, error, _ = await replayed(recording_of(rows))
        assert len(run.plan.subtasks) < 12
        assert isinstance(error, MissingRecord)

    virtually(main())


# -- over a store


FAST = Simulator(ttft=0.0, tokens_per_second=1e6, length=20)


def flow(path: Path | None, memory: Memory | None = None) -> Workflow:
    return Workflow("sim:o", {"a": "sim:w"}, "sim:s", store=path, providers={"sim": FAST}, memory=memory)


def test_nothing_is_asked_and_no_key_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served() as (url, provider):
        box = {"box": Provider(url, key_env="BOX_KEY")}
        monkeypatch.setenv("BOX_KEY", "hush")
        theirs = Workflow("box:fast", {"a": "box:fast"}, "box:fast", store=tmp_path / "s.db", providers=box)
        first = theirs.run_sync(TASK)
        asked = provider.asked.total()
        assert asked == 8
        monkeypatch.delenv("BOX_KEY")
        before = file_of(tmp_path / "s.db", first.id)
        again = asyncio.run(finished(theirs, first.id))
        assert (again.id, again.answer, again.coverage, again.results) == (
            first.id,
            first.answer,
            first.coverage,
            first.results,
        )
        assert provider.asked.total() == asked
    assert file_of(tmp_path / "s.db", first.id) == before
    assert len(Store(tmp_path / "s.db").recent()) == 1


def file_of(path: Path, run: str) -> bytes:
    return b"".join(exported(path, run))


async def finished(workflow: Workflow, run: str) -> Run:
    async with workflow.replay(run) as events:
        return await events.finished()


def test_what_is_not_there_cannot_be_replayed(tmp_path: Path) -> None:
    flow(tmp_path / "s.db").run_sync(TASK)
    with pytest.raises(RunNotFound):
        flow(tmp_path / "s.db").replay("01NONE")
    with pytest.raises(ConfigError, match="replayed from a store"):
        flow(None).replay("01NONE")


def test_a_run_that_kept_no_texts_is_not_replayed_but_travels(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    run = flow(path, Memory(record="usage")).run_sync(TASK)
    with pytest.raises(MissingRecord, match="kept no texts"):
        flow(path).replay(run.id)
    imported(tmp_path / "to.db", read_parcel(BytesIO(file_of(path, run.id)), "file"))
    assert file_of(tmp_path / "to.db", run.id) == file_of(path, run.id)


def test_what_a_function_did_is_replayed_without_it(tmp_path: Path) -> None:
    done: list[str] = []

    def measure(subtask: Subtask) -> str:
        done.append(subtask.id)
        return f"{subtask.id} is {len(done)}"

    measure.__qualname__ = "measure"
    theirs = Workflow("sim:o", {"a": measure}, "sim:s", store=tmp_path / "s.db", providers={"sim": FAST})
    first = theirs.run_sync(TASK)
    assert len(done) == 6
    assert asyncio.run(finished(flow(tmp_path / "s.db"), first.id)).results == first.results
    assert len(done) == 6


def test_identical_calls_that_were_each_asked_are_each_answered_as_they_were(tmp_path: Path) -> None:
    async def main() -> None:
        off = flow(tmp_path / "s.db", memory=Memory(reuse="off"))
        plan = {"tasks": [{"type": "a", "description": "Write"}] * 3}
        async with off.stream(TASK, plan=plan) as events:
            first = await events.finished()
        again = await finished(off, first.id)
        assert again.results == first.results
        assert again.plan == first.plan

    asyncio.run(main())


# -- the command


def test_replay_by_command(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    run = terminal("run", "-q", "-m", "sim:instant", TASK)
    again = terminal("replay", "--last")
    assert (again.code, again.out) == (0, run.out)
    assert "from its records: nothing is asked" in again.err
    assert "reused" in again.err
    told = terminal("replay", "--last", "--json").events
    assert (told[0]["kind"], told[-1]["kind"]) == ("run_started", "run_finished")
    assert {event["run"] for event in told} == {terminal.run_id()}
    assert terminal("replay", "--last", "-q", "-o", "answer.md").out == ""
    assert (tmp_path / "answer.md").read_text() == run.out


def test_the_exit_code_is_that_of_the_run(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    for fault, code in (("400 match=t1", None), ("500 always role=synthesizer", 4), ("400 role=worker", 1)):
        terminal.write("stretto.toml", f'[providers.sim]\nfaults = ["{fault}"]\n[limits]\nattempts = 1\n')
        first = terminal("run", "-q", "-m", "sim:instant", TASK)
        again = terminal("replay", "-q", "--last")
        assert code is None or first.code == code
        assert (again.code, again.out) == (first.code, first.out)


def test_a_replay_that_comes_out_differently_says_so(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", TASK)
    (finished,) = (line for line in terminal("export", "--last").out.splitlines() if '"run_finished"' in line)
    edited = terminal("export", "--last").out.replace(finished, finished.replace('"answer":"', '"answer":"Not ', 1))
    terminal.write("edited.jsonl", edited)
    terminal("import", "--store", "other.db", "edited.jsonl")
    done = terminal("replay", "--last", "--store", "other.db")
    assert done.code == 1
    assert "the replay differs from the run: the answer is another one" in done.err


def test_a_call_that_is_not_recorded_is_named(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal("run", "-q", "-m", "sim:instant", TASK)
    header, *lines = terminal("export", "--last").out.splitlines()
    some = lines[: next(n for n, line in enumerate(lines) if '"role":"worker"' in line)]
    short = header.partition('"events":')[0] + f'"events":{len(some)}}}'
    terminal.write("short.jsonl", "\n".join([short, *some]) + "\n")
    terminal("import", "--store", "other.db", "short.jsonl")
    done = terminal("replay", "--last", "--store", "other.db")
    assert done.code == 1
    assert "the call of subtask t1 (sim:instant) is not recorded" in done.err
