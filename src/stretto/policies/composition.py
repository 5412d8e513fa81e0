"""The policies of one run, one inside the other, around the models that are shared."""

import random
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from stretto.calls import Model
from stretto.policies.account import Account
from stretto.policies.batched import Batched
from stretto.policies.bounds import Bound, Bounds
from stretto.policies.breaker import Breaker, Circuit
from stretto.policies.budget import Budget
from stretto.policies.fallback import Fallback
from stretto.policies.hedge import Hedge
from stretto.policies.latency import Latencies
from stretto.policies.memo import Memo, Replies
from stretto.policies.prices import Prices
from stretto.policies.retry import Retry
from stretto.types import Limits, Role


class Opened(Struct, frozen=True):
    """A model that is ready to be asked, with what all who ask it share.

    `model` waits for admission by itself; `spare` says whether one more request could leave now and nobody waits.
    `plain`: it is asked once and costs nothing, as a function is. `batch`: the same model by its provider's Batch API,
    if that has one, and `batch_price`, which part of its price that costs.
    """

    name: str
    model: Model
    spare: Callable[[], bool]
    circuit: Circuit
    latencies: Latencies
    plain: bool = False
    batch: Callable[[], Model] | None = None
    batch_price: float = 1.0


class Composition:
    """Gives a run the model of a role: `Memo(Hedge(Fallback(Retry(Breaker(Bound(Budget(model)))))))`.

    Without `Fallback` where that has nothing to choose: of one model, and no budget for which it may ask for less.
    Of a role that can wait the innermost is `Batched(Budget(batch), Budget(model))`: each way pays its own price.

    `opened` gives what is shared of a model as written. `replies` holds what calls of the run may be answered from, and
    takes in new ones. `jitter` draws a number between two: how long to wait before a call is asked again.
    Without `bounds` a reply may be as long as it likes.
    """

    def __init__(
        self,
        opened: Callable[[str], Opened],
        limits: Limits,
        account: Account,
        prices: Prices,
        replies: Replies,
        jitter: Callable[[float, float], float] = random.uniform,
        bounds: Bounds | None = None,
    ) -> None:
        self._opened = opened
        self._limits = limits
        self._account = account
        self._prices = prices
        self._replies = replies
        self._jitter = jitter
        self._bounds = bounds
        self._composed: dict[tuple[object, ...], Model] = {}

    def model(self, role: Role) -> Model:
        """The model of a role, with its fallbacks."""
        names = role.candidates
        asked = (*names, role.batch, role.expired)
        if asked not in self._composed:
            first, last = self._opened(names[0]), names[-1]
            if first.plain:
                return self._composed.setdefault(asked, Memo(first.model, self._replies))
            choices = [(name, self._choice(self._opened(name), role, guards=name != last)) for name in names]
            model = choices[0][1]
            if len(choices) > 1 or self._account.limited:
                model = Fallback(choices, partial(_cheaper, self._prices))
            if self._limits.hedge and not role.batch:  # whose calls may all take hours
                model = Hedge(model, first.latencies, first.spare, self._account)
            self._composed[asked] = Memo(model, self._replies)
        return self._composed[asked]

    def _choice(self, opened: Opened, role: Role, *, guards: bool) -> Model:
        limits, paid = self._limits, self._paid(opened, opened.model)
        if role.batch and opened.batch is not None:
            batch = self._paid(opened, opened.batch(), opened.batch_price)
            paid = Batched(batch, paid if role.expired == "live" else None)
        bounded = Bound(paid, opened.name, self._bounds) if self._bounds else paid
        guarded = Breaker(bounded, opened.circuit, guards=guards)
        return Retry(guarded, limits.attempts, limits.max_wait, self._jitter)

    def _paid(self, opened: Opened, model: Model, part: float = 1.0) -> Model:
        """The model as it pays, this part of its price, for what it is asked."""
        return Budget(model, opened.name, self._account, self._prices, self._limits.max_subtasks, part)


def _cheaper(prices: Prices, this: str, that: str) -> bool:
    """Whether that model is cheaper than this one."""
    here, there = prices.known.get(this), prices.known.get(that)
    return here is not None and there is not None and there.input + there.output < here.input + here.output
