"""What `stretto doctor` finds out, as data, and as lines for people."""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from stretto.cli import NOT_THERE
from stretto.config.origins import Value
from stretto.ground.text import many

_WIDEST = 32

State = Literal["ok", "off", "warning", "fault"]
"""`fault`: configured, and cannot work; `warning`: it may not work; `off`: not there, and nothing needs it."""


class Check(Struct, frozen=True):
    """Something that was looked at: its `name`, how it stands, and in words what was found."""

    name: str
    state: State
    said: str


class Diagnosis(Struct, frozen=True):
    """All that `stretto doctor` says: `settings` in force, and by heading what was looked at."""

    versions: dict[str, str]
    extras: list[Check]
    files: list[Check]
    settings: list[Value]
    variables: list[Check]
    endpoints: list[Check]
    prices: list[Check]
    store: list[Check]

    @property
    def checks(self) -> list[Check]:
        """Everything that may be a fault."""
        return [*self.files, *self.variables, *self.endpoints, *self.prices, *self.store]

    @property
    def faults(self) -> list[Check]:
        """What is configured and cannot work."""
        return [check for check in self.checks if check.state == "fault"]


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The diagnosis for people: a heading, and below it what belongs there in columns."""
    yield from _section("Versions", [*diagnosis.versions.items(), *((f"[{e.name}]", e.said) for e in diagnosis.extras)])
    yield from _section("Configuration", [(_marked(check), check.said) for check in diagnosis.files])
    yield from _section("In force", [(v.place, v.value, v.origin) for v in diagnosis.settings])
    for heading, checks in (
        ("Variables that are set", diagnosis.variables),
        ("Endpoints", diagnosis.endpoints),
        ("Prices", diagnosis.prices),
        ("Store", diagnosis.store),
    ):
        yield from _section(heading, [(_marked(check), check.said) for check in checks])
    yield from _section("Not there", NOT_THERE)
    count, doubts = len(diagnosis.faults), sum(check.state == "warning" for check in diagnosis.checks)
    warned = f"{many(doubts, 'warning')} (marked ?)" if doubts else ""
    faults = f"{many(count, 'fault')} (marked !)" if count else ""
    yield ", ".join(filter(None, (faults, warned))) or "Nothing is amiss."


def _marked(check: Check) -> str:
    return f"{ {'fault': '!', 'warning': '?'}.get(check.state, ' ') } {check.name}"


def _section(heading: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        return
    yield heading
    marked = any(row[0].startswith(("! ", "? ", "  ")) for row in rows)
    columns = list(zip(*rows, strict=True))[:-1]
    # Of a column in the middle a long cell (a path) may reach further than all others.
    widths = [max(min(len(cell), _WIDEST if at else len(cell)) for cell in cells) for at, cells in enumerate(columns)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        yield ("" if marked else "  ") + "  ".join([*cells, row[-1]]).rstrip()
    yield ""
