"""The line under the picture: how far the run is, and what it took so far."""

from stretto.cli.live.axis import Axis
from stretto.cli.live.cellwords import count, money, seconds
from stretto.cli.live.lines import Line, Span, cells, clipped
from stretto.cli.live.picture import Picture

_BETWEEN = " · "


def footer(picture: Picture, now: float, width: int, axis: Axis | None) -> Line:
    """As many facts as fit, the most important first, and under the bars what their axis reaches to."""
    scale = axis.scale() if axis is not None and axis.width else ""
    room = width - (len(scale) + 1 if scale else 0)
    spans: list[Span] = [("  ", "")]
    used = 2
    for told, style in _facts(picture, now):
        between = _BETWEEN if len(spans) > 1 else ""
        if used + len(between) + cells(told) > room:
            break
        spans += [(between, "dim"), (told, style)]
        used += len(between) + cells(told)
    if scale:
        spans += [(" " * (width - len(scale) - used), ""), (scale, "dim")]
    return clipped(spans, width)


def _facts(picture: Picture, now: float) -> list[Span]:
    rows = picture.within("")
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    facts: list[Span] = [(seconds(now), "bold")]
    if rows:
        facts.append((f"{states.get('done', 0)} of {len(rows)} done", ""))
    bad = sum(states.get(state, 0) for state in ("failed", "skipped", "truncated", "cut"))
    facts += [(f"{bad} not done", "bad")] if bad else []
    facts += [(f"{states['running']} running", "run")] if states.get("running") else []
    facts += [(f"{count(picture.tokens)} tokens", "")] if picture.tokens else []
    facts += [(money(picture.cost), "")] if picture.cost else []
    facts += [(f"{picture.calls} call{'' if picture.calls == 1 else 's'}", "")] if picture.calls else []
    return facts
