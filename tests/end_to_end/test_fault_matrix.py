"""What a user gets when something goes wrong: every fault, for every role, in virtual time."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from drawn import whole
from simulated import simulator_of
from stretto import Fault, Limits, Run, Simulator, Workflow
from stretto.errors import ServerError, StrettoError
from stretto.models.simulator import SimulatedProvider, parse_fault
from stretto.models.simulator.settings import Grain
from virtual import clock, virtually

TASK = "Describe tea in 6 subtasks."
LAST = "Cover the risks and limits"
"""How the description of the last subtask begins, the one for which everything waits at the end."""

ROLES = {
    "orchestrator": "role=orchestrator",
    "one worker": f"role=worker match='{LAST}'",
    "all workers": "role=worker",
    "synthesizer": "role=synthesizer",
}

# A cell: what became of the subtasks and whatever else is not whole, or the error of the run; then the least and the
# most seconds it may take longer than the undisturbed run, whose four phases take about 11. A call that fails costs its
# first 0.4 s and, before it is asked again, a wait of at most 0.5, 1 and 2 s; a call may take 600 s.
MATRIX = """
fault              orchestrator                         one worker                    all workers            synthesizer
429 once           6 done +1..4                         6 done +1..4                  6 done +1..4           6 done +1..4
429 for=20s        6 done +19..25                       6 done +19..25                6 done +19..25         6 done +19..25
500 twice          6 done +0.7..2.4                     6 done +0.7..2.4              6 done +0.7..2.4       6 done +0.7..2.4
500 always         directly -7..-1                      5 done, 1 failed -1..4        WorkError -6..3        6 done, answer unmerged -4..0
500 for=20s        directly -7..-1                      5 done, 1 failed -1..4        WorkError -6..3        6 done, answer unmerged -4..0
reset once         6 done +0.3..1.0                     6 done +0.3..1.0              6 done +0.3..1.0       6 done +0.3..1.0
reset always       ConnectError -10..-5                 5 done, 1 failed -1..4        WorkError -7..-2       6 done, answer unmerged -4..0
disconnect once    6 done +1..2                         6 done +1..2                  6 done +1..2           6 done +2..4
disconnect always  3 done, plan incomplete -3..-2       5 done, 1 failed +2..7        WorkError +2..12       6 done, answer unmerged +5..10
silence once       6 done +595..601                     6 done +595..601              6 done +595..601       6 done +595..601
silence always     3 done, plan incomplete +1190..1200  5 done, 1 failed +2390..2405  WorkError +4785..4805  6 done, answer unmerged +2390..2405
trickle once       6 done +590..601                     6 done +595..601              6 done +595..601       6 done +595..601
trickle always     6 done +590..601                     5 done, 1 failed +2390..2405  WorkError +4785..4805  6 done, answer unmerged +2390..2405
html once          directly -9..-8                      5 done, 1 failed -3..0        WorkError -7..-6       6 done, answer unmerged -6..-4
empty once         6 done +0.3..1.0                     6 done +0.3..1.0              6 done +0.3..1.0       6 done +0.3..1.0
empty always       directly -9..-6                      5 done, 1 failed -4..1        WorkError -9..-4       6 done, answer unmerged -6..-3
truncated once     6 done +1..2                         5 done, 1 truncated -1..1     6 truncated +1..3      6 done, answer truncated -3..-2
truncated always   4 done, plan incomplete -2..0        5 done, 1 truncated -1..1     6 truncated +1..3      6 done, answer truncated -3..-2
malformed once     6 done +0..1                         -                             -                      -
malformed always   6 done +0..1                         -                             -                      -
fenced always      6 done +0..1                         -                             -                      -
schema once        6 done +0..2                         6 done -1..1                  6 done -3..0           6 done -1..1
schema always      directly -8..-5                      6 done -1..1                  6 done -3..0           6 done -1..1
huge once size=1MB 6 done +0..1                         6 done +0.5..4                6 done +0.5..4         6 done +0.1..0.5
huge once size=2MB 6 done +0..1                         6 done +1..8                  6 done +1..8           6 done +0.2..1
loops once         6 done +0..1                         5 done, 1 truncated +50..60   6 truncated +50..60    6 done, answer truncated +1..8
"""  # noqa: E501 - a table is read in rows

LONG = whole("", "huge once size=2MB")
CELL = re.compile(r"(.+) ([+-][\d.]+)\.\.(-?[\d.]+)")


class Cell(Struct, frozen=True):
    """What is expected of one fault in one place."""

    fault: str
    role: str
    gets: str
    least: float
    most: float


def cells() -> Iterator[Cell]:
    header, *rows = MATRIX.strip().splitlines()
    starts = [header.index(name) for name in ROLES]
    for row in rows:
        fault = row[: starts[0]].strip()
        if fault == LONG:
            continue
        for role, start, end in zip(ROLES, starts, [*starts[1:], None], strict=True):
            if (cell := row[start:end].strip()) != "-":
                match = CELL.fullmatch(cell)
                assert match, cell
                yield Cell(fault, role, match[1], float(match[2]), float(match[3]))


class Told(Struct):
    """What a run came to, when it ended, and what its provider saw."""

    run: Run
    error: StrettoError | None
    ended: float
    provider: SimulatedProvider

    @property
    def gets(self) -> str:
        """What the user gets, as the matrix says it."""
        if self.error is not None:
            return type(self.error).__name__
        coverage = self.run.coverage
        said = [f"{count} {outcome}" for outcome, count in coverage.counts.items() if count]
        said += ["plan incomplete"] if coverage.plan == "incomplete" and not coverage.direct else []
        said += ["directly"] if coverage.direct else []
        return ", ".join([*said, *([f"answer {coverage.answer}"] if coverage.answer != "complete" else [])])


def carried(*faults: Fault) -> Told:
    """One run on a simulator where nothing varies but what goes wrong."""
    grain: Grain = (
        "token" if any(fault.kind == "loops" for fault in faults) else "line"
    )  # a loop has one line, at its end
    simulator = Simulator(ttft_spread=0, length_spread=0, grain=grain, faults=faults)
    flow = Workflow("sim:x", {"part": "sim:x"}, "sim:x", providers={"sim": simulator})

    async def main() -> Told:
        error = None
        async with flow.stream(TASK) as events:
            try:
                await events.finished()
            except StrettoError as raised:
                error = raised
            return Told(events.run, error, clock(), simulator_of(flow))

    return virtually(main())


@pytest.fixture(scope="module")
def undisturbed() -> Told:
    return carried()


@pytest.mark.parametrize("cell", list(cells()), ids=lambda cell: f"{cell.fault}-{cell.role}")
def test_the_user_gets_what_the_matrix_says_as_soon_as_it_says_and_pays_nothing_twice(
    cell: Cell, undisturbed: Told
) -> None:
    told = carried(parse_fault(f"{cell.fault} {ROLES[cell.role]}"))
    assert told.gets == cell.gets
    assert cell.least <= told.ended - undisturbed.ended <= cell.most
    assert set(told.provider.completed.values()) <= {1}
    assert told.provider.in_flight == 0
    if told.error is None:
        assert told.run.answer
        missing = told.run.coverage.missing
        assert all(one.reason and f"({one.outcome}: {one.reason})" in told.run.answer for one in missing)
        assert cell.role != "one worker" or [one.subtask for one in missing] == ["t6"] * len(missing)
        assert told.run.coverage.complete == (cell.gets == "6 done")


def test_the_undisturbed_run_is_whole(undisturbed: Told) -> None:
    assert undisturbed.gets == "6 done"
    assert undisturbed.run.plan.subtasks[-1].description.startswith(LAST)
    assert sorted(undisturbed.provider.completed.values()) == [1] * 8


def test_an_orchestrator_that_fails_for_ever_is_asked_four_times_and_then_the_task_is_answered_directly() -> None:
    told = carried(parse_fault("500 always role=orchestrator"))
    assert told.error is None
    assert list(told.provider.asked.values()) == [4, 1]
    assert [call.finished.attempts for call in told.run.calls if call.finished] == [4, 1]


def test_a_run_whose_every_call_fails_ends_with_the_first_error() -> None:
    told = carried(parse_fault("500 always"))
    assert isinstance(told.error, ServerError)
    assert list(told.provider.asked.values()) == [4, 4]


# What `resume` asks at a provider that is well again, after a run without an answer; the rest was paid and is kept.
FAILED = {
    "500 always": 8,
    "quota always role=orchestrator": 8,
    "500 always role=worker": 7,
    "html once role=worker": 7,
    "quota always role=worker": 7,
}
# The same after a run whose answer was the results themselves, or one direct call.
LESSER = {
    "500 always role=synthesizer": 1,
    "reset always role=synthesizer": 1,
    "html once role=synthesizer": 1,
    "empty always role=synthesizer": 1,
    "disconnect always role=synthesizer": 1,
    "500 always role=orchestrator": 8,
    "schema always role=orchestrator": 8,
}
RESUMED = [*((fault, more, True) for fault, more in FAILED.items()), *((f, more, False) for f, more in LESSER.items())]


@pytest.mark.parametrize(("fault", "more", "fails"), RESUMED)
def test_resume_asks_only_what_was_not_completed(fault: str, more: int, fails: bool, tmp_path: Path) -> None:
    def flow(*faults: Fault) -> Workflow:
        providers = {"sim": Simulator(ttft=0, tokens_per_second=1e6, faults=faults)}
        once = Limits(attempts=1)
        return Workflow("sim:x", {"part": "sim:x"}, "sim:x", limits=once, providers=providers, store=tmp_path / "s.db")

    failing, sound = flow(parse_fault(fault)), flow()

    async def main() -> None:
        async with failing.stream(TASK) as events:
            if fails:
                with pytest.raises(StrettoError):
                    await events.finished()
            else:
                coverage = (await events.finished()).coverage
                assert coverage.direct or coverage.answer == "unmerged"
            before = simulator_of(failing).completed
        async with sound.resume(events.run_id) as again:
            run = await again.finished()
            asked = simulator_of(sound).asked
        assert run.coverage.complete
        assert list(asked.values()) == [1] * more
        assert not before.keys() & asked.keys()
        assert run.calls[-1].fingerprint in asked

    asyncio.run(main())


def test_where_only_the_workers_fail_the_task_is_answered_directly() -> None:
    told = carried(parse_fault("500 always role=worker match='Cover'"))  # which a direct call does not say
    assert told.gets == "6 failed, directly"
    assert told.run.answer


@pytest.mark.parametrize("fault", ["reset always", "quota always"])
def test_a_provider_that_would_refuse_again_is_not_asked_directly(fault: str) -> None:
    told = carried(parse_fault(f"{fault} role=worker"))
    assert told.gets == "WorkError"
    assert len(told.provider.asked) == 7  # the plan and six workers
