"""The plan of a run as a table: a line for each subtask and the bars of its calls on one axis of time."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from msgspec import Struct

from stretto.types import Result
from stretto.views.axis import WIDTH, Axis, Bar
from stretto.views.formats import dollars, many, seconds
from stretto.views.markup import Html, cut, joined, short, tag
from stretto.views.rows import again, bill, planned
from stretto.views.told import ToldCall, ToldRun
from stretto.views.twins import twins_of

MOST = 120
"""Lines that are shown; those that need a look come first."""

_DESCRIPTION = 200
_TEXTS = 30_000  # characters of results that are there to be opened, in all
_TEXT = 3_000  # of one
_WORD = 24
_HEIGHT = 12
_CALM = {"done", "waiting"}
_COLOURS = {"running": "running", "waiting": "m", "failed": "failed"}


class Line(Struct, frozen=True):
    """One line: who works, at what, how far that is, and by which calls; `twin` is whose reply answers it, too."""

    name: str
    type: str
    about: str
    state: str
    calls: Sequence[ToldCall]
    result: Result | None = None
    twin: str = ""


def plan_table(run: ToldRun, now: str = "") -> Html:
    """The orchestrator, every subtask and the synthesizer, in the order of the plan."""
    axis = Axis(run.calls, now=now, executions=run.executions)
    lines = list(_lines(run))
    shown = _shown(lines)
    room = min(_TEXT, _TEXTS // max(len(shown), 1))
    scale = tag("th", tag("div", tag("span", "0"), tag("span", seconds(axis.seconds))), class_="t")
    heads = (tag("th", each, class_="w") for each in ("", "type", "subtask", "outcome", "model"))
    head = tag("tr", *heads, *(tag("th", each, class_="n") for each in _FIGURES), scale)
    body = [_row(line, axis, room) for line in shown]
    return tag("table", tag("thead", head), tag("tbody", *body, *_rest(lines, shown)))


_FIGURES = ("tokens in", "out", "cost")


def _lines(run: ToldRun) -> Iterator[Line]:
    calls: defaultdict[str, list[ToldCall]] = defaultdict(list)
    for call in run.calls:
        calls[call.subtask or f"/{call.role}"].append(call)  # an id never begins with a slash
    twins = twins_of(run.calls)
    if asked := calls["/orchestrator"]:
        state = "done" if run.plan.state else "running" if run.status == "running" else "failed"
        yield Line("", "orchestrator", run.plan.analysis, state, asked)
    for id_, subtask, result in planned(run):
        name = f"{id_} ← {', '.join(subtask.needs)}" if subtask.needs else id_
        waits = "running" if calls[id_] and run.status == "running" else "waiting"
        state, twin = result.outcome if result else waits, next((twins[c.id] for c in calls[id_] if c.id in twins), "")
        yield Line(name, subtask.type, subtask.description, state, calls[id_], result, twin)
    if asked := calls["/synthesizer"]:
        state = "done" if run.status == "finished" else "running" if run.status == "running" else "failed"
        yield Line("", "synthesizer", "", state, asked)


def _shown(lines: Sequence[Line]) -> list[Line]:
    """The lines there is room for, in their order: first those of which not all is well, and those without an id."""
    ranked = sorted(range(len(lines)), key=lambda at: bool(lines[at].name) and lines[at].state in _CALM)
    return [lines[at] for at in sorted(ranked[:MOST])]


def _rest(lines: Sequence[Line], shown: Sequence[Line]) -> Iterator[Html]:
    counts = Counter(line.state for line in lines)
    counts.subtract(line.state for line in shown)
    if told := ", ".join(f"{number:,} {state}" for state, number in counts.items() if number):
        yield tag("tr", tag("td", f"and more: {told}", colspan=9, class_="m"))


def _row(line: Line, axis: Axis, room: int) -> Html:
    paid = bill(line.calls)
    model = line.calls[-1].model if line.calls else ""
    told = any(call.finished and not call.finished.reused for call in line.calls)
    figures = (f"{paid.input_tokens:,}", f"{paid.output_tokens:,}", dollars(paid.cost)) if told else ("", "", "")
    return tag(
        "tr",
        _word(line.name),
        _word(line.type),
        tag("td", _about(line, room)),
        tag("td", tag("span", line.state, class_="w"), *_remark(line), class_=_colour(line)),
        _word(model, "m"),
        *(tag("td", each, class_="n") for each in figures),
        tag("td", _bars(line, axis), class_="t"),
    )


def _word(text: str, *classes: str) -> Html:
    """A cell for a word, which only a very long one may break."""
    return tag("td", text, class_=" ".join((*classes, "w") if len(text) <= _WORD else classes) or None)


def _about(line: Line, room: int) -> Html:
    """What is to be done; opened, what came of it."""
    about = short(line.about, _DESCRIPTION)
    if line.result is None or not line.result.text:
        return joined(about)
    return tag("details", tag("summary", about or line.type), tag("pre", cut(line.result.text, room)))


def _remark(line: Line) -> Iterator[Html]:
    if line.result and line.result.verdict in {"fails", "unchecked"}:
        word = "the check fails" if line.result.verdict == "fails" else "unchecked"
        yield tag("div", short(f"{word}: {line.result.remark}", _DESCRIPTION))
    if line.result and line.result.error:
        yield tag("div", short(line.result.error, _DESCRIPTION))
    if line.calls and all(call.finished and call.finished.reused for call in line.calls):
        told = f"a duplicate of {line.twin}: asked once" if line.twin else "from the records"
        yield tag("div", told, class_="m")
    if number := again(line.calls):
        yield tag("div", f"asked again {many(number, 'time')}", class_="m")


def _colour(line: Line) -> str | None:
    if line.state == "done":
        return "doubt" if line.result and line.result.verdict in {"fails", "unchecked"} else "done"
    return _COLOURS.get(line.state, "doubt")


def _bars(line: Line, axis: Axis) -> Html:
    bars = [bar for call in line.calls if (bar := axis.bar(call))]
    if not bars:
        return Html("")
    label = f"{seconds(axis.seconds * (max(bar.end for bar in bars) - min(bar.start for bar in bars)) / WIDTH)}"
    drawn = (_bar(bar, axis) for bar in bars)
    box = {"viewBox": f"0 0 {WIDTH} {_HEIGHT}", "preserveAspectRatio": "none", "role": "img", "aria_label": label}
    return tag("svg", *drawn, **box)


def _bar(bar: Bar, axis: Axis) -> Html:
    call, width = bar.call, max(bar.end - bar.start, 2.0)
    kind = "running" if call.finished is None else "failed" if call.finished.error else None
    kind = "reused" if call.finished and call.finished.reused else kind
    told = [call.part or call.role, seconds(axis.seconds * (bar.end - bar.start) / WIDTH), kind or ""]
    rect = tag(
        "rect",
        tag("title", ", ".join(filter(None, told))),
        class_=kind,
        x=f"{min(bar.start, WIDTH - 2):.0f}",
        y=1,
        width=f"{width:.0f}",
        height=_HEIGHT - 2,
    )
    marks = (tag("path", tag("title", short(why, 80)), d=f"M{at:.0f} 0v{_HEIGHT}") for at, why in bar.marks[:20])
    return joined(rect, *marks)
