"""What a run has spent, what it has set aside, and what it may still spend."""

import asyncio
import heapq
import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import count

from stretto.calls import Call
from stretto.errors import BudgetError
from stretto.policies.amounts import Amount, Bill, Wish, amount
from stretto.policies.estimate import tokens_in, usual_output
from stretto.types import Limits, Price, RoleName, Usage

_FLOOR = 4  # a reply is not kept shorter than the fourth part of what was wanted
_SHORTEST = 64  # tokens, unless less was wanted
_RETOLD = 1.5  # tokens of a reply, counted again as a part of the synthesizer's prompt by our estimate, at most


class Account:
    """The account of one run: nothing goes out that has not been reserved, so the limits hold for any number of calls.

    A wish that does not fit waits until others have settled; it is short, and a `BudgetError`, once nothing is
    outstanding. What the synthesis may need is set aside first: its own reply and its prompt, which grows with every
    reply of a worker. `spent` is what earlier executions of the run have paid.
    """

    def __init__(self, limits: Limits, spent: Amount = Amount()) -> None:  # noqa: B008 - frozen
        self.limited = limits.budget is not None or limits.tokens is not None
        self.spent = spent
        self._limits = limits
        self._reserved = Amount()
        self._outstanding = 0
        self._aside = Amount()
        self._answer = Amount()  # the part of it that is the reply, and may be shorter
        self._merging: Price | None = None
        self._merges = False
        self._waiting: list[tuple[bool, tuple[float, ...], int, Wish, asyncio.Future[int]]] = []
        self._tickets = count()
        self._serving: asyncio.Handle | None = None
        self._bills: dict[str, Bill] = {}
        self._duplicates = Amount()  # settled ones, and those under way at what they will usually come to
        self._usual: dict[RoleName, tuple[int, Usage, Price | None]] = {}

    def set_aside(self, asked: int, output: int | None, price: Price | None) -> None:
        """What the synthesis needs at least: the tokens of its request that are known now, and its reply."""
        self._merges, self._merging = True, price
        output = output or usual_output("synthesizer", 0)
        self._answer = amount(Usage(0, output - _least(output)), price)
        self._aside = amount(Usage(asked, output), price)

    def keep(self, text: str, *, instead_of: str = "") -> None:
        """The synthesizer's prompt will have this text in it, instead of another that was to be there."""
        if self.limited and self._merges:
            self._aside += amount(Usage(tokens_in(text)), self._merging)
            self._aside -= amount(Usage(tokens_in(instead_of)), self._merging)

    async def reserve(self, wish: Wish) -> int:
        """Set aside what a call may take; the tokens its reply may have. Raises `BudgetError` if that cannot be."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (wish.shorten, wish.rank, next(self._tickets), wish, future))
        self._serve_soon()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.release(wish, future.result())  # it was granted and taken away in the same moment
            self._serve_soon()  # whoever waited behind it may fit
            raise

    def release(self, wish: Wish, output: int) -> None:
        """Take back what was reserved."""
        self._reserved -= self._whole(wish, output)
        self._outstanding -= 1
        self._serve_soon()

    def send(self, call: str, attempt: object, most: Usage, price: Price | None) -> tuple[Usage, Decimal | None]:
        """An attempt of a call leaves, with so much set aside; what the call may come to altogether."""
        bill = self._bill(call)
        bill.under_way[attempt] = most, price.of(most) if price else None
        return bill.most()

    def drop(self, call: str, attempt: object) -> None:
        """An attempt of a call is over and cost nothing."""
        if call in self._bills:
            self._bills[call].under_way.pop(attempt, None)

    def settle(self, call: str, attempt: object, usage: Usage, price: Price | None, *, lost: bool) -> None:
        """An attempt of a call is over and has used this much; `lost` if nobody told of it."""
        paid = amount(usage, price)
        self.spent += paid
        bill = self._bill(call)
        bill.under_way.pop(attempt, None)
        bill.cost = None if price is None or bill.cost is None else bill.cost + paid.money
        if lost:
            bill.lost += usage

    def note(self, role: RoleName, usage: Usage, price: Price | None) -> None:
        """Remember what a reply in this role took."""
        known, total, _ = self._usual.get(role, (0, Usage(), None))
        self._usual[role] = known + 1, total + usage, price

    def usual(self, role: RoleName) -> tuple[Usage, Price | None] | None:
        """What a call in this role has taken so far, on the average, and its price."""
        if role not in self._usual:
            return None
        known, total, price = self._usual[role]
        return Usage(-(-total.input_tokens // known), -(-total.output_tokens // known)), price

    def race(self, paid: Amount) -> None:
        """A duplicate is expected to cost so much, or did cost so much more than was expected."""
        self._duplicates += paid

    def _bill(self, call: str) -> Bill:
        if (bill := self._bills.get(call)) is None:
            bill = self._bills[call] = Bill()
        return bill

    def bill(self, call: str) -> Bill:
        """What a call came to that is over."""
        return self._bills.pop(call, Bill())

    def may_hedge(self, calls: Sequence[Call]) -> bool:
        """Whether duplicates of all these calls stay within the share of the run's cost that they may have."""
        total = self._duplicates
        for call in calls:
            usual = self.usual(call.role)
            if usual is None:
                return False
            total += amount(*usual)
        if self.spent.money:
            return total.money <= Decimal(str(self._limits.hedge)) * self.spent.money
        return total.tokens <= self._limits.hedge * self.spent.tokens

    def told(self) -> str:
        """The limits and where they stand, for people."""
        budget, tokens, aside = self._limits.budget, self._limits.tokens, self._aside
        parts, kept = [], []
        if budget is not None:
            parts.append(f"${self.spent.money:.6f} of the budget of ${budget} are spent")
            kept.append(f"${aside.money:.6f}")
        if tokens is not None:
            parts.append(f"{self.spent.tokens:,} of {tokens:,} tokens are used")
            kept.append(f"{aside.tokens:,} tokens")
        told = " and ".join(parts)
        return f"{told}, {' and '.join(kept)} are set aside for the answer" if aside.tokens else told

    def _whole(self, wish: Wish, output: int) -> Amount:
        """A call with a reply of so many tokens, and what the reply will cost again as a part of a prompt."""
        if wish.role != "worker" or not self._merges:
            return wish.at(output)
        return wish.at(output) + amount(Usage(int(output * _RETOLD)), self._merging)

    def _fits(self, wish: Wish, output: int) -> bool:
        whole, budget, most = self._whole(wish, output), self._limits.budget, self._limits.tokens
        money = self.spent.money + self._reserved.money + whole.money
        tokens = self.spent.tokens + self._reserved.tokens + whole.tokens
        if wish.role != "synthesizer":  # for that it was set aside
            aside = self._aside - self._answer if wish.shorten else self._aside
            money, tokens = money + aside.money, tokens + aside.tokens
        return (budget is None or money <= budget) and (most is None or tokens <= most)

    def _serve_soon(self) -> None:
        """Look at those who wait once all of this moment have come: who comes together shares what is left."""
        if self._waiting and self._serving is None:
            self._serving = asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        self._serving = None
        while self._waiting:
            shorten, _, _, wish, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
            elif not shorten and self._fits(wish, wish.output):
                self._grant(wish, wish.output, future)
            elif self._outstanding:
                return
            elif shorten:
                self._share()
                return
            else:
                heapq.heappop(self._waiting)
                future.set_exception(BudgetError(self._short(wish)))

    def _share(self) -> None:
        """Nothing is outstanding and all who wait would take less: give each what is fair, as long as it lasts.

        Who gets nothing waits for what these leave over.
        """
        left = sum(not future.done() for *_, future in self._waiting)
        while self._waiting:
            _, _, _, wish, future = self._waiting[0]
            least = _least(wish.output)
            if future.done():
                heapq.heappop(self._waiting)
            elif self._fits(wish, least):
                fair = self._most(wish, wish.output * left) // left
                left -= 1
                self._grant(wish, max(least, min(wish.output, fair)), future)
            elif self._outstanding:
                return
            else:
                left -= 1
                heapq.heappop(self._waiting)
                future.set_exception(BudgetError(self._short(wish)))

    def _grant(self, wish: Wish, output: int, future: "asyncio.Future[int]") -> None:
        heapq.heappop(self._waiting)
        self._reserved += self._whole(wish, output)
        self._outstanding += 1
        future.set_result(output)

    def _most(self, wish: Wish, most: int) -> int:
        """The longest reply that would fit, in tokens, up to `most`."""
        least = 0
        while least < most:
            middle = (least + most + 1) // 2
            least, most = (middle, most) if self._fits(wish, middle) else (least, middle - 1)
        return least

    def _short(self, wish: Wish) -> str:
        need = self._whole(wish, wish.output)
        costs = f"${need.money:.6f} and " if self._limits.budget is not None else ""
        return (
            f"the budget is too small for this call, which may take up to {costs}{need.tokens:,} tokens: "
            f"{self.told()}; raise the budget, or lower max_tokens"
        )


def _least(output: int) -> int:
    """The shortest reply that is still worth paying for, where one of `output` tokens was wanted."""
    return min(output, max(_SHORTEST, output // _FLOOR))


def rank_of(call: Call) -> tuple[float, ...]:
    """The order in which calls get what is left: a worker's by what it is worth, then what holds the run back most."""
    value = call.value or 0.0
    return (-value if call.role == "worker" else -math.inf, *call.urgency.key)
