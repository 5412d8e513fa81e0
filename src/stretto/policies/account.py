"""What a run has spent, what it has set aside, and what it may still spend."""

import asyncio
import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import count

from stretto.calls import Call
from stretto.errors import BudgetError
from stretto.policies.estimate import least_output, most_asked, most_head, most_in, usual_output
from stretto.policies.shortage import shortage
from stretto.policies.spending import NOTHING, Amount, Bill, Wish, amount
from stretto.types import Limits, Price, Request, RoleName, Usage

_RETOLD = 1.5  # tokens of a reply, counted again as a part of the synthesizer's prompt by our estimate, at most


class Account:
    """The account of one run: nothing goes out that has not been reserved, so the limits hold for any number of calls.

    A wish that does not fit waits until others have settled; it is short, and a `BudgetError`, once nothing is
    outstanding. What the synthesis may need is set aside first: its own reply and its prompt, which grows with every
    reply of a worker. `spent` is what earlier executions of the run have paid; `assumed` says of models whose price
    that is, where it is assumed.
    """

    def __init__(self, limits: Limits, spent: Amount = NOTHING, assumed: Mapping[str, str] | None = None) -> None:
        self.limited = limits.budget is not None or limits.tokens is not None
        self.spent = spent
        self._assumed = {} if assumed is None else assumed
        self._limits = limits
        self._reserved = NOTHING
        self._outstanding = 0
        self._aside = NOTHING
        self._answer = NOTHING  # the part of it that is the reply, and may be shorter
        self._merging: Price | None = None
        self._merges = False
        self._waiting: list[tuple[bool, tuple[float, ...], int, Wish, asyncio.Future[int]]] = []
        self._tickets = count()
        self._serving: asyncio.Handle | None = None
        self._bills = defaultdict[str, Bill](Bill)
        self._duplicates = NOTHING  # settled ones, and those under way at what they will usually come to
        self._heads: dict[str, int] = {}  # tokens at most of each, by digest
        self._denser: dict[str, Fraction] = {}  # by model: how many times as many tokens a request was as was reckoned
        self._unheard: dict[str, int] = {}  # by model
        self._usual: dict[RoleName, tuple[int, int, int, Price | None]] = {}

    @property
    def assumed(self) -> tuple[str, ...]:
        """The models with an assumed price, and whose that is."""
        return tuple(f"{model}: {whose}" for model, whose in sorted(self._assumed.items()))

    def asked(self, model: str, request: Request) -> int:
        """Tokens that a request to a model may be at most, by what is in it and by what others turned out to be."""
        most = self._reckoned(request)
        return math.ceil(most * self._denser[model]) if model in self._denser else most

    def _reckoned(self, request: Request) -> int:
        head = request.head
        if head and head.digest not in self._heads:
            self._heads[head.digest] = most_head(head)
        return most_asked(request, self._heads[head.digest] if head else None)

    def counted(self, model: str, request: Request, told: int) -> None:
        """A request to a model is told to have been so many tokens, more than it was reckoned as when it left.

        Others that left with it may tell the same, so it is held against what is in it, and not against that.
        """
        if most := self._reckoned(request):
            self._denser[model] = max(self._denser.get(model, Fraction(1)), Fraction(told, most))

    def wrote_unheard(self, model: str, tokens: int) -> None:
        """A model's reply is told to have been so many tokens more than what was heard of it: thoughts, as a rule."""
        self._unheard[model] = max(self._unheard.get(model, 0), tokens)

    def unheard(self, model: str) -> int:
        """Tokens that a model's replies may be beyond what is heard of them: no limit is sure to shorten these."""
        return self._unheard.get(model, 0)

    def set_aside(self, asked: int, output: int | None, price: Price | None) -> None:
        """What the synthesis needs at least: the tokens of its request that are known now, and its reply."""
        self._merges, self._merging = True, price
        wanted = output or usual_output("synthesizer", 0)
        self._answer = amount(Usage(0, wanted - least_output(wanted, told=output is not None)), price)
        self._aside = amount(Usage(asked, wanted), price)

    def keep(self, text: str, *, instead_of: str = "") -> None:
        """The synthesizer's prompt will have this text in it, instead of another that was to be there."""
        if self.limited and self._merges:
            self._aside += amount(Usage(most_in(text)), self._merging)
            self._aside -= amount(Usage(most_in(instead_of)), self._merging)

    def grant(self, wish: Wish) -> bool:
        """Set aside what a call may take if there is enough for all, as nearly always; whether there was."""
        return not (self._waiting or wish.shorten or self._scarce) and self._hold(wish, wish.output)

    async def reserve(self, wish: Wish) -> int:
        """Set aside what a call may take; the tokens its reply may have. Raises `BudgetError` if that cannot be."""
        if self.grant(wish):
            return wish.output
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (wish.shorten, wish.rank, next(self._tickets), wish, future))
        self._serve_soon()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and not future.exception():
                self.release(wish)  # it was granted and taken away in the same moment
            self._serve_soon()  # whoever waited behind it may fit
            raise

    def release(self, wish: Wish) -> None:
        """Take back what was reserved."""
        self._reserved -= wish.held
        self._outstanding -= 1
        self._serve_soon()

    def stretch(self, wish: Wish, output: int) -> bool:
        """Set aside as much as a reply of so many tokens takes that is under way already; whether there was enough."""
        held, self._outstanding = wish.held, self._outstanding - 1
        self._reserved -= held
        if self._hold(wish, output):
            return True
        self._reserved += held
        self._outstanding += 1
        return False

    def send(self, call: str, attempt: object, most: Usage, cost: Decimal | None) -> tuple[Usage, Decimal | None]:
        """An attempt of a call leaves, with so much set aside; what the call may come to altogether."""
        bill = self._bills[call]
        bill.under_way[attempt] = most, cost
        return bill.most()

    def drop(self, call: str, attempt: object) -> None:
        """An attempt of a call is over and cost nothing."""
        if call in self._bills:
            self._bills[call].under_way.pop(attempt, None)

    def settle(self, call: str, attempt: object, usage: Usage, price: Price | None, *, lost: bool) -> None:
        """An attempt of a call is over and has used this much; `lost` if nobody told of it."""
        paid = amount(usage, price)
        self.spent += paid
        bill = self._bills[call]
        bill.under_way.pop(attempt, None)
        bill.cost = None if price is None or bill.cost is None else bill.cost + paid.money
        if lost:
            bill.lost += usage

    def note(self, role: RoleName, usage: Usage, price: Price | None) -> None:
        """Remember what a reply in this role took."""
        known, asked, written, _ = self._usual.get(role, (0, 0, 0, None))
        self._usual[role] = known + 1, asked + usage.input_tokens, written + usage.output_tokens, price

    def usual(self, role: RoleName) -> tuple[Usage, Price | None] | None:
        """What a call in this role has taken so far, on the average, and its price."""
        if role not in self._usual:
            return None
        known, asked, written, price = self._usual[role]
        return Usage(-(-asked // known), -(-written // known)), price

    def race(self, paid: Amount) -> None:
        """A duplicate is expected to cost so much, or did cost so much more than was expected."""
        self._duplicates += paid

    def bill(self, call: str) -> Bill:
        """What a call came to that is over."""
        return self._bills.pop(call, None) or Bill()

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

    def _whole(self, wish: Wish, own: Amount, output: int) -> Amount:
        """A call's `own` amount, and what a reply of so many tokens will cost again as a part of a prompt."""
        if wish.role != "worker" or not self._merges:
            return own
        return own + amount(Usage(int(output * _RETOLD)), self._merging)

    def _hold(self, wish: Wish, output: int) -> bool:
        """Set aside a call with a reply of so many tokens, if that fits."""
        own = wish.at(output)
        whole = self._whole(wish, own, output)
        if not self._fits(wish, whole):
            return False
        wish.held, wish.cost = whole, own.money if wish.price else None
        self._reserved += whole
        self._outstanding += 1
        return True

    @property
    def _scarce(self) -> bool:
        """Whether so much is spent or set aside that it matters who gets the rest."""
        budget, tokens = self._limits.budget, self._limits.tokens
        spent, reserved, aside = self.spent, self._reserved, self._aside
        return (budget is not None and 2 * (spent.money + reserved.money + aside.money) > budget) or (
            tokens is not None and 2 * (spent.tokens + reserved.tokens + aside.tokens) > tokens
        )

    def _fits(self, wish: Wish, whole: Amount) -> bool:
        budget, tokens = self._limits.budget, self._limits.tokens
        spent, reserved, aside = self.spent, self._reserved, NOTHING
        if wish.role != "synthesizer":  # for that it was set aside
            aside = self._aside - self._answer if wish.shorten else self._aside
        return (budget is None or spent.money + reserved.money + aside.money + whole.money <= budget) and (
            tokens is None or spent.tokens + reserved.tokens + aside.tokens + whole.tokens <= tokens
        )

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
            elif not shorten and self._hold(wish, wish.output):
                heapq.heappop(self._waiting)
                future.set_result(wish.output)
            elif self._outstanding:
                return
            elif shorten:
                self._share()
                return
            else:
                heapq.heappop(self._waiting)
                future.set_exception(self._short(wish))

    def _share(self) -> None:
        """Nothing is outstanding and all who wait would take less: give each what is fair, as long as it lasts.

        Who gets nothing waits for what these leave over.
        """
        left = sum(not future.done() for *_, future in self._waiting)
        while self._waiting:
            _, _, _, wish, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
            elif (most := self._most(wish, wish.output * left)) >= wish.least:
                granted = max(wish.least, min(wish.output, most // left))
                self._hold(wish, granted)
                left -= 1
                heapq.heappop(self._waiting)
                future.set_result(granted)
            elif self._outstanding:
                return
            else:
                left -= 1
                heapq.heappop(self._waiting)
                future.set_exception(self._short(wish))

    def _most(self, wish: Wish, most: int) -> int:
        """The longest reply that would fit, in tokens, up to `most`; below 0 if not even an empty one would."""
        least = -1
        while least < most:
            middle = (least + most + 1) // 2
            fits = self._fits(wish, self._whole(wish, wish.at(middle), middle))
            least, most = (middle, most) if fits else (least, middle - 1)
        return least

    def _short(self, wish: Wish) -> BudgetError:
        """Why a wish cannot be granted, with what would do."""
        need, aside = wish.at(wish.output), NOTHING
        if wish.role != "synthesizer":
            aside = self._aside + self._whole(wish, need, wish.output) - need
        return shortage(self._limits, self.spent, need, aside)


def rank_of(call: Call) -> tuple[float, ...]:
    """The order in which calls get what is left: a worker's by what it is worth, then what holds the run back most."""
    value = call.value or 0.0
    return (-value if call.role == "worker" else -math.inf, *call.urgency.key)
