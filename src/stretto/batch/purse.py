"""The budget of a whole batch: a run begins only if its whole budget is left of it."""

import asyncio
from decimal import Decimal


class Purse:
    """What all runs together may cost, US dollars; `each`: the budget of one, which is set aside while it is carried.

    `spent`: what runs of the batch have cost before.
    """

    def __init__(self, total: Decimal, each: Decimal, spent: Decimal) -> None:
        self._total = total
        self._each = each
        self._spent = spent
        self._begun = 0
        self._changed = asyncio.Condition()

    async def take(self, before: Decimal) -> bool:
        """Set a run's budget aside, of which `before` is spent already; False if it is not left.

        It waits for runs that are being carried as long as what they may leave could be enough.
        """
        async with self._changed:
            while self._total - self._spent + before - self._each * self._begun < self._each:
                if not self._begun:
                    return False
                await self._changed.wait()
            self._spent -= before
            self._begun += 1
            return True

    async def settle(self, cost: Decimal) -> None:
        """A run is over, and has cost so much over all its executions."""
        async with self._changed:
            self._spent += cost
            self._begun -= 1
            self._changed.notify_all()
