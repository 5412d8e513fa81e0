"""Runs that are told by events, as pages."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from stretto import events as e
from stretto.fold import fold
from stretto.page.content import Asked, content_of
from stretto.page.document import document
from stretto.types import Citation, Coverage, Input, Message, Missing, Reply, Request, Usage
from stretto.types.plans import Basis
from stretto.views.timeline.past import timeline_of


def at(second: float) -> str:
    return f"2026-01-01T00:{int(second) // 60:02}:{second % 60:06.3f}Z"


def began(task: str = "tea", basis: Basis | None = None) -> e.RunStarted:
    return e.RunStarted(run="R", at=at(0), task=task, workflow={}, basis=basis or Basis())


def planned(
    subtask: str, text: str = "boil", type_: str = "kitchen", *needs: str, second: float = 0.0
) -> e.SubtaskPlanned:
    return e.SubtaskPlanned(at=at(second), subtask=subtask, type=type_, description=text, needs=needs)


def call(name: str, role: str, subtask: str | None, start: float, end: float, **facts: object) -> list[e.AnyEvent]:
    whose = {"call": name, "role": role, "subtask": subtask, "fingerprint": name, "model": "sim:x"}
    told: list[e.AnyEvent] = [e.SubtaskStarted(at=at(start - 0.5), subtask=subtask)] if subtask else []
    told.append(e.CallStarted(at=at(start), **whose))  # type: ignore[arg-type]
    facts = {"finish": "stop", "usage": Usage(10, 5), "cost": Decimal("0.25"), **facts}
    return [*told, e.CallFinished(at=at(end), **whose, **facts)]  # type: ignore[arg-type]


def again(name: str, subtask: str, second: float, **facts: object) -> e.CallRetried:
    told = {"reason": "HTTP 503", "wait": 1.0, "attempt": 2, **facts}
    return e.CallRetried(at=at(second), call=name, subtask=subtask, model="sim:x", **told)  # type: ignore[arg-type]


def done(subtask: str, second: float, text: str = "boiled", **facts: object) -> e.SubtaskFinished:
    told = {"outcome": "done", "text": text, **facts}
    return e.SubtaskFinished(at=at(second), subtask=subtask, **told)  # type: ignore[arg-type]


def finished(answer: str, second: float, **facts: object) -> e.RunFinished:
    told = {"coverage": Coverage(), "usage": Usage(), **facts}
    return e.RunFinished(at=at(second), answer=answer, **told)  # type: ignore[arg-type]


def tea(answer: str = "Tea is **hot**.\n\nSee <https://example.org>.") -> list[e.AnyEvent]:
    """A call that is held back, one that is asked again and in duplicate, one that fails, and one from the records."""
    held, hedged = call("c2", "worker", "t1", 2, 6, first_token=3.0), call("c3", "worker", "t2", 2.5, 7)
    reused = e.CallFinished(
        at=at(7),
        call="c4",
        role="worker",
        subtask="t3",
        fingerprint="c4",
        model="sim:x",
        reused=True,
        usage=Usage(3, 3),
    )
    missing = Missing("t4", "table", "failed", "HTTP 500")
    told: list[e.AnyEvent] = [
        began(basis=Basis(inputs=(Input("notes.md", "Water boils at 100 degrees."),))),
        *call("c1", "orchestrator", None, 0, 1.5, first_token=0.5),
        planned("t1", second=1.5),
        planned("t2", "pour", "table", "t1", second=1.5),
        planned("t3", second=1.5),
        planned("t4", "serve", "table", "t1", "t2", second=1.5),
        e.PlanFinished(at=at(1.5), state="complete", subtasks=4, analysis="four parts"),
        *held,
        again("c2", "t1", 3, rate_limited=True),
        *hedged,
        again("c3", "t2", 4),
        again("c3", "t2", 6, wait=0.0, duplicate=True),
        done("t1", 6, "The water is hot."),
        done("t2", 7),
        reused,
        done("t3", 7),
        *call("c5", "worker", "t4", 8, 9, error="HTTP 500", finish=None),
        done("t4", 9, "", outcome="failed", error="HTTP 500"),
        *call("c6", "synthesizer", None, 9, 10, first_token=0.2),
        finished(
            answer,
            10,
            coverage=Coverage({}, (missing,)),
            citations=(Citation(0, 15, "t1"), Citation(0, 15, "i1", "notes.md", (1, 1), "Water boils", True)),
        ),
    ]
    return sorted(told, key=lambda event: event.at)


def asked(name: str, prompt: str, reply: str) -> dict[str, Asked]:
    return {name: (Request("sim:x", (Message("system", "Rules."), Message("user", prompt))), Reply(reply, "stop"))}


def many(number: int) -> list[e.AnyEvent]:
    told: list[e.AnyEvent] = [began()]
    for each in range(number):
        needs = (f"t{each - 7}",) if each % 9 == 8 else ()
        told.append(planned(f"t{each}", f"do {each} " * 20, "even" if each % 2 else "odd", *needs))
    for each in range(number):
        told += [*call(f"c{each}", "worker", f"t{each}", each / 50 + 1, each / 50 + 3, first_token=0.4)]
        told.append(done(f"t{each}", each / 50 + 3))
    told.append(finished("All of it.", number / 50 + 4))
    return sorted(told, key=lambda event: event.at)


def page(file: Path, events: Iterable[e.AnyEvent], records: Mapping[str, Asked] | None = None) -> Path:
    """The run as a page, in a file."""
    told = list(events)
    timeline, now = timeline_of(told)
    file.write_text(document(content_of(fold(told), timeline, now, records or {})), encoding="utf-8")
    return file
