"""What a rehearsal found, as a table for people and as JSON."""

import contextlib
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Self

import msgspec
from msgspec import Struct

from stretto.cli.progress import dollars, short
from stretto.cli.screen import drawing_on
from stretto.policies.prices import FREE
from stretto.rehearsal import Figures, Recorded, Rehearsal, Spread, Variation
from stretto.types import Limits, Price

_GAP = 5.0  # seconds between two lines of progress
_REASONS = 3
_WIDE = 200  # characters of a reason


_COLUMNS = (
    "", "p50", "", "p95", "", "max", "p50", "", "p95", "max", "requests", "rejected", "in full", "in part", "not",
)  # fmt: skip
_TOLD = {"headers": "told in headers", "retry_after": "told only when to ask again", "nothing": "not told"}
_GROUPS = {1: "makespan", 6: "cost", 10: "a run's", 12: "answered"}
"""Over which column each begins."""


class Report(Struct, frozen=True):
    """A rehearsal and its figures, a row for each variation, the configuration as it is first.

    `configured` are the workflow's limits before anything was raised for the rehearsal; `subtasks` what was assumed, if
    anything was; `recorded` what speeds rest on, if not on the simulator's own.
    """

    rehearsal: Rehearsal
    seed: int
    configured: Limits
    subtasks: int | None
    recorded: Recorded | None
    rows: tuple[tuple[Variation, Figures], ...]


