"""A run as rows on one axis of time, whoever draws them."""

import asyncio

import pytest

from stretto import Simulator, Usage, Workflow
from stretto import events as e
from stretto.fold import fold
from stretto.models.simulator.faults import parse_fault
from stretto.views.timeline.calls import Call, Span
from stretto.views.timeline.past import timeline_of, timeline_of_run
from stretto.views.timeline.rows import Row


def call(start: float = 1.0, end: float | None = 9.0, first: float | None = None, *again: e.CallRetried) -> Call:
    """A call that began and ended then; `again` each 2 s after the one before."""
    one = Call("c1", "", "sim:m", start=start)
    for number, event in enumerate(again):
        one.again(event, start + 2 * (number + 1))
    if end is not None:
        finished = e.CallFinished(
            call="c1", role="worker", subtask="t1", fingerprint="f", model="sim:m", first_token=first, usage=Usage(1, 1)
        )
        one.finish(finished, end)
    return one


def told(one: Call, now: float = 20.0) -> list[tuple[str, float, float]]:
    return [(span.kind, span.start, span.end) for span in one.spans(now)]


def again(wait: float, *, limited: bool = False, twice: bool = False) -> e.CallRetried:
    return e.CallRetried(call="c1", reason="503", wait=wait, attempt=2, rate_limited=limited, duplicate=twice)


@pytest.mark.parametrize(
    ("one", "spans"),
    [
        (call(), [("asked", 1, 9)]),
        (call(end=None), [("asked", 1, 20)]),
        (call(1, 9, 3.0), [("asked", 1, 4), ("writing", 4, 9)]),
        (call(1, 9, None, again(1, limited=True)), [("asked", 1, 3), ("held", 3, 4), ("asked", 4, 9)]),
        (call(1, 9, None, again(0.5)), [("asked", 1, 3), ("retry", 3, 3.5), ("asked", 3.5, 9)]),
        (call(1, 9, None, again(60, limited=True)), [("asked", 1, 3), ("held", 3, 9)]),
        (call(1, 9, 5.0, again(0, twice=True)), [("hedge", 3, 9), ("asked", 1, 6), ("writing", 6, 9)]),
        (
            call(1, 9, None, again(1), again(1, limited=True)),
            [("asked", 1, 3), ("retry", 3, 4), ("asked", 4, 5), ("held", 5, 6), ("asked", 6, 9)],
        ),
    ],
)
def test_a_call_is_told_as_what_it_waited_for(one: Call, spans: list[tuple[str, float, float]]) -> None:
    assert told(one) == spans


def test_a_call_that_is_held_back_before_it_was_sent_is_on_the_axis_too() -> None:
    row = Row("t1", "general", "x")
    row.begin(1.0)
    row.again(e.CallRetried(call="c1", subtask="t1", reason="429", wait=3, attempt=1, rate_limited=True), 2.0)
    assert list(row.calls[0].spans(4.0)) == [Span("held", 2.0, 4.0, "429")]
    row.called(e.CallStarted(call="c1", role="worker", subtask="t1", fingerprint="f", model="sim:m"), 5.0)
    assert (row.queued, row.since) == (1.0, 5.0)
    assert told(row.calls[0], 7.0) == [("held", 2.0, 5.0), ("asked", 5.0, 7.0)]


def test_a_reply_from_the_records_took_no_time() -> None:
    finished = e.CallFinished(
        call="c1", role="worker", subtask="t1", fingerprint="f", model="m", reused=True, usage=Usage(1, 1)
    )
    row = Row("t1", "general", "x")
    row.answered(finished, 3.0)
    assert [(each.state, told(each)) for each in row.calls] == [("reused", [])]


def recorded() -> list[e.AnyEvent]:
    """A run of five subtasks, of whose calls some fail at first."""
    simulator = Simulator(ttft=0.05, tokens_per_second=5000, faults=(parse_fault("500 rate=0.3"),))
    flow = Workflow("sim:o", {"part": "sim:w"}, "sim:s", providers={"sim": simulator})

    async def carried() -> list[e.AnyEvent]:
        async with flow.stream("Compare teas in exactly 5 subtasks with needs") as events:
            return [event async for event in events]

    return asyncio.run(carried())


def long_ones(one: Call, now: float) -> list[str]:
    """What it was at, but for what took no time to speak of: moments are told in milliseconds."""
    return [span.kind for span in one.spans(now) if span.end - span.start > 0.02]


def test_the_events_and_what_they_amount_to_give_the_same_rows() -> None:
    events = recorded()
    (by_event, reached), (by_run, until) = timeline_of(events), timeline_of_run(fold(events))
    assert until == pytest.approx(reached, abs=0.01)
    assert [row.id for row in by_run.rows()] == [row.id for row in by_event.rows()]
    for row, other in zip(by_event.rows(), by_run.rows(), strict=True):
        assert (row.state, row.tokens, row.cost, row.model) == (other.state, other.tokens, other.cost, other.model)
        for one, two in zip(row.calls, other.calls, strict=True):
            assert long_ones(one, reached) == long_ones(two, until)
            assert [one.start, one.end] == pytest.approx([two.start, two.end], abs=0.01)
    assert (by_event.calls, by_event.tokens, by_event.cost) == (by_run.calls, by_run.tokens, by_run.cost)
