"""The budget of a day: what all runs of a store may cost, of which each sets its own budget aside while it is carried.

A run counts on the day on which it was carried last, with all that it has cost.
"""

from decimal import Decimal

from stretto.errors import DayBudgetError, StoreError
from stretto.store.carriers import is_carried
from stretto.store.connecting import opened
from stretto.store.database import ALONE, Database, transaction
from stretto.store.locations import Location
from stretto.store.logs import events_of
from stretto.store.schema import PATIENCE
from stretto.store.spent import paid, today

_KEEP = "INSERT INTO aside VALUES (?, ?) ON CONFLICT (run) DO UPDATE SET amount = excluded.amount"


def set_aside(location: Location, run: str, budget: Decimal, most: Decimal, patience: float = PATIENCE) -> bool:
    """Set aside what a run may cost, as long as this process carries it, of what all may cost today.

    False if that may be possible when runs are over that are being carried; raises `DayBudgetError` if it is not. What
    other runs have cost that are not over is found in their logs.
    """
    with opened(location, patience=patience) as db, transaction(db, ALONE):
        held = _held(db, location, run)
        cost = _spent(db, location, {run, *held})
        if cost + budget > most:
            raise DayBudgetError(_why(location, budget, most, cost))
        if fits := cost + sum(held.values()) + budget <= most:
            db.execute(_KEEP, (run, str(budget)))
        return fits


def _held(db: Database, location: Location, run: str) -> dict[str, Decimal]:
    """What other runs have set aside that are being carried; what is left of others is cleared away."""
    held = dict[str, Decimal]()
    for other, amount in db.execute("SELECT run, amount FROM aside WHERE run <> ?", (run,)).fetchall():
        if is_carried(db, location, other):
            held[other] = Decimal(amount)
        else:
            db.execute("DELETE FROM aside WHERE run = ?", (other,))
    return held


def _spent(db: Database, location: Location, apart: set[str]) -> Decimal:
    """What all runs but some have cost that were carried today."""
    rows = db.execute("SELECT run, status, cost FROM runs WHERE last_at >= ?", (today(),)).fetchall()
    return sum((_cost(db, location, *row) for row in rows if row[0] not in apart), Decimal(0))


def _cost(db: Database, location: Location, run: str, status: str, cost: str | None) -> Decimal:
    if status == "finished" and cost is not None:
        return Decimal(cost)
    try:
        return paid(events_of(db, location, run))
    except StoreError:  # its log is damaged: what the list of runs says is the best that is left
        return Decimal(cost or 0)


def _why(location: Location, budget: Decimal, most: Decimal, cost: Decimal) -> str:
    return (
        f"{location}: the budget of the day (${most:f}, limits.budget_per_day) does not allow this run ${budget:f} "
        f"(limits.budget): runs have cost ${cost:f} today (UTC). Go on tomorrow, or raise the one or lower the other"
    )
