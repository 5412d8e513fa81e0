"""Drawing the picture: its rows as lines of a terminal of a certain width and height, and below them how far it is."""

from collections.abc import Callable, Sequence
from textwrap import wrap

from msgspec import Struct

from stretto.cli.live.bars import Axis
from stretto.cli.live.cellwords import count, harmless, model_name, money, seconds
from stretto.cli.live.lines import Line, Span, cells, clipped, left, right
from stretto.runs import Run
from stretto.views.timeline.crowds import Crowd, arranged
from stretto.views.timeline.rows import Row
from stretto.views.timeline.timeline import Timeline, reach

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {"done": "✓", "failed": "✗", "skipped": "✗", "truncated": "!", "cut": "!", "stopped": "■", "not done": "✗"}
_STYLES = {"done": "ok", "failed": "bad", "skipped": "bad", "truncated": "warn", "cut": "warn", "stopped": "warn"}
_LONGEST_ID, _LONGEST_TYPE, _LONGEST_MODEL = 14, 12, 18
_LEAST_TEXT, _LEAST_BAR, _MOST_BAR = 14, 10, 40
_WIDEST, _NARROW = 160, 30
_BETWEEN = " · "
_TIMES = "\N{MULTIPLICATION SIGN}"


class _Cells(Struct):
    """What stands in the columns of one line."""

    mark: Span
    id: str
    type: str
    text: Sequence[Span]
    facts: dict[str, str]
    bar: Callable[[Axis], list[Span]]


