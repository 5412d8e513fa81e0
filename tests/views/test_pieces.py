"""A run in pieces: whoever puts them together has what a page of the whole run has."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stretto import Coverage, Plan, Usage
from stretto import events as e
from stretto.fold import fold
from stretto.ground.text import clean, seemly
from stretto.page.content import content_of, plain
from stretto.page.pieces import Pieces
from stretto.views.timeline.past import timeline_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> str:
    return (BEGAN + timedelta(seconds=second)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def told() -> list[e.AnyEvent]:
    """A run whose first plan is withdrawn, which is interrupted, goes on, and whose second subtask is asked again."""
    plan = {"call": "c1", "role": "orchestrator", "subtask": None, "fingerprint": "p", "model": "sim:x"}
    one, two = (
        {"call": f"c{n}", "role": "worker", "subtask": f"t{n}", "fingerprint": f"f{n}", "model": "sim:x"}
        for n in (2, 3)
    )
    events: list[e.AnyEvent] = [
        e.RunStarted(run="R", at=at(0), task="tea", workflow={}),
        e.CallStarted(at=at(0.1), **plan),  # type: ignore[arg-type]
        e.SubtaskPlanned(at=at(1), subtask="t9", type="x", description="nothing"),
        e.PlanWithdrawn(at=at(2), reason="another", plan=Plan()),
        e.SubtaskPlanned(at=at(3), subtask="t2", type="x", description="boil"),
        e.SubtaskPlanned(at=at(3), subtask="t3", type="x", description="pour", needs=("t2",)),
        e.CallFinished(at=at(3), finish="stop", usage=Usage(5, 5), **plan),  # type: ignore[arg-type]
        e.PlanFinished(at=at(3), state="complete", subtasks=2, analysis="two parts"),
        e.SubtaskStarted(at=at(3), subtask="t2"),
        e.CallStarted(at=at(4), **one),  # type: ignore[arg-type]
        e.RunInterrupted(at=at(5)),
        e.RunResumed(at=at(60), workflow={}),
        e.CallStarted(at=at(61), **one),  # type: ignore[arg-type]
        e.CallFinished(at=at(63), finish="stop", usage=Usage(7, 7), first_token=0.5, **one),  # type: ignore[arg-type]
        e.SubtaskFinished(at=at(63), subtask="t2", outcome="done", text="hot"),
        e.SubtaskStarted(at=at(63), subtask="t3"),
        e.CallStarted(at=at(63), **two),  # type: ignore[arg-type]
        e.CallRetried(at=at(64), reason="HTTP 500", wait=1.0, attempt=2, call="c3", subtask="t3", model="sim:x"),
        e.CallFinished(at=at(66), finish="stop", usage=Usage(7, 7), attempts=2, **two),  # type: ignore[arg-type]
        e.SubtaskFinished(at=at(66), subtask="t3", outcome="done", text="poured"),
        e.RunDegraded(at=at(66), policy="budget", reason="short"),
        e.RunFinished(at=at(67), answer="Tea, **hot**.", usage=Usage(24, 24), coverage=Coverage()),
    ]
    return [event for event in events if event]


def put_together(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    rows: dict[str, Any] = {}
    for piece in pieces:
        rows = {} if piece.get("whole") else rows
        rows |= {row["key"]: row for row in piece["rows"]}
        known = dict(piece) if "id" in piece else known | piece
    return known | {"rows": list(rows.values())}


@given(st.sets(st.integers(1, len(told()) - 1)))
def test_however_a_run_is_cut_its_pieces_make_the_whole(cuts: set[int]) -> None:
    events, pieces, found = told(), Pieces(), []
    places = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(places):
        pieces.take(events[start:end])
        piece = pieces.piece(datetime.fromisoformat(events[end - 1].at))
        assert piece is not None
        found.append(piece)
    timeline, now = timeline_of(events)
    whole = plain(content_of(fold(events), timeline, now, {}))
    for row in whole["rows"]:
        row.pop("result", None)  # long texts are asked for
    told_of = put_together(found)
    assert {key: told_of[key] for key in whole if key != "texts"} == {k: v for k, v in whole.items() if k != "texts"}


def test_what_goes_on_has_no_end_and_where_nothing_happens_nothing_is_told() -> None:
    events, pieces = (
        told()[:10],
        Pieces(lambda call: 40 if call == "c2" else 0, lambda call: 0.5 if call == "c2" else None),
    )
    pieces.take(events)
    first = pieces.piece(BEGAN + timedelta(seconds=5))
    assert first is not None
    assert (first["now"], first["end"], first["heard"]) == (5.0, 5.0, {"t2": 10})
    [row] = [row for row in first["rows"] if row["key"] == "t2"]
    assert row["calls"][0]["spans"] == [["asked", 4.0, 4.5, ""], ["writing", 4.5, None, ""]]
    assert pieces.piece(BEGAN + timedelta(seconds=5)) is None
    later = pieces.piece(BEGAN + timedelta(seconds=7))
    assert later is not None
    assert (later["end"], later["rows"]) == (8.0, [])


def test_the_answer_is_told_as_it_is_written_and_anew_where_it_begins_anew() -> None:
    pieces = Pieces()
    pieces.take(told()[:1])
    said = [pieces.piece(BEGAN, answer) for answer in ("Te", "Tea", "Tea", "No", "No\x1b!")]
    assert [piece.get("writing") if piece else None for piece in said] == [
        [True, "Te"],
        [False, "a"],
        None,
        [True, "No"],
        [False, "!"],
    ]


def test_a_run_that_nobody_carries_any_more_was_killed() -> None:
    pieces = Pieces()
    pieces.take(told()[:10])
    assert not pieces.over
    pieces.stop()
    last = pieces.piece(BEGAN + timedelta(days=1))
    assert last is not None
    assert (last["status"], last["now"]) == ("killed", 4.0)
    assert {row["key"]: row["state"] for row in last["rows"]} == {
        "/orchestrator": "done",
        "t2": "stopped",
        "t3": "waiting",
    }


def test_no_letter_that_acts_is_passed_on_and_all_others_are() -> None:
    numbers = [*range(0x3000), *range(0xD7F0, 0xE010), 0xFEFF, 0xFFFD, 0x10FFFF]
    for text in (f"a{chr(number)}b" for number in numbers):
        assert plain({"x": [text]}) == {"x": [seemly(clean(text))]}, ascii(text)
