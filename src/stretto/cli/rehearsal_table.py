"""The table of a rehearsal, and which setting it says to change."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from msgspec import Struct

from stretto.cli.words import dollars, long_span
from stretto.rehearsal import Change, Comparison, Figures, Variation

_TAIL = 20  # runs from which 19 of 20 can be told
_DISPENSABLE = ("time max", "cost max", "time p95 change", "requests", "cost p95")
"""What is left out on a terminal that is too narrow for all, one after another."""


class Row(Struct, frozen=True):
    """A variation, its figures, and what it changes against the configuration as it is."""

    variation: Variation
    figures: Figures
    against: Comparison


def table(rows: Sequence[Row], columns: int | None) -> list[str]:
    """A line for each variation that made a difference, in so many columns; then those that made none.

    A column that says the same nothing in each line is left out.
    """
    first = rows[0].figures
    told = [rows[0], *(row for row in rows[1:] if not row.against.same)]
    cells = [_cells(row, first) for row in told]
    dull = (
        {"rejected": "0 %", "in part": "0 %", "not": "0 %"},
        {f"cost {each}": "$0" for each in ("p50", "p95", "max")},
    )
    kept = [name for name in cells[0] if not all(line[name] == (dull[0] | dull[1]).get(name) for line in cells)]
    if "cost p50" not in kept:
        kept = [name for name in kept if not name.startswith("cost")]
    for name in _DISPENSABLE:
        if columns is not None and max(map(len, _lines(cells, kept))) > columns:
            kept = [each for each in kept if each != name]
    return [*_lines(cells, kept), *_the_same(rows)]


def advice(rows: Sequence[Row]) -> str:
    """The setting that is surely better, and how surely; else that there is none, and which have their price."""
    if row := _better(rows):
        return f"change {_setting(row.variation)}: {_effects(row.against)}"
    priced = [row for row in rows[1:] if _differs(row.against) > 0]
    told = "".join(f"; {_setting(row.variation)} has its price: {_effects(row.against)}" for row in priced[:1])
    return f"nothing to change: no setting tried is surely quicker, cheaper or more complete{told}"


def advised(rows: Sequence[Row]) -> str | None:
    """The name of the variation that `advice` names, None if it names none."""
    return row.variation.name if (row := _better(rows)) else None


def _better(rows: Sequence[Row]) -> Row | None:
    """The row that is surely better than the first; the best of them, if there are several."""
    better = [row for row in rows[1:] if row.against.worth is not None]
    return max(better, key=lambda row: row.against.worth or (), default=None)


def _differs(against: Comparison) -> int:
    return max(against.fullness.sign, against.seconds.sign, against.cost.sign)


def _setting(variation: Variation) -> str:
    """`parallel to 128 (--parallel 128, or under [limits])`."""
    key, _, value = variation.name.partition(" ")
    flag = f"--{key.replace('_', '-')} {value.replace(' ', '').removeprefix('$')}"
    return f"{key} to {value} ({flag}, or under [limits])" if value else key


def _effects(against: Comparison) -> str:
    runs = against.runs
    found = list[str]()
    for change, good, bad in (
        (against.fullness, "more complete", "less complete"),
        (against.seconds, "quicker", "slower"),
        (against.cost, "cheaper", "dearer"),
    ):
        if change.sign:
            found.append(_effect(change, good if change.sign > 0 else bad, runs))
    return ", ".join(found)


def _effect(change: Change, word: str, runs: int) -> str:
    count = max(change.better, change.worse)
    by = f", by {abs(100 * change.by):.0f} % in the median" if change.by else ""
    return f"{word} in {count} of {runs} runs{by}"


def _the_same(rows: Sequence[Row]) -> Iterator[str]:
    same = [row for row in rows[1:] if row.against.same]
    if same:
        runs = min(row.against.runs for row in same)
        yield ""
        most = 100 * (1 - 0.05 ** (1 / runs))  # who sees none in so many may have missed so many, at 95 %
        names = ", ".join(row.variation.name for row in same)
        yield f"no difference in any of {runs} runs (so hardly in more than {most:.0f} % of all): {names}"


def _lines(cells: Sequence[dict[str, str]], kept: Sequence[str]) -> list[str]:
    """The heading in two lines, and a line for each row."""
    titles = ["" if name == "name" or name.endswith("change") else name.removeprefix("time ").removeprefix("cost ")
              for name in kept]  # fmt: skip
    rows = [titles, *([line[name] for name in kept] for line in cells)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    over = ""
    for group in ("time", "cost"):
        if f"{group} p50" in kept:
            at = kept.index(f"{group} p50")
            over = over.ljust(sum(widths[:at]) + 2 * at) + group
    return [over, *lines]


def _cells(row: Row, first: Figures) -> dict[str, str]:
    figures = row.figures
    found = {"name": row.variation.name, "runs": f"{figures.runs:,}"}
    if figures.makespan is None:
        found |= {"time p50": "-", "time p50 change": "", "time p95": "-", "time p95 change": "", "time max": "-"}
    else:
        base, span = first.makespan or figures.makespan, figures.makespan
        for name in ("p50", "p95"):
            found[f"time {name}"] = _seconds(span[name]) if name == "p50" or figures.runs >= _TAIL else "-"
            found[f"time {name} change"] = _change(span[name], base[name]) if figures is not first else ""
        found["time max"] = _seconds(span["max"])
    found |= _cost(figures.cost, first.cost)
    found["requests"], found["rejected"] = f"{figures.requests['mean']:.0f}", share(figures.rejected_share)
    shares = {"in full": "full", "in part": "part", "not": "none"}
    return found | {name: share(figures.answered[state]) for name, state in shares.items()}  # type: ignore[index]


def _cost(cost: dict[str, Decimal] | None, first: dict[str, Decimal] | None) -> dict[str, str]:
    if cost is None:
        return {"cost p50": "?", "cost p50 change": "", "cost p95": "?", "cost max": "?"}
    change = _change(cost["p50"], first["p50"]) if first is not None and first is not cost else ""
    told = {name: dollars(cost[name]) if cost[name] else "$0" for name in ("p50", "p95", "max")}
    return {"cost p50": told["p50"], "cost p50 change": change, "cost p95": told["p95"], "cost max": told["max"]}


def _change(value: float | Decimal, base: float | Decimal) -> str:
    """By how much a value differs from that of the first row."""
    percent = round(100 * (float(value) / float(base) - 1)) if base else 0
    return f"{percent:+d} %" if percent else "="


def share(share: float) -> str:
    """A share as a percentage."""
    percent = 100 * share
    if 0 < percent < 0.05:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.1f} %"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else long_span(seconds)
