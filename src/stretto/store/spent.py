"""What runs have cost, as the store tells it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from stretto.events import AnyEvent, RunResumed
from stretto.fold import Fold
from stretto.store.sqlite import Store
from stretto.store.summary import Summary


def today() -> str:
    """The day in UTC, for which budgets count."""
    return datetime.now(UTC).date().isoformat()


def spent(store: Store, runs: Iterable[Summary]) -> Decimal:
    """US dollars that these runs have cost; what a kill has cut off, the most that it may have."""
    return sum((_cost(store, each) for each in runs), Decimal(0))


def paid(log: Iterable[AnyEvent]) -> Decimal:
    """US dollars that a run has cost by its log; of what is not over, the most that it may."""
    fold = Fold()
    for event in (*log, RunResumed(workflow={})):
        fold.take(event)
    return fold.paid


def _cost(store: Store, told: Summary) -> Decimal:
    if told.status == "finished" and told.cost is not None:
        return told.cost
    return paid(store.events(told.run))
