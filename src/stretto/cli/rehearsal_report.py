"""What a rehearsal found, as a table for people and as JSON."""

from collections.abc import Iterator
from textwrap import wrap

import msgspec
from msgspec import Struct

from stretto.cli.rehearsal_table import Row, advice, advised, share, table
from stretto.cli.words import short, span
from stretto.ground.text import many
from stretto.policies.prices import FREE
from stretto.rehearsal import Recorded, Rehearsal
from stretto.run.roles import roles
from stretto.types import Limits, Price

_REASONS = 3
_WIDE = 200  # characters of a reason


_TOLD = {"headers": "told in headers", "retry_after": "told only when to ask again", "nothing": "not told"}


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
    rows: tuple[Row, ...]


def as_json(report: Report) -> str:
    """One JSON object in one line; money as decimal strings."""
    rehearsal = report.rehearsal
    facts = {
        "simulated": True,
        "task": rehearsal.task,
        "seed": report.seed,
        "runs": report.rows[0].figures.runs,
        "change": advised(report.rows),
        "subtasks": report.subtasks,
        "models": list(_models(report)),
        "assumed": rehearsal.assumed,
        "providers": {
            name: {"rpm": p.rpm, "tpm": p.tpm, "faults": p.faults} for name, p in rehearsal.providers.items()
        },
        "variations": [
            {
                **{name: getattr(row.variation, name) for name in ("name", "changed", "limits")},
                **msgspec.structs.asdict(row.figures),
                "against": row.against,
            }
            for row in report.rows
        ],
    }
    return msgspec.json.Encoder(decimal_format="string").encode(facts).decode() + "\n"


def as_text(report: Report, columns: int | None) -> str:
    """The table in so many columns, which setting to change, what that rests on, and why something was missing."""
    lines = [*_head(report), "", *table(report.rows, columns), "", advice(report.rows), "", *_missing(report)]
    if columns is not None:
        # Those of the table fit, or cannot.
        lines = [part for line in lines for part in (_wrapped(line, columns) if ": " in line else [line])]
    return "\n".join(lines).rstrip() + "\n"


def _wrapped(line: str, columns: int) -> list[str]:
    return wrap(line, columns, subsequent_indent="  ", break_on_hyphens=False) or [""]


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
    runs, task = report.rows[0].figures.runs, short(report.rehearsal.task, 60)
    yield f"simulated: {many(runs, 'run')} a row of {task!r}; no model was asked, nothing was paid"
    for model in _models(report):
        yield (
            f"assumed: {model.model}: {model.ttft:.2g} s to the first token, then {model.tokens_per_second:.3g} tokens "
            f"a second, {model.length:.0f} tokens from a worker ({_basis(model, report.recorded)})"
        )
    waiting = {
        model.partition(":")[0]
        for _, _, role in roles(report.rehearsal.definition)
        for model in (role.all_models if role.batch else ())
    }
    for name, provider in report.rehearsal.providers.items():
        rates = ((provider.rpm, "requests"), (provider.tpm, "tokens"))
        limits = [f"{value:,g} {what} a minute" for value, what in rates if value is not None]
        told = f" ({_TOLD[provider.tells]})" if limits else ""
        known = provider.stands_for
        at_once = f", {known.parallel} calls at once" if known and known.parallel else ""
        batch = f", a batch takes {span(provider.batch)}" if name in waiting else ""
        faults = f", with {many(len(provider.faults), 'fault')}" if provider.faults else ""
        yield f"assumed: {name} permits {' and '.join(limits) or 'any rate'}{told}{at_once}{batch}{faults}"
    wanted, most = report.subtasks, report.configured.max_subtasks
    if wanted is not None:
        raised = f" (max_subtasks is {most}: a run needs --max-subtasks {wanted})" if wanted > most else ""
        planned = report.rehearsal.definition.orchestrator is not None
        told = (
            f"a plan of {many(wanted, 'subtask')}{raised}"
            if planned
            else "no plan, as in this workflow nobody makes one"
        )
        yield f"assumed: {told}"
    if report.configured.budget is not None and all(price == FREE for price in report.rehearsal.prices.values()):
        yield "assumed: every model is free, so a budget of money changes nothing; [prices] says what they cost"
    yield from (f"price assumed: {each}" for each in report.rehearsal.assumed)
    unpriced = [model for model, price in report.rehearsal.prices.items() if price is None]
    if unpriced:
        yield f"unknown: the price of {', '.join(unpriced)}, so there is no cost; [prices] in stretto.toml says it"


def _basis(model: _Assumed, recorded: Recorded | None) -> str:
    if recorded is None:
        return "the simulator's own"
    if not model.calls:
        return f"the simulator's own: {many(recorded.calls.get(model.model, 0), 'recorded call')} are too few"
    simulated = ", simulated" if recorded.simulated else ""
    return f"from {many(model.calls, 'call')} of {many(recorded.runs, 'recorded run')}{simulated}"


def _missing(report: Report) -> Iterator[str]:
    """Why something was missing in the configuration as it is."""
    figures = report.rows[0].figures
    if not figures.missing:
        return
    yield f"missing, {report.rows[0].variation.name}:"
    for reason in figures.missing[:_REASONS]:
        times = f", {reason.times} times" if reason.times > reason.runs else ""
        yield f"  in {share(reason.runs / figures.runs)} of the runs{times}: {short(reason.reason, _WIDE)}"
    if (more := len(figures.missing) - _REASONS) > 0:
        yield f"  and {more} other reason{'s' if more > 1 else ''} (--json lists them)"
