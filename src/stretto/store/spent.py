"""What runs have cost, as the store tells it."""

from collections.abc import Iterable
from decimal import Decimal

from stretto.events import RunResumed
from stretto.fold import Fold
from stretto.store.sqlite import Store
from stretto.store.summary import Summary


def spent(store: Store, runs: Iterable[Summary]) -> Decimal:
    """US dollars that these runs have cost; what a kill has cut off, the most that it may have."""
    return sum((_cost(store, each) for each in runs), Decimal(0))


def _cost(store: Store, told: Summary) -> Decimal:
    if told.status == "finished" and told.cost is not None:
        return told.cost
    fold = Fold()
    for event in (*store.events(told.run), RunResumed(workflow={})):
        fold.take(event)
    return fold.paid
