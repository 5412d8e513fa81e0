"""A plan with its forecast as a table for people."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from textwrap import wrap

from stretto.cli.words import dollars, long_span, short
from stretto.forecast.approval import Approved
from stretto.ground.text import many
from stretto.proposal import Line, Proposal, Range
from stretto.runs import Run
from stretto.types import Plan

_WIDEST = 110
_NAME = 18  # characters for a subtask's id and type
_SHORTEST = 12  # and for a description, however narrow the terminal is
_ROWS = 8  # of a long list that are shown
_LEAST = Decimal("0.0001")  # dollars that are still written out


def table(proposal: Proposal, width: int) -> str:
    """The proposal in so many columns: a row for each subtask, the answer and the total, and where it comes from."""
    listed = _listed(proposal)
    rows = [*listed, proposal.answer, proposal.total]
    priced = proposal.total.cost is None or proposal.total.cost.p95 > 0
    cells = [["tokens", *(["cost"] if priced else []), "time"], *(_cells(line, priced=priced) for line in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    names = min(_NAME, max(len(_name(line)) for line in rows[:-1]))
    narrow = width < sum(widths) + 2 * len(widths) + names + _SHORTEST
    room = width - 1 if narrow else min(_WIDEST, width) - sum(widths) - 2 * len(widths)
    starts = [_head(proposal)]
    for line in rows[:-1]:
        mark = "*" if line.critical and proposal.lines else " "
        starts.append(f"{mark} {short(_name(line), names):<{names}} {short(_said(line), max(1, room - names - 3))}")
    starts.append(f"  total of {many(proposal.total.calls, 'call')}")
    if left := len(proposal.lines) - len(listed):
        starts.insert(len(listed) + 1, f"  … and {left:,} more rows of the list")
        cells.insert(len(listed) + 1, [""] * len(cells[0]))
    if narrow:
        starts = [start if len(start) <= room else f"{start[: room - 1]}…" for start in starts]
    row = _two_rows if narrow else _row
    lines = [row(f"{start:<{room}}", cell, widths) for start, cell in zip(starts, cells, strict=True)]
    return "\n".join([*lines, "", _notes(proposal, width), ""])


def _listed(proposal: Proposal) -> Sequence[Line]:
    """The lines that are shown: all but those of a long list, which are all alike."""
    alike = all(subtask.alone for subtask in proposal.plan.subtasks)
    return proposal.lines[:_ROWS] if alike and len(proposal.lines) > 2 * _ROWS else proposal.lines


def whole(plan: Plan, width: int, ids: Sequence[str] = ()) -> str:
    """Every word of a plan in lines of so many columns; of `ids` alone, if any are named."""
    lines = list[str]()
    # What it says to every worker alike stands in each subtask that was planned since.
    brief = plan.subtasks[-1].brief if plan.subtasks else ""
    for about, text in (("analysis", plan.analysis), ("to every worker", brief)):
        if text and not ids:
            lines += [f"  {about}:", *_wrapped(text, width), ""]
    for subtask in plan.subtasks:
        if not ids or subtask.id in ids:
            facts = [f"after {', '.join(subtask.needs)}"] if subtask.needs else []
            facts += [f"reads {', '.join(subtask.reads)}"] if subtask.reads else []
            facts += [f"worth {subtask.value:g}"] if subtask.value is not None else []
            lines += [f"  {subtask.id} ({', '.join([subtask.type, *facts])})", *_wrapped(subtask.description, width)]
            lines += [*_wrapped(f"remark: {subtask.remark}", width)] if subtask.remark else []
            lines.append("")
    return "\n".join(lines).rstrip() + "\n" if lines else "  no subtasks: the task is answered directly\n"


def _wrapped(text: str, width: int) -> Iterator[str]:
    """A text with its own lines, each broken between words."""
    for line in text.strip().splitlines():
        yield from wrap(line, max(_SHORTEST, width - 1), initial_indent="    ", subsequent_indent="    ") or [""]


def _head(proposal: Proposal) -> str:
    if proposal.lines:
        return f"  {many(len(proposal.lines), 'subtask')} (p50-p95)"
    return "  no subtasks: answered directly (p50-p95)"


def would_take(proposal: Proposal) -> Iterator[str]:
    """What carrying a plan out would take, in lines of its own: as it is, and the other way if there are two."""
    total, both = proposal.total, list(ways(proposal))
    if total.calls:
        yield f"{many(total.calls, 'call')}, {_tokens(total.tokens)} tokens{'' if both else f', {_taken(total)}'}"
    yield from both


def ways(proposal: Proposal, first: str = "") -> Iterator[str]:
    """What a plan takes live and in batches, if it can go either way, and how to take the other one.

    `first`: what is to be done before that.
    """
    if (live := proposal.live) is None or (batch := proposal.batch) is None:
        return

    def other(flag: str, way: Line) -> str:
        return "" if way == proposal.total else f" ({first}`stretto resume --{flag}`)"

    yield f"live{other('no-batch', live)}: {_taken(live)}"
    if proposal.batches:
        took = f"{_taken(batch)}, as {many(proposal.batches, 'batch', 'batches')} of this store took"
    else:
        cost = _paid(batch)
        took = f"{cost}{long_span(batch.seconds.p95)} at most, for providers promise a batch within 24 hours"
    yield f"in batches{other('batch', batch)}: {took}"


def _taken(line: Line) -> str:
    return f"{_paid(line)}{_seconds(line.seconds)}"


def _paid(line: Line) -> str:
    """What it costs, if that is anything, with a comma behind it."""
    if line.cost is None:
        return "at an unknown cost, "
    return f"{_money(line.cost)}, " if line.cost.p95 else ""


def how_good(approved: Approved, run: Run, seconds: float) -> str:
    """What was forecast of a plan, and what it took."""
    total = approved.proposal.total
    spent = run.usage
    tokens = spent.input_tokens + spent.output_tokens
    tokens -= approved.usage.input_tokens + approved.usage.output_tokens
    told = []
    if total.cost is not None and total.cost.p95 > 0 and run.cost is not None:
        told.append(f"{_money(total.cost)}, was {_dollars(run.cost - approved.paid)}")
    told.append(f"{_tokens(total.tokens)} tokens, was {_count(tokens)}")
    told.append(f"{_seconds(total.seconds)}, was {_time(seconds)}")
    return "; ".join(told)


def _row(start: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return (start + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))).rstrip()


def _two_rows(start: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    """The figures below what they are of, where there is no room beside it."""
    return f"{start.rstrip()}\n{_row('  ', cells, widths)}"


def _cells(line: Line, *, priced: bool) -> list[str]:
    if not line.calls:
        return ["-", *(["-"] if priced else []), "-"]
    cost = ["?" if line.cost is None else _money(line.cost)] if priced else []
    rough = "~" if line.source in {"defaults", "mixed"} and line.name != "total" else ""
    return [rough + _tokens(line.tokens), *cost, _seconds(line.seconds)]


def _name(line: Line) -> str:
    return f"{line.name} {line.type}".strip()


def _said(line: Line) -> str:
    needs = f"after {', '.join(line.needs)}: " if line.needs else ""
    calls = f"({line.calls} calls) " if line.calls > 1 else ""
    return f"{calls}{needs}{line.description}"


def _notes(proposal: Proposal, width: int) -> str:
    total = proposal.total
    known = f"{many(total.known, 'call')} of this store"
    where = {
        "history": f"from {known}",
        "mixed": f"from {known}, ~ from prices and defaults",
        "defaults": "from prices and defaults: no such calls are recorded yet",
        "none": "nothing is left to be asked",
    }[total.source]
    notes = [where]
    if proposal.lines and any(line.critical for line in (*proposal.lines, proposal.answer)):
        notes.append("* what everything waits for")
    if total.cost is None:
        notes.append("? a price is unknown")
    notes += ways(proposal, "s, then ")
    notes += [f"price assumed: {each}" for each in proposal.assumed]
    columns = max(_SHORTEST, width - 1)
    folded = (wrap(short(note, 300), columns, initial_indent="  ", subsequent_indent="    ") for note in notes)
    return "\n".join(line for lines in folded for line in lines)


def _tokens(tokens: Range[int]) -> str:
    return _range(_count(tokens.p50), _count(tokens.p95))


def _money(cost: Range[Decimal]) -> str:
    low, high = _dollars(cost.p50), _dollars(cost.p95)
    return _range(low, high.removeprefix("$") if low.startswith("$") and low != high else high)


def _seconds(seconds: Range[float]) -> str:
    low, high = _time(seconds.p50), _time(seconds.p95)
    return _range(low.removesuffix(" s") if high.endswith(" s") and low != high else low, high)


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low}-{high}"


def _count(tokens: int) -> str:
    if tokens < 1000:
        return str(tokens)
    thousands = tokens / 1000
    return f"{thousands:.1f}k" if thousands < 10 else f"{thousands:,.0f}k"


def _dollars(cost: Decimal) -> str:
    return "$0" if not cost else f"<${_LEAST}" if cost < _LEAST else dollars(cost)


def _time(seconds: float) -> str:
    if seconds >= 100:
        return long_span(seconds)
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
