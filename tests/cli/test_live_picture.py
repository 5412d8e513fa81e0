"""The picture of a run: each state of it, as it stands on a screen.

To renew the screens: `GOLDEN=renew uv run pytest tests/cli/test_live_picture.py`, then read `git diff tests/golden`.
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import examples
from places import GOLDEN
from stories import Story, text_of
from stretto import Usage
from stretto import events as e
from stretto.cli.live.lines import cells, clipped, cut, painted
from stretto.fold import fold
from stretto.views.timeline.past import timeline_of
from stretto.views.timeline.timeline import Timeline, reach

PICTURES = GOLDEN / "live"
TIMES = "\N{MULTIPLICATION SIGN}"
HOSTILE = "\x1b[2J\x1b]0;title\x07Draw\r\n\ta line \u202eback\u0000 and on"


def five() -> Story:
    story = Story()
    story.plan(1.6, 5, until=1.5)
    story.planned(0.5, "t1", "research", "Find what both cities charge for their halls")
    story.planned(0.7, "t2", "research", "Find how guests get there")
    story.planned(0.9, "t3", "reckon", "Add up a week for 800 guests", ("t1", "t2"))
    story.planned(1.1, "t4", "research", "The weather in May")
    story.planned(1.4, "t5", "research", "What else is on in that week")
    for at, id_ in ((0.5, "t1"), (0.7, "t2"), (1.1, "t4")):
        story.asked(at, id_, model="groq:openai/gpt-oss-20b")
    story.picture.take(e.SubtaskStarted(subtask="t5"), 1.4)
    story.answered(2.6, "t1", model="groq:openai/gpt-oss-20b")
    story.ended(2.6, "t1")
    story.again(1.9, "t4", 3.0, rate_limited=True)
    return story


def parts() -> Story:
    """What a subtask may be at, beside its work itself."""
    story = Story()
    story.plan(1.0, 6)
    for id_ in ("held", "again", "twice", "check", "merge", "long", "first"):
        story.planned(0.5, id_)
        story.asked(1.0, id_)
    story.again(1.5, "held", 2.4, rate_limited=True)
    story.again(1.5, "again", 0.4, attempt=3)
    story.again(1.5, "twice", 0.0, duplicate=True)
    story.answered(1.6, "check")
    story.asked(1.6, "check", "check")
    story.answered(1.6, "merge")
    for number in (1, 2, 3):
        story.asked(1.1, "merge", f"reply {number}")
        story.answered(1.6, "merge", f"reply {number}")
    story.asked(1.7, "merge", "merge")
    story.answered(1.6, "long")
    story.ended(1.6, "long")
    story.asked(1.7, "long", "condense")
    return story


def ends() -> Story:
    """Every way in which a subtask ends."""
    story = Story()
    story.plan(1.0, 9)
    for id_ in ("good", "right", "wrong", "unsure", "truncated", "cut", "failed", "skipped", "stored", "stopped"):
        story.planned(0.5, id_)
    for id_ in ("good", "right", "wrong", "unsure", "truncated", "cut", "failed", "stored", "stopped"):
        story.asked(1.0, id_)
    for id_ in ("good", "right", "wrong", "unsure", "truncated", "cut"):
        story.answered(2.0, id_)
    story.answered(2.0, "stored", reused=True)
    story.answered(2.0, "failed", error="x", usage=None)
    story.ended(2.0, "good")
    story.ended(2.0, "stored")
    story.ended(2.0, "right", verdict="holds")
    story.ended(2.0, "wrong", verdict="fails", remark="1900 was no leap year")
    story.ended(2.0, "unsure", verdict="unchecked", remark="the checker was not to be reached")
    story.ended(2.0, "truncated", "truncated", error="the reply met its token limit")
    story.ended(2.0, "cut", "cut", error="the deadline came")
    story.ended(2.0, "failed", "failed", error="sim: HTTP 500, asked 3 times")
    story.ended(2.0, "skipped", "skipped", error="needs failed, which is not done")
    story.picture.take(e.RunInterrupted(), 2.5)
    return story


def within() -> Story:
    """Workflows within subtasks: one under way, one finished."""
    story = Story()
    story.plan(1.0, 2)
    for id_ in ("t1", "t2"):
        story.planned(0.5, id_, "deep")
        story.asked(0.6, id_, "plan")
        story.answered(1.0, id_, "plan")
        for own in ("t1", "t2", "t3"):
            story.planned(0.9, f"{id_}/{own}", "detail", needs=("t2",) if own == "t3" else ())
            if own != "t3":
                story.asked(1.0, f"{id_}/{own}")
    for own in ("t1", "t2"):
        story.answered(2.0, f"t1/{own}")
        story.ended(2.0, f"t1/{own}")
    story.asked(2.0, "t1", "answer")
    story.answered(2.4, "t1", "answer")
    story.ended(2.4, "t1")
    return story


def rounds() -> Story:
    story = Story()
    story.plan(1.0, 1)
    story.planned(0.5, "t1")
    story.asked(0.5, "t1")
    story.answered(2.0, "t1")
    story.ended(2.0, "t1")
    story.asked(2.0, None, role="orchestrator", model="openai:gpt-5")
    story.planned(2.5, "t2", text="Settle what is open")
    story.answered(3.0, None, role="orchestrator", model="openai:gpt-5")
    story.picture.take(e.PlanFinished(state="bounded", subtasks=1, round=2), 3.0)
    return story


def crowd(*, failed: int = 3, running: int = 40, done: int = 240, waiting: int = 217) -> Story:
    """500 subtasks of three types."""
    story = Story()
    story.plan(4.0, done + failed + running + waiting)
    kinds = ("research", "reckon", "draw")
    for number in range(done + failed + running + waiting):
        story.planned(0.5, f"t{number + 1}", kinds[number % 3])
    for number in range(done + failed + running):
        id_ = f"t{number + 1}"
        story.asked(1.0 + number / 50, id_)
        if number >= done + failed:
            continue
        at = 3.0 + number / 40
        story.answered(at, id_, error="x" if number < failed else None)
        story.ended(at, id_, "failed" if number < failed else "done", error="HTTP 500" if number < failed else None)
    return story


def answering() -> Story:
    story = five()
    for id_ in ("t2", "t4"):
        story.answered(6.0, id_)
        story.ended(6.0, id_)
    story.asked(6.2, None, role="synthesizer", model="openai:gpt-5")
    return story


SCREENS: dict[str, Callable[[], str]] = {
    "planning": lambda: Story().drawn(0.2) + begun().drawn(0.4),
    "five": lambda: five().drawn(3.2),
    "five-80": lambda: five().drawn(3.2, 80),
    "five-60": lambda: five().drawn(3.2, 60),
    "five-40": lambda: five().drawn(3.2, 40),
    "five-20": lambda: five().drawn(3.2, 20),
    "five-200": lambda: five().drawn(3.2, 200),
    "five-of-4-lines": lambda: five().drawn(3.2, 80, 4),
    "parts": lambda: parts().drawn(2.0, 80),
    "ends": lambda: ends().drawn(2.5, moving=False),
    "within": lambda: within().drawn(3.0, 80),
    "rounds": lambda: rounds().drawn(3.2, 80),
    "answering": lambda: answering().drawn(7.0, 80),
    "crowd-500": lambda: crowd().drawn(10.0, 100, 30),
    "crowd-500-of-10-lines": lambda: crowd().drawn(10.0, 80, 10),
    "crowd-500-20-columns": lambda: crowd().drawn(10.0, 20, 8),
    "crowd-500-many-failed": lambda: crowd(failed=100, done=143).drawn(10.0, 80, 16),
    "crowd-40-that-wait": lambda: crowd(failed=0, running=4, done=8, waiting=28).drawn(5.0, 80, 20),
    "wide-and-hostile": lambda: wide().drawn(3.0, 60) + wide().drawn(3.0, 24),
}


def begun() -> Story:
    story = Story()
    story.asked(0.0, None, role="orchestrator")
    return story


def wide() -> Story:
    story = Story()
    story.planned(0.5, "研究", "調査", "两个城市的会议厅各有多少座位,价格如何,五月份是否有空")
    story.planned(0.5, "t2", "🎉🎉", "👩‍👩‍👧 🇩🇪 ❤️ e\u0301tude: " + "🎉" * 60)
    story.planned(0.5, "t\x1b[2J3", "ty\x07pe", HOSTILE, ("研究",))
    story.asked(1.0, "研究", model="local:模型-模型-模型-模型")
    story.ended(2.0, "t2", "failed", error=HOSTILE)
    return story


@pytest.mark.parametrize("name", SCREENS)
def test_the_screen_is_as_it_was_read(name: str) -> None:
    path, screen = PICTURES / f"{name}.txt", SCREENS[name]()
    if os.environ.get("GOLDEN") == "renew":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(screen, encoding="utf-8")
    assert screen == path.read_text(encoding="utf-8")


def test_every_screen_that_is_kept_is_drawn() -> None:
    assert {path.stem for path in PICTURES.iterdir()} == set(SCREENS)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 5, 10, 20, 33, 50, 79, 100, 160, 300])
@pytest.mark.parametrize("height", [0, 1, 2, 3, 7, 24, 60])
def test_no_picture_is_larger_than_its_terminal(width: int, height: int) -> None:
    for story in (five(), parts(), ends(), within(), crowd(), wide(), Story()):
        story.drawn(9.0, width, height)  # which looks


@pytest.mark.slow
def test_everything_that_runs_or_failed_is_to_be_seen_or_counted() -> None:
    for height in range(6, 60):
        screen = crowd().drawn(10.0, 100, height)
        seen = sum(line[:1] == "✗" and TIMES not in line for line in screen.splitlines())
        crowds = [
            int(line.split()[1].rstrip(TIMES)) for line in screen.splitlines() if line[:1] == "✗" and TIMES in line
        ]
        assert seen + sum(crowds) == 3, screen


def test_what_waits_is_told_what_for_until_that_is_finished() -> None:
    story = five()
    assert "after t2 · Add up" in story.drawn(3.0)
    story.answered(3.1, "t2")
    story.ended(3.1, "t2", "failed", error="HTTP 500")
    assert "after" not in story.drawn(3.2)


def test_a_plan_that_is_withdrawn_is_gone_from_the_picture() -> None:
    story = five()
    story.picture.take(e.PlanWithdrawn(reason="asked for again"), 3.0)
    assert "t1" not in story.drawn(3.1)


def test_what_a_run_had_before_it_goes_on_is_in_its_picture() -> None:
    told: list[e.AnyEvent] = [
        e.RunStarted(run="r1", task="x", workflow={}, at="2026-01-01T00:00:00.000Z"),
        e.SubtaskPlanned(subtask="t1", type="general", description="one"),
        e.SubtaskPlanned(subtask="t2", type="general", description="two"),
        e.CallFinished(call="c1", role="worker", subtask="t1", fingerprint="", model="sim:m", usage=Usage(1, 2)),
        e.SubtaskFinished(subtask="t1", outcome="done", text="x"),
    ]
    picture = Timeline()
    picture.go_on(fold(told))
    rows = picture.subtasks
    assert [(row.state, row.tokens) for row in rows.values()] == [("done", 3), ("waiting", 0)]


def test_what_a_run_that_goes_on_takes_from_its_own_records_counts_once() -> None:
    def paid(call: str, fingerprint: str, *, reused: bool) -> e.CallFinished:
        return e.CallFinished(
            call=call,
            role="worker",
            subtask="t1",
            fingerprint=fingerprint,
            model="sim:m",
            usage=Usage(1, 2),
            reused=reused,
        )

    told: list[e.AnyEvent] = [
        e.RunStarted(run="r1", task="x", workflow={}, at="2026-01-01T00:00:00.000Z"),
        e.SubtaskPlanned(subtask="t1", type="general", description="one"),
        paid("c1", "f1", reused=False),
    ]
    picture = Timeline()
    picture.go_on(fold(told))
    picture.take(paid("c2", "f1", reused=True), 0.0)
    assert picture.subtasks["t1"].tokens == 3
    picture.take(paid("c3", "f2", reused=True), 0.0)  # of another run: told as well, if not paid here
    assert picture.subtasks["t1"].tokens == 6


def test_the_picture_of_a_run_that_was_gone_on_with_leaves_out_the_time_between() -> None:
    def at(day: int, second: int) -> str:
        return f"2026-01-{day:02}T00:00:{second:02}.000Z"

    def started(call: str, moment: str) -> e.CallStarted:
        return e.CallStarted(call=call, role="worker", subtask="t1", fingerprint="", model="sim:m", at=moment)

    told: list[e.AnyEvent] = [
        e.RunStarted(run="r1", task="x", workflow={}, at=at(1, 0)),
        e.SubtaskPlanned(subtask="t1", type="general", description="one", at=at(1, 1)),
        started("c1", at(1, 2)),
        e.RunInterrupted(at=at(1, 5)),
        e.RunResumed(workflow={}, at=at(9, 10)),
        started("c2", at(9, 11)),
        e.CallFinished(call="c2", role="worker", subtask="t1", fingerprint="", model="sim:m", at=at(9, 14)),
        e.SubtaskFinished(subtask="t1", outcome="done", at=at(9, 14)),
    ]
    picture, now = timeline_of(told)
    row = picture.subtasks["t1"]
    assert now == 9
    assert row.state == "done"
    assert [(call.start, call.end) for call in row.calls] == [(2, 5), (6, 9)]


def test_the_axis_reaches_to_a_round_number_of_seconds() -> None:
    assert [reach(now) for now in (0, 0.9, 2.5, 11, 46, 61, 700)] == [1, 1, 3, 15, 60, 120, 900]
    assert all(now <= reach(now) for now in range(1, 100_000, 77))


@examples(200)
@given(st.text(), st.integers(0, 30))
def test_a_text_is_never_wider_than_it_is_cut_to(text: str, room: int) -> None:
    assert cells(cut(text, room)) <= room
    assert cells(text_of(clipped([(text, ""), (text, "dim")], room))) <= room


def test_a_line_carries_its_colours_and_ends_without_blanks() -> None:
    assert painted([("ok", "ok"), ("  ", "dim")]) == "\x1b[32mok\x1b[0m"
