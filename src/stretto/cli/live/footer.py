"""The line under the picture: how far the run is, and what it took so far."""

from stretto.cli.live.bars import Axis
from stretto.cli.live.cellwords import count, money, seconds
from stretto.cli.live.lines import Line, Span, cells, clipped
from stretto.views.timeline.timeline import Timeline

_BETWEEN = " · "
_NARROW = 30


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
