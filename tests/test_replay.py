"""A run is replayed from its records: the same answer to the byte, the same gaps, and nobody is asked."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from stretto import Limits, Memory, Price, Role, Simulator, Workflow
from stretto import events as e
from stretto.calls import Call, lasting
from stretto.engine import Execution
from stretto.errors import ConfigError, DeadlineError, MissingRecord, RunNotFound, StrettoError
from stretto.ids import new_ulid
from stretto.models.simulator import parse_fault
from stretto.policies.composition import Composition
from stretto.policies.memo import Replies
from stretto.pool import Pool
from stretto.replay import Recording, ReplayStream, recording_of
from stretto.rerun import Rerun, basis_of, given_results
from stretto.run_stream import open_account
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.parcel import Entry
from stretto.store.sqlite import Store
from stretto.store.travel import entries
from stretto.types import Basis, Definition, Reply, Request, Result
from terminal import Terminal
from virtual import clock, virtually

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Kept(Journal):
    """A journal that keeps its rows in memory, with the time of the loop, so that runs can be recorded virtually."""

    def __init__(self, run: str, rows: list[Entry]) -> None:
        self.rows = rows
        history = [row.event for row in rows]
        super().__init__(run, path=None, show=lambda _: None, history=history)

    def append(self, event: e.AnyEvent, *, request: Request | None = None, reply: Reply | None = None) -> None:
        if event.stored:
            at = (EPOCH + timedelta(seconds=clock())).isoformat(timespec="milliseconds")
            told = replace(event, run=self.run_id, at=at, seq=len(self.rows) + 1)
            asked, answered = (msgspec.json.encode(each) if each else None for each in (request, reply))
            self.rows.append(Entry(told, e.encode(told), asked, answered))
        super().append(event, request=request, reply=reply)


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
        told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.flow.record()))
        return told

    async def _carry(self, journal: Kept, kill: float | None, origin: Sequence[Entry] = ()) -> list[Entry]:
        definition = self.flow.definition
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(self.flow.pool)
            pool.look_up_prices(self.flow.models)
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


def earlier(origin: Sequence[Entry]) -> Callable[[Call], tuple[str, Reply] | None]:
    recorded = replies_of(origin)

    def find(call: Call) -> tuple[str, Reply] | None:
        found = [reply for reply in recorded.get(call.fingerprint, ()) if lasting(reply)]
        return (origin[0].event.run, found[-1]) if found else None

    return find


async def replayed(recording: Recording, *, timed: bool = False) -> tuple[Run, BaseException | None, list[str]]:
    """The run that a replay gives, the error that ended it, and what is different."""
    stream = ReplayStream(recording, timed=timed)
    error = None
    async with stream as events:
        try:
            await events.finished()
        except StrettoError as raised:
            error = raised
    return stream.run, error, stream.differences


FAULTS = (
    "500 rate=0.3", "500 once role=worker", "400 rate=0.2 role=worker", "empty rate=0.2 role=worker", "reset rate=0.2",
    "truncated rate=0.3", "malformed once", "malformed always", "429 rate=0.3 retry_after=0.5", "500 always role=synthesizer",
    "disconnect rate=0.3", "fenced once", "prose once", "html rate=0.1", "500 always role=orchestrator", "quota rate=0.1",
    "401 always", "400 always role=worker",
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
        return Studio(
            Workflow(
                Role("sim:o"),
                workers,
                dice.choice((Role("sim:s"), Role("sim:s"), Role("sim:s", options={"max_tokens": 60}), None)),
                limits=limits,
                memory=Memory(reuse=dice.choice(("run", "run", "off"))),
                providers={"sim": simulator, "down": Simulator(faults=(parse_fault("500"),))},
                prices={name: price for name in ("sim:o", "sim:w", "sim:w2", "sim:s", "down:w")},
                jitter=random.Random(seed).uniform,
            )
        )

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


@pytest.mark.parametrize("block", range(8))
def test_whatever_happened_in_a_run_a_replay_comes_to_the_same(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        virtually(one(seed))


async def one(seed: int) -> None:
    recording = recording_of(await story(seed))
    run, error, differences = await replayed(recording)
    before = recording.run
    assert not differences, (seed, differences)
    assert (run.answer, run.coverage, run.results) == (before.answer, before.coverage, before.results), seed
    assert (before.error is None) == (error is None), (seed, before.error, error)
    assert before.error is None or (before.error, before.error_type) == (str(error), type(error).__name__), seed
