"""How far a batch is."""

from decimal import Decimal
from typing import Literal

from msgspec import Struct

State = Literal["done", "partial", "failed"]
"""Of a line: answered, answered with something missing, not answered."""


class Counts(Struct):
    """Lines of the batch's file by what became of them, in this start or an earlier one.

    - `lines`: all of them.
    - `before`: those that an earlier start has written.
    - `done`, `partial`, `failed`: by their state.
    - `under_way`: those that are being carried.
    - `cost`: US dollars that the runs of this start have cost, as far as prices are known.
    - `unpaid`: whether the total budget, or that of the day, left some of them undone.
    """

    lines: int = 0
    before: int = 0
    done: int = 0
    partial: int = 0
    failed: int = 0
    under_way: int = 0
    cost: Decimal = Decimal(0)
    unpaid: bool = False

    @property
    def over(self) -> int:
        """Those of which something came out."""
        return self.done + self.partial + self.failed

    @property
    def left(self) -> int:
        """Those of which nothing came out so far."""
        return self.lines - self.over

    def count(self, state: State, cost: Decimal | None = None) -> None:
        """One more in this state, whose run has cost so much."""
        setattr(self, state, getattr(self, state) + 1)
        self.cost += cost or Decimal(0)
