"""Runs that a deadline or a budget cut short come out of a replay as they were, whatever they are made of."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from models import TRIO, carry, plan_of
from recorded import Kept, replayed
from stretto import Definition, Limits, Role, Run, RunStream, Simulator, Usage, Workflow
from stretto import events as e
from stretto.calls import Call, Chunk, Done, Model, Sent, Text
from stretto.engine import Execution
from stretto.errors import CallError, StrettoError
from stretto.ground.ids import new_ulid
from stretto.policies.account import Account
from stretto.replay import recording_of
from stretto.run.team import Team
from stretto.store.parcel import Entry
from virtual import virtually

INNER = Workflow("sim:a", {"detail": Role("sim:a", samples=2, merge="best")}, "sim:a", limits=Limits(rounds=2))
PARTS = {
    "ensembles": Role("sim:a", samples=3, merge="synthesize", check="Is it right?"),
    "checks": Role("sim:a", check="Is it right?"),
    "within": Role(workflow=INNER.definition, check="Is it right?"),
    "condensing": Role("sim:a", context=4000),
}


async def carried(stream: RunStream) -> Run:
    async with stream as events:
        try:
            return await events.finished()
        except StrettoError:
            return events.run


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("limits", [Limits(deadline=0.06), Limits(deadline=0.15), Limits(tokens=9000)])
@pytest.mark.parametrize("rounds", [1, 3])
def test_a_run_cut_short_is_replayed_as_it_was(tmp_path: Path, name: str, limits: Limits, rounds: int) -> None:
    limits = Limits(deadline=limits.deadline, tokens=limits.tokens, rounds=rounds)
    long = 700.0 if name == "condensing" else 12.0
    simulator = Simulator(ttft=0.003, ttft_spread=0.8, tokens_per_second=9000, length=long, doubts=0.5)
    writer = Role("sim:a", context=3500) if name == "condensing" else Role("sim:a")
    workflow = Workflow(
        writer, {"part": PARTS[name]}, writer, limits=limits, providers={"sim": simulator}, store=tmp_path / "s.db"
    )

    async def main() -> None:
        run = await carried(workflow.stream("Compare teas in exactly 3 subtasks with needs"))
        replay = workflow.replay(run.id)
        async with asyncio.timeout(20):
            again = await carried(replay)
        assert replay.differences == []
        assert (again.status, again.error) == (run.status, run.error)
        assert again.results == run.results

    asyncio.run(main())


def test_that_no_further_round_is_planned_is_told() -> None:
    def slow(call: Call, _: int) -> list[Any]:
        return [plan_of("a", "b")] if call.role == "orchestrator" else [10.0, "late"] if call.subtask == "t2" else ["x"]

    told = carry(slow, replace(TRIO, limits=Limits(rounds=3, deadline=8)))
    assert [call.role for call in told.run.calls].count("orchestrator") == 1
    assert "deadline: no further round is planned" in told.run.coverage.degraded


LATE = "late"
"""Of a call: the deadline comes while it is under way; of `QUEUED`, before its request leaves."""
QUEUED = "queued"
TEA = "Say what is to be known of green, white and black tea."
PLAN, SHORT, NONE = plan_of("green", "white"), plan_of("green", "white", "black")[:-40], "I have no plan."
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ENDS: dict[str, tuple[dict[str, Sequence[str]], Definition]] = {
    "the answer": ({"synthesizer": ["$"]}, TRIO),
    "an answer that only says its task, asked for again": ({"synthesizer": [TEA, "$"]}, TRIO),
    "an answer that must fit, asked for again": (
        {"synthesizer": ["{}", "$"]},
        replace(TRIO, synthesizer=Role("sim:s", schema=SCHEMA)),
    ),
    "an answer without a plan": ({"orchestrator": [NONE], "synthesizer": ["$"]}, TRIO),
    "an answer without results": ({"worker": ["!"], "synthesizer": ["$"]}, TRIO),
    "a result": ({"t1": ["$"]}, TRIO),
    "a result that only says its prompt, asked for again": ({"t1": ["green", "$"]}, TRIO),
    "a result that only says its task, asked for again": ({"t1": [TEA, "$"]}, TRIO),
    "a result without text, asked for again": ({"t1": ["", "$"]}, TRIO),
    "a result that must fit, asked for again": (
        {"t1": ["{}", "$"], "worker": ['{"a": 1}']},
        replace(TRIO, workers={"part": Role("sim:w", schema=SCHEMA)}),
    ),
    "a check": ({"t1": ["It is green.", "$"]}, replace(TRIO, workers={"part": Role("sim:w", check="Is it right?")})),
    "the rest of a plan": ({"orchestrator": [SHORT, "$"]}, TRIO),
    "a plan after none": ({"orchestrator": [NONE, "$"]}, TRIO),
    "a further round": ({"orchestrator": [PLAN, "$"]}, replace(TRIO, limits=Limits(rounds=2))),
}
"""What the deadline comes upon ($), and what is said before that, by the subtask or else the role; ! is an error."""


class Slow:
    """A model that says one line after another to a subtask or a role, and is slow where it says so."""

    def __init__(self, lines: Mapping[str, Sequence[str]], how: str) -> None:
        self._lines = {
            "orchestrator": [PLAN],
            "worker": ["It is drunk hot."],
            "synthesizer": ["All teas are."],
            **lines,
        }
        self._how = how
        self._asked = Counter[str]()

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        whose = call.subtask if call.subtask in self._lines else call.role
        lines, nth = self._lines[whose], self._asked[whose]
        self._asked[whose] += 1
        line = lines[min(nth, len(lines) - 1)]
        if line == "$" and self._how == QUEUED:
            await asyncio.sleep(100)
        yield Sent()
        if line == "$":
            yield Text(self._how.removeprefix(LATE))
            await asyncio.sleep(100)
        if line == "!":
            raise CallError("sim:w: 400: no")
        yield Text(line)
        yield Done("stop", Usage(1, 1))


async def recorded(model: Model, definition: Definition) -> list[Entry]:
    """What is recorded of a run of ten seconds."""
    rows: list[Entry] = []
    journal = Kept(new_ulid(), rows)
    definition = replace(definition, limits=replace(definition.limits, deadline=10.0))
    record = Team(definition, {"sim": Simulator()}, {}).record()
    journal.append(e.RunStarted(task=TEA, workflow=msgspec.json.decode(msgspec.json.encode(record))))
    try:
        await Execution(definition, journal, lambda _: model, Account(definition.limits), ()).execute()
    except* StrettoError as group:
        (error,) = group.exceptions
        call = error.call if isinstance(error, CallError) else ""
        journal.append(e.RunFailed(error=str(error), error_type=type(error).__name__, call=call))
    return rows


@pytest.mark.parametrize("how", [LATE, f"{LATE}Half of it", QUEUED])
@pytest.mark.parametrize("what", ENDS)
def test_whatever_the_deadline_comes_upon_a_replay_comes_to_the_same(what: str, how: str) -> None:
    async def main() -> None:
        recording = recording_of(await recorded(Slow(ENDS[what][0], how), ENDS[what][1]))
        again, error, differences = await replayed(recording)
        run = recording.run
        assert differences == []
        assert (error and str(error), error and type(error).__name__) == (run.error, run.error_type)
        assert (again.results, again.answer, again.coverage) == (run.results, run.answer, run.coverage)

    virtually(main())


def test_the_log_says_which_calls_were_stopped_by_the_deadline() -> None:
    rows = virtually(recorded(Slow({"t1": ["$"], "synthesizer": ["$"]}, LATE), TRIO))
    ended = [row.event for row in rows if isinstance(row.event, e.CallFinished)]
    assert {(call.subtask or call.role, call.finish, call.code) for call in ended} == {
        ("orchestrator", "stop", ""),
        ("t1", "stopped", "deadline"),
        ("t2", "stop", ""),
        ("synthesizer", "stopped", "deadline"),
    }


@pytest.mark.parametrize("what", ["the answer", "a result", "a check", "a plan after none", "a further round"])
def test_a_log_from_before_calls_had_codes_is_replayed(what: str) -> None:
    def uncoded(row: Entry) -> Entry:
        event = row.event
        return replace(row, event=replace(event, code="")) if isinstance(event, e.CallFinished) else row

    async def main() -> None:
        rows = [uncoded(row) for row in await recorded(Slow(ENDS[what][0], LATE), ENDS[what][1])]
        _, _, differences = await replayed(recording_of(rows))
        assert differences == []

    virtually(main())