def drawn(timeline: Timeline, now: float, width: int, height: int, *, moving: bool = True) -> list[Line]:
    """The picture in at most `height` lines of at most `width` cells, the last of which says how far it is.

    `moving`: the run goes on, so the axis reaches to the next round number.
    """
    width = min(width, _WIDEST)
    each = [
        _of_crowd(item, now) if isinstance(item, Crowd) else _of_row(item, timeline, now)
        for item in arranged(timeline, max(0, height - 1))
    ]
    names = min(_LONGEST_ID, max((cells(one.id) for one in each), default=0), max(2, width // 3))
    columns, room, bar = _columns(each, names, width)
    axis = Axis(bar, reach(now) if moving else now, now)
    lines = [clipped(_line(one, names, room, columns, axis), width) for one in each]
    return [*lines, footer(timeline, now, width, axis if lines else None)][-height:] if height > 0 else []


def _line(one: _Cells, names: int, room: int, columns: dict[str, int], axis: Axis) -> Line:
    line = [one.mark, (" ", ""), (left(one.id, names), "bold" if one.id else "")]
    if "type" in columns:
        line += [(" ", ""), (left(one.type, columns["type"]), "dim")]
    line += [(" ", ""), *_fitted(one.text, room)]
    for name, width in columns.items():
        if name not in {"type", "bar"}:
            line += [(" ", ""), (right(one.facts.get(name, ""), width), "" if name == "elapsed" else "dim")]
    if axis.width:
        line += [(" ", ""), *one.bar(axis)]
    return line


def _fitted(text: Sequence[Span], room: int) -> list[Span]:
    """The spans in exactly so many cells."""
    spans = list(clipped(text, room))
    used = sum(cells(each) for each, _ in spans)
    return [*spans, (" " * (room - used), "")]


def _columns(each: Sequence[_Cells], names: int, width: int) -> tuple[dict[str, int], int, int]:
    """The columns there is room for beside `names` and their widths, the room for the text, and that for the bar."""
    left_over = width - 2 - names - 1
    least = min(_LEAST_TEXT, max(4, width // 3))
    natural = {
        name: max((cells(one.facts.get(name, "")) for one in each), default=0)
        for name in ("elapsed", "bar", "tokens", "cost", "model")
    }
    natural["bar"] = _LEAST_BAR
    natural["type"] = min(_LONGEST_TYPE, max((cells(one.type) for one in each), default=0))
    natural["model"] = min(_LONGEST_MODEL, natural["model"])
    chosen = {}
    for name in ("elapsed", "bar", "tokens", "type", "cost", "model"):
        if natural[name] and left_over - natural[name] - 1 >= least:
            chosen[name] = natural[name]
            left_over -= natural[name] + 1
    order = [name for name in ("type", "elapsed", "model", "tokens", "cost") if name in chosen]
    more = max(0, min(_MOST_BAR, width // 4) - _LEAST_BAR, (left_over - 60) // 2) if "bar" in chosen else 0
    more = min(more, max(0, left_over - 2 * least), _MOST_BAR - _LEAST_BAR)
    bar = _LEAST_BAR + more if "bar" in chosen else 0
    return {name: chosen[name] for name in order}, max(0, left_over - more), bar


def _of_row(row: Row, timeline: Timeline, now: float) -> _Cells:
    style = _STYLES.get(row.state, "run" if row.state == "running" else "dim")
    if row.state == "done" and row.verdict == "fails":
        style = "warn"
    mark = _SPINNER[int(now * 10) % len(_SPINNER)] if row.state == "running" else _MARKS.get(row.state, "○")
    if row.verdict == "fails" and row.state == "done":
        mark = "!"
    elapsed = row.elapsed(now)
    facts = {
        "elapsed": "" if elapsed is None else seconds(elapsed),
        "model": harmless(model_name(row.model), 120),
        "tokens": _tokens(row, timeline),
        "cost": money(row.cost),
    }
    id_ = "  " * row.id.count("/") + harmless(row.own, 60)
    return _Cells((mark, style), id_, harmless(row.type, 60), _said(row, timeline, now), facts,
                  lambda axis: axis.bar(row, style))  # fmt: skip


def _tokens(row: Row, timeline: Timeline) -> str:
    """What its calls took, and about what those took so far that are under way."""
    if heard := timeline.so_far(row):
        return f"~{count(row.tokens + heard)}"
    return count(row.tokens) if row.tokens else ""


def _said(row: Row, timeline: Timeline, now: float) -> list[Span]:
    """What is to be said of a row: how it ended or what it does right now, then what it is to do."""
    spans = [*_verdict(row), _note(row, timeline, now), _description(row)]
    told = [span for span in spans if span[0]]
    return [each for index, span in enumerate(told) for each in ([(" · ", "dim"), span] if index else [span])]


def _verdict(row: Row) -> list[Span]:
    """Why it did not end well, and what its check found."""
    spans = []
    if row.over and row.state not in {"done", "stopped"}:
        why = "" if row.is_role else harmless(row.error)  # of plan and answer a line of its own tells it
        spans.append((f"{row.state}{why and f': {why}'}", _STYLES[row.state]))
    if row.verdict in {"fails", "unchecked"}:
        what = "its check fails" if row.verdict == "fails" else "unchecked"
        spans.append((f"{what}{f': {harmless(row.remark)}' if row.remark else ''}", "warn"))
    return spans


def _note(row: Row, timeline: Timeline, now: float) -> Span:
    if row.state == "waiting":
        needs = timeline.waits_for(row)
        return (f"after {', '.join(harmless(need, 60) for need in needs)}" if needs else "", "dim")
    if row.state == "stopped":
        return ("stopped", "warn")
    if not row.over:
        return (harmless(row.note(now)), "dim" if row.state == "queued" else "run")
    whence = f"duplicate of {harmless(row.twin, 60)}" if row.twin else "from the records" if row.reused else ""
    facts = [harmless(row.note(now)), "checked" if row.verdict == "holds" else "", whence]
    return (", ".join(fact for fact in facts if fact), "dim")


def _description(row: Row) -> Span:
    if row.is_role and not row.over:
        return ("is being written", "")
    return (harmless(row.description), "dim" if row.state in {"waiting", "queued"} else "")


def _of_crowd(crowd: Crowd, now: float) -> _Cells:
    state = crowd.rows[0].state if crowd.word == "waiting" else crowd.word
    style = "run" if crowd.word == "running" else _STYLES.get(state, "bad" if crowd.word == "not done" else "dim")
    mark = _SPINNER[int(now * 10) % len(_SPINNER)] if crowd.word == "running" else _MARKS.get(crowd.word, "○")
    times = [elapsed for row in crowd.rows if (elapsed := row.elapsed(now)) is not None]
    costs = [row.cost for row in crowd.rows]
    told = crowd.word
    if times and crowd.word not in {"waiting", "running"}:
        low, high = seconds(min(times)), seconds(max(times))
        told += f", {low} to {high} each" if low != high else f", {low} each"
    if not crowd.type and len(kinds := list(dict.fromkeys(row.type for row in crowd.rows))) > 1:
        told += f" · {', '.join(harmless(kind, 60) for kind in kinds)}"
    facts = {
        "elapsed": seconds(max(times)) if times else "",
        "tokens": count(total) if (total := sum(row.tokens for row in crowd.rows)) else "",
        "cost": "" if None in costs else money(sum(cost for cost in costs if cost is not None)),
    }
    type_ = crowd.type or (crowd.rows[0].type if len({row.type for row in crowd.rows}) == 1 else "")
    return _Cells((mark, style), f"{len(crowd.rows)}{_TIMES}", harmless(type_, 60), [(told, style)], facts,
                  lambda axis: axis.crowd(crowd.rows, style))  # fmt: skip


def footer(timeline: Timeline, now: float, width: int, axis: Axis | None) -> Line:
    """As many facts as fit, the most important first, and under the bars what their axis reaches to."""
    scale = axis.scale() if axis is not None and axis.width else ""
    room = width - (len(scale) + 1 if scale else 0)
    spans: list[Span] = [("  ", "")]
    used = 2
    for told, style in _facts(timeline, now, " of " if width >= _NARROW else "/"):
        between = _BETWEEN if len(spans) > 1 else ""
        if used + len(between) + cells(told) > room:
            break
        spans += [(between, "dim"), (told, style)]
        used += len(between) + cells(told)
    if scale:
        spans += [(" " * (width - len(scale) - used), ""), (scale, "dim")]
    return clipped(spans, width)


def _facts(timeline: Timeline, now: float, of: str) -> list[Span]:
    rows = timeline.within("")
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    facts: list[Span] = [(seconds(now), "bold")]
    if rows:
        facts.append((f"{states.get('done', 0)}{of}{len(rows)} done", ""))
    bad = sum(states.get(state, 0) for state in ("failed", "skipped", "truncated", "cut"))
    facts += [(f"{bad} not done", "bad")] if bad else []
    facts += [(f"{states['running']} running", "run")] if states.get("running") else []
    facts += [(f"{count(timeline.tokens)} tokens", "")] if timeline.tokens else []
    facts += [(money(timeline.cost), "")] if timeline.cost else []
    facts += [(f"{timeline.calls} call{'' if timeline.calls == 1 else 's'}", "")] if timeline.calls else []
    return facts


def summary_lines(facts: Sequence[str], run: Run, width: int) -> list[Line]:
    """The facts and the run's id, in as few lines as they fit into."""
    style, mark = ("ok", "✓") if run.coverage.complete else ("warn", "!")
    told = [*facts, *(["simulated"] if run.simulated else []), f"run {run.id}"]
    # A fact may be longer than a line.
    told = [piece for fact in told for piece in wrap(fact, max(1, width - 2)) or [""]]
    lines: list[list[Span]] = [[(mark, style), (" ", "")]]
    used = 2
    for index, fact in enumerate(told):
        if index and used + len(_BETWEEN) + cells(fact) > width:
            lines.append([("  ", "")])
            used = 2
        elif index:
            lines[-1].append((_BETWEEN, "dim"))
            used += len(_BETWEEN)
        lines[-1].append((fact, "bold" if index == 0 else ""))
        used += cells(fact)
    return list(lines)


def status_line(now: float, letters: int, width: int) -> Line:
    """That the answer is being written, and how much of it there is."""
    return clipped(
        [("  ", ""), (seconds(now), "bold"), (" · ", "dim"), (f"the answer, {letters:,} letters", "dim")], width
    )
