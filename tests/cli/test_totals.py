"""What the last lines of a run say it came to."""

import pytest

from stories import text_of
from stretto import Coverage, Run, Usage
from stretto import events as e
from stretto.cli.live.drawing import summary_lines
from stretto.cli.live.lines import cells
from stretto.cli.progress import Progress
from stretto.cli.totals import totals
from stretto.fold import fold
from stretto.types import Doubtful


def at(second: float) -> str:
    return f"2026-01-01T00:00:{second:06.3f}Z"


def call(name: str, start: float, end: float, *, reused: bool = False, held: float = 0) -> list[e.AnyEvent]:
    """A call of a worker, that was held back for so long after it had begun."""
    usage = Usage(10, 20)
    told: list[e.AnyEvent] = [
        e.CallStarted(call=name, role="worker", subtask="t1", fingerprint="", model="sim:m", at=at(start)),
        e.CallFinished(
            call=name,
            role="worker",
            subtask="t1",
            fingerprint="",
            model="sim:m",
            usage=usage,
            reused=reused,
            at=at(end),
        ),
    ]
    if held:
        told.insert(1, e.CallRetried(call=name, reason="429", wait=held, attempt=1, rate_limited=True, at=at(start)))
    return told


def run(*calls: list[e.AnyEvent], doubtful: tuple[Doubtful, ...] = ()) -> Run:
    told: list[e.AnyEvent] = [e.RunStarted(run="r1", task="x", workflow={}, at=at(0))]
    told += [event for each in calls for event in each]
    coverage = Coverage(doubtful=doubtful)
    told.append(e.RunFinished(answer="x", usage=Usage(), coverage=coverage, at=at(20)))
    return fold(told)


def test_calls_that_overlapped_are_told_with_what_they_would_have_taken_one_after_another() -> None:
    facts = totals(run(call("c1", 1, 10), call("c2", 1, 11)))
    assert facts[0] == "20.0 s (one after another 19.0 s)"


def test_neither_what_was_held_back_nor_what_was_reused_counts_as_time_of_a_call() -> None:
    facts = totals(run(call("c1", 1, 10, held=4), call("c2", 1, 11), call("c3", 1, 12, reused=True)))
    assert facts[0] == "20.0 s (one after another 15.0 s)"
    assert facts[2] == "3 calls (1 reused, 1 held back)"


def test_of_a_run_that_was_gone_on_with_the_time_is_that_of_its_last_execution() -> None:
    facts = totals(run(call("c1", 1, 4), call("c2", 10, 14), call("c3", 10, 15)), since=at(8))
    assert facts[0] == "12.0 s (one after another 9.0 s)"


def test_doubtful_results_are_told_before_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = (
        Doubtful("t1", "general", "fails", "1900 was\x1b[2J no leap year"),
        Doubtful("t2", "general", "unchecked", ""),
    )
    Progress(quiet=False).summary(run(call("c1", 1, 2), doubtful=found))
    lines = capsys.readouterr().err.splitlines()
    assert "doubtful   t1 (general), its check fails: 1900 was[2J no leap year" in lines[0]
    assert "doubtful   t2 (general), unchecked" in lines[1]
    assert "finished   20.0 s, 0 of 0 subtasks, 1 call" in lines[2]
    Progress(quiet=True).summary(run(call("c1", 1, 2), doubtful=found))
    assert capsys.readouterr().err == "stretto: answered, but doubtful: t1, t2 (stretto show r1 --brief)\n"


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 200])
def test_the_summary_takes_the_lines_it_needs(width: int) -> None:
    done = run(call("c1", 1, 10), call("c2", 1, 11))
    lines = [text_of(line) for line in summary_lines(totals(done), done, width)]
    assert max(map(cells, lines)) <= width
    assert lines[0].startswith("✓ 20.0 s")
    assert lines[-1].endswith("run r1")
    assert len(lines) == 1 or width < 200