class Tally:
    """How many trials are done, on stderr: one line that changes on a terminal, else a line every few seconds."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._said_at = time.monotonic()
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            self._write("\r\x1b[K")

    def show(self, done: int, of: int) -> None:
        """So many of so many."""
        now = time.monotonic()
        if self._quiet or now - self._said_at < (0.2 if self._live else _GAP):
            return
        self._said_at, self._open = now, self._live
        line = f"rehearsed {done:,} of {of:,} runs"
        self._write(f"\r{line}" if self._live else f"stretto: {line}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            drawing_on(sys.stderr)(text)
            sys.stderr.flush()


def as_json(report: Report) -> str:
    """One JSON object in one line; money as decimal strings."""
    rehearsal = report.rehearsal
    facts = {
        "simulated": True,
        "task": rehearsal.task,
        "seed": report.seed,
        "runs": report.rows[0][1].runs,
        "subtasks": report.subtasks,
        "models": list(_models(report)),
        "providers": {
            name: {"rpm": p.rpm, "tpm": p.tpm, "faults": p.faults} for name, p in rehearsal.providers.items()
        },
        "variations": [
            {"name": one.name, "changed": one.changed, "limits": one.limits, **msgspec.structs.asdict(figures)}
            for one, figures in report.rows
        ],
    }
    return msgspec.json.Encoder(decimal_format="string").encode(facts).decode() + "\n"


def as_text(report: Report) -> str:
    """The table, what it rests on, and why something was missing."""
    lines = [*_head(report), "", *_table(report), "", *_missing(report)]
    return "\n".join(lines).rstrip() + "\n"


class _Assumed(Struct, frozen=True):
    """What is assumed of a model; `calls`: how many recorded ones that rests on, 0 if on none."""

    model: str
    ttft: float
    ttft_spread: float
    tokens_per_second: float
    length: float
    length_spread: float
    calls: int
    price: Price | None


def _models(report: Report) -> Iterator[_Assumed]:
    recorded = report.recorded
    for written, price in report.rehearsal.prices.items():
        name, _, model = written.partition(":")
        simulator = report.rehearsal.providers[name].of(model)
        profile = simulator.profile(model)
        yield _Assumed(
            written,
            profile.ttft,
            simulator.ttft_spread,
            profile.tokens_per_second,
            simulator.length,
            simulator.length_spread,
            recorded.calls[written] if recorded and written in recorded.profiles else 0,
            price,
        )


def _head(report: Report) -> Iterator[str]:
    """That all this is simulated, and what it rests on."""
    runs, task = report.rows[0][1].runs, short(report.rehearsal.task, 60)
    yield f"simulated: {_many(runs, 'run')} a row of {task!r}; no model was asked, nothing was paid"
    for model in _models(report):
        yield (
            f"assumed: {model.model}: {model.ttft:.2g} s to the first token, then {model.tokens_per_second:.3g} tokens "
            f"a second, {model.length:.0f} tokens from a worker ({_basis(model, report.recorded)})"
        )
    for name, provider in report.rehearsal.providers.items():
        rates = ((provider.rpm, "requests"), (provider.tpm, "tokens"))
        limits = [f"{value:,g} {what} a minute" for value, what in rates if value is not None]
        told = f" ({_TOLD[provider.tells]})" if limits else ""
        known = provider.stands_for
        at_once = f", {known.parallel} calls at once" if known and known.parallel else ""
        faults = f", with {_many(len(provider.faults), 'fault')}" if provider.faults else ""
        yield f"assumed: {name} permits {' and '.join(limits) or 'any rate'}{told}{at_once}{faults}"
    wanted, most = report.subtasks, report.configured.max_subtasks
    if wanted is not None:
        raised = f" (max_subtasks is {most}: a run needs --max-subtasks {wanted})" if wanted > most else ""
        planned = report.rehearsal.definition.orchestrator is not None
        told = (
            f"a plan of {_many(wanted, 'subtask')}{raised}"
            if planned
            else "no plan, as in this workflow nobody makes one"
        )
        yield f"assumed: {told}"
    if report.configured.budget is not None and all(price == FREE for price in report.rehearsal.prices.values()):
        yield "assumed: every model is free, so a budget of money changes nothing; [prices] says what they cost"
    unpriced = [model for model, price in report.rehearsal.prices.items() if price is None]
    if unpriced:
        yield f"unknown: the price of {', '.join(unpriced)}, so there is no cost; [prices] in stretto.toml says it"


def _basis(model: _Assumed, recorded: Recorded | None) -> str:
    if recorded is None:
        return "the simulator's own"
    if not model.calls:
        return f"the simulator's own: {_many(recorded.calls.get(model.model, 0), 'recorded call')} are too few"
    simulated = ", simulated" if recorded.simulated else ""
    return f"from {_many(model.calls, 'call')} of {_many(recorded.runs, 'recorded run')}{simulated}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(report: Report) -> list[str]:
    """A row for each variation; differences are to the first one."""
    first = report.rows[0][1]
    rows = [_COLUMNS, *(_row(one.name, figures, first) for one, figures in report.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    over = ""
    for column, group in _GROUPS.items():
        over = over.ljust(sum(widths[:column]) + 2 * column) + group
    return [over, *lines]


def _row(name: str, figures: Figures, first: Figures) -> tuple[str, ...]:
    answered = [_share(figures.answered[state]) for state in ("full", "part", "none")]
    sent = f"{figures.requests['mean']:.0f}", _share(figures.rejected_share)
    return (name, *_span(figures.makespan, first.makespan), *_cost(figures.cost, first.cost), *sent, *answered)


def _span(span: Spread | None, first: Spread | None) -> tuple[str, ...]:
    if span is None:
        return "-", "", "-", "", "-"
    half, most = span["p50"], span["p95"]
    changes = [_change(span[p], first[p]) if first is not None and first is not span else "" for p in ("p50", "p95")]
    return _seconds(half), changes[0], _seconds(most), changes[1], _seconds(span["max"])


def _cost(cost: dict[str, Decimal] | None, first: dict[str, Decimal] | None) -> tuple[str, ...]:
    if cost is None:
        return "?", "", "?", "?"
    change = _change(cost["p50"], first["p50"]) if first is not None and first is not cost else ""
    return _dollars(cost["p50"]), change, _dollars(cost["p95"]), _dollars(cost["max"])


def _missing(report: Report) -> Iterator[str]:
    """Why something was missing in the configuration as it is."""
    figures = report.rows[0][1]
    if not figures.missing:
        return
    yield f"missing, {report.rows[0][0].name}:"
    for reason in figures.missing[:_REASONS]:
        times = f", {reason.times} times" if reason.times > reason.runs else ""
        yield f"  in {_share(reason.runs / figures.runs)} of the runs{times}: {short(reason.reason, _WIDE)}"
    if (more := len(figures.missing) - _REASONS) > 0:
        yield f"  and {more} other reason{'s' if more > 1 else ''} (--json lists them)"


def _change(value: float | Decimal, base: float | Decimal) -> str:
    """By how much a value differs from that of the first row."""
    percent = round(100 * (float(value) / float(base) - 1)) if base else 0
    return f"{percent:+d} %" if percent else "="


def _share(share: float) -> str:
    percent = 100 * share
    if 0 < percent < 0.05:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.1f} %"


def _seconds(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s"


def _dollars(cost: Decimal) -> str:
    return dollars(cost) if cost else "$0"
