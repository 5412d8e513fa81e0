"""Logs of runs: events of all kinds, and whole logs, as hypothesis draws them; and a store that was left earlier."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from msgspec.structs import replace

from stretto import Coverage, Usage
from stretto import events as e
from stretto.types import OUTCOMES, Missing

KINDS = get_args(e.AnyEvent)
TEXT = st.text(
    st.characters(exclude_categories=["Cs"])
)  # control characters, emoji, line separators: all but surrogates


def an_event(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """An event of any kind, with these texts in it."""
    usage = st.builds(Usage, st.integers(0, 2**53), st.integers(0, 2**53))
    values: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: st.integers(0, 2**53),
        bool: st.booleans(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=6),
        type(None): st.none(),
        Usage: usage,
        Coverage: st.builds(
            Coverage, st.just({"done": 1}), st.tuples(st.builds(Missing, texts, texts, st.just("failed"), texts))
        ),
        tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
        dict[str, Any]: st.dictionaries(texts, st.none() | st.booleans() | texts, max_size=3),
    }

    def one(hint: Any) -> st.SearchStrategy[Any]:
        if get_origin(hint) is Literal:
            return st.sampled_from(get_args(hint))
        return values[hint] if hint in values else st.one_of([one(part) for part in get_args(hint)])

    def event(kind: type[e.Event]) -> st.SearchStrategy[Any]:
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: one(hints[name]) for name in kind.__struct_fields__})

    return st.one_of([event(kind) for kind in KINDS])


STARTED = e.RunStarted(run="R", at="2026-01-01T00:00:00.000Z", task="tea", workflow={"v": 1})


def started(call: str, subtask: str | None = "t1") -> e.CallStarted:
    return e.CallStarted(call=call, role="worker", subtask=subtask, fingerprint=f"f-{call}", model="sim:x")


def finished(call: str, **facts: Any) -> e.CallFinished:
    facts = {"finish": "stop", "usage": Usage(10, 5), **facts}
    return e.CallFinished(call=call, role="worker", subtask="t1", fingerprint=f"f-{call}", model="sim:x", **facts)


def planned(subtask: str, *needs: str) -> e.SubtaskPlanned:
    return e.SubtaskPlanned(subtask=subtask, type="a", description=f"do {subtask}", needs=needs)


def done(subtask: str, text: str = "text") -> e.SubtaskFinished:
    return e.SubtaskFinished(subtask=subtask, outcome="done", text=text)


def answered(answer: str, **facts: Any) -> e.RunFinished:
    return e.RunFinished(answer=answer, usage=Usage(), coverage=Coverage({"done": 1}), **facts)


@st.composite
def logs(draw: st.DrawFn) -> list[e.AnyEvent]:
    """The log of a run of up to eight subtasks and four executions, each stopped at any point."""
    log: list[e.AnyEvent] = [STARTED]
    subtasks: list[str] = []
    calls = 0
    for execution in range(draw(st.integers(1, 4))):
        log += [e.RunResumed(workflow={"v": execution + 1})] if execution else []
        for _ in range(draw(st.integers(0, 8 - len(subtasks)))):
            subtasks.append(f"t{len(subtasks) + 1}")
            log.append(planned(subtasks[-1], *draw(st.sets(st.sampled_from(subtasks), max_size=2))))
        for subtask in draw(st.permutations(subtasks)):
            calls += 1
            call = f"c{calls}"
            endings: list[dict[str, Any]] = [{}, {"reused": True}, {"error": "500", "finish": None, "usage": None}]
            retried = e.CallRetried(reason="503", wait=1.0, attempt=1, call=call, subtask=subtask)
            outcome = draw(st.sampled_from(OUTCOMES))
            story: list[e.AnyEvent] = [
                e.SubtaskStarted(subtask=subtask),
                retried,
                started(call, subtask),
                finished(call, **draw(st.sampled_from(endings))),
                e.SubtaskFinished(subtask=subtask, outcome=outcome, error="why"),
            ]
            log += story[: draw(st.integers(0, len(story)))]
        ends: list[list[e.AnyEvent]] = [
            [],
            [e.RunInterrupted()],
            [e.RunFailed(error="x", error_type="WorkError")],
            [answered("yes")],
        ]
        log += draw(st.sampled_from(ends))
    return [replace(event, run="R", seq=index + 1) for index, event in enumerate(log)]


def cut_after(whole: Path, part: Path, seq: int) -> None:
    """The store as it was when this event had just been written."""
    with closing(sqlite3.connect(whole)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("DELETE FROM events WHERE seq > ?", (seq,))
        copy.execute("DELETE FROM runs")  # it was written with the last event, and says how many there were
        copy.commit()
