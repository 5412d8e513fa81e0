"""The lines that say what a run came to, and how far its answer is."""

from collections.abc import Sequence
from textwrap import wrap

from stretto.cli.live.cellwords import seconds
from stretto.cli.live.lines import Line, Span, cells, clipped
from stretto.runs import Run

_BETWEEN = " · "


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
