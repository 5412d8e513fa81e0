"""The plan of a run as a table: a line for each subtask and the bars of its calls on one axis of time."""

from collections import Counter
from collections.abc import Iterator, Sequence

from stretto.ground.text import many
from stretto.records import RunRecord
from stretto.types import Result
from stretto.views.formats import cut, dollars, seconds, short
from stretto.views.markup import Html, joined, tag
from stretto.views.rows import again, bill, planned
from stretto.views.timeline.calls import Call
from stretto.views.timeline.rows import Row
from stretto.views.timeline.timeline import Timeline

WIDTH = 1000
"""Units from the start of a run to its end."""

MOST = 120
"""Lines that are shown; those that need a look come first."""

_DESCRIPTION = 200
_TEXTS = 30_000  # characters of results that are there to be opened, in all
_TEXT = 3_000  # of one
_WORD = 24
_HEIGHT = 12
_CALM = {"done", "waiting"}
_COLOURS = {"running": "running", "waiting": "m", "queued": "m", "failed": "failed"}
_MARKS = 20  # of one call


def plan_table(run: RunRecord, timeline: Timeline, now: float) -> Html:
    """The orchestrator, every subtask and the synthesizer, in the order of the plan, at a second of the run."""
    rows, results = list(timeline.rows()), {id_: result for id_, _, result in planned(run) if result}
    shown = _shown(rows)
    room = min(_TEXT, _TEXTS // max(len(shown), 1))
    scale = tag("th", tag("div", tag("span", "0"), tag("span", seconds(now))), class_="t")
    heads = (tag("th", each, class_="w") for each in ("", "type", "subtask", "outcome", "model"))
    head = tag("tr", *heads, *(tag("th", each, class_="n") for each in _FIGURES), scale)
    body = [_row(row, run.plan.analysis, results.get(row.id), now, room) for row in shown]
    return tag("table", tag("thead", head), tag("tbody", *body, *_rest(rows, shown)))


_FIGURES = ("tokens in", "out", "cost")


def _shown(rows: Sequence[Row]) -> list[Row]:
    """The rows there is room for, in their order: first those of which not all is well, and the roles'."""
    ranked = sorted(range(len(rows)), key=lambda at: not rows[at].is_role and rows[at].state in _CALM)
    return [rows[at] for at in sorted(ranked[:MOST])]


def _rest(rows: Sequence[Row], shown: Sequence[Row]) -> Iterator[Html]:
    counts = Counter(row.state for row in rows)
    counts.subtract(row.state for row in shown)
    if told := ", ".join(f"{number:,} {state}" for state, number in counts.items() if number):
        yield tag("tr", tag("td", f"and more: {told}", colspan=9, class_="m"))


def _row(row: Row, analysis: str, result: Result | None, now: float, room: int) -> Html:
    paid = bill(row.calls)
    told = any(call.state in {"done", "failed"} for call in row.calls)
    figures = (f"{paid.input_tokens:,}", f"{paid.output_tokens:,}", dollars(paid.cost)) if told else ("", "", "")
    name = "" if row.is_role else f"{row.id} ← {', '.join(row.needs)}" if row.needs else row.id
    about = analysis if row.role == "orchestrator" else row.description
    return tag(
        "tr",
        _word(name),
        _word(row.role if row.is_role else row.type),
        tag("td", _about(about or row.type, result, room)),
        tag("td", tag("span", row.state, class_="w"), *_remark(row), class_=_colour(row)),
        _word(row.model, "m"),
        *(tag("td", each, class_="n") for each in figures),
        tag("td", _bars(row, now), class_="t"),
    )


def _word(text: str, *classes: str) -> Html:
    """A cell for a word, which only a very long one may break."""
    return tag("td", text, class_=" ".join((*classes, "w") if len(text) <= _WORD else classes) or None)


def _about(about: str, result: Result | None, room: int) -> Html:
    """What is to be done; opened, what came of it."""
    about = short(about, _DESCRIPTION)
    if result is None or not result.text:
        return joined(about)
    return tag("details", tag("summary", about), tag("pre", cut(result.text, room)))


def _remark(row: Row) -> Iterator[Html]:
    if row.verdict in {"fails", "unchecked"}:
        word = "the check fails" if row.verdict == "fails" else "unchecked"
        yield tag("div", short(f"{word}: {row.remark}", _DESCRIPTION))
    if row.error:
        yield tag("div", short(row.error, _DESCRIPTION))
    if row.calls and all(call.state == "reused" for call in row.calls):
        told = f"a duplicate of {row.twin}: asked once" if row.twin else "from the records"
        yield tag("div", told, class_="m")
    if number := again(row.calls):
        yield tag("div", f"asked again {many(number, 'time')}", class_="m")


def _colour(row: Row) -> str | None:
    if row.state == "done":
        return "doubt" if row.verdict in {"fails", "unchecked"} else "done"
    return _COLOURS.get(row.state, "doubt")


def _bars(row: Row, now: float) -> Html:
    bars = [(start, call) for call in row.calls if call.state != "reused" and (start := call.begun) is not None]
    if not bars:
        return Html("")
    ends = (now if call.end is None else call.end for _, call in bars)
    label = seconds(max(ends) - min(start for start, _ in bars))
    drawn = (_bar(call, start, row.role, now) for start, call in bars)
    box = {"viewBox": f"0 0 {WIDTH} {_HEIGHT}", "preserveAspectRatio": "none", "role": "img", "aria_label": label}
    return tag("svg", *drawn, **box)


def _bar(call: Call, start: float, role: str, now: float) -> Html:
    end, scale = now if call.end is None else call.end, WIDTH / max(now, 0.001)
    kind = call.state if call.state in {"running", "failed"} else None
    told = [call.part or role, seconds(end - start), kind or ""]
    rect = tag(
        "rect",
        tag("title", ", ".join(filter(None, told))),
        class_=kind,
        x=f"{min(start * scale, WIDTH - 2):.0f}",
        y=1,
        width=f"{max((end - start) * scale, 2.0):.0f}",
        height=_HEIGHT - 2,
    )
    marks = (
        tag("path", tag("title", short(each.reason, 80)), d=f"M{each.start * scale:.0f} 0v{_HEIGHT}")
        for each in call.setbacks[:_MARKS]
    )
    return joined(rect, *marks)
