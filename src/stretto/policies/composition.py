"""The policies of one run, one inside the other, around the models that are shared."""

import asyncio
import random
from collections.abc import Callable, MutableMapping

from msgspec import Struct

from stretto.calls import Model
from stretto.policies.account import Account
from stretto.policies.budget import Budget
from stretto.policies.memo import Memo
from stretto.policies.prices import Prices
from stretto.policies.retry import Retry
from stretto.types import Limits, Reply, Role


class Opened(Struct, frozen=True):
    """A model that is ready to be asked, and what all who ask it share: `model` waits for admission by itself."""

    name: str
    model: Model


class Composition:
    """Gives a run the model of a role: `Memo(Retry(Budget(model)))`.

    `opened` gives what is shared of a model as written. `replies` holds the complete replies of the run by fingerprint,
    and takes in new ones. `jitter` draws a number between two: how long to wait before a call is asked again.
    """

    def __init__(
        self,
        opened: Callable[[str], Opened],
        limits: Limits,
        account: Account,
        prices: Prices,
        replies: MutableMapping[str, Reply],
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._opened = opened
        self._limits = limits
        self._account = account
        self._prices = prices
        self._replies = replies
        self._jitter = jitter
        self._asking: dict[str, asyncio.Event] = {}
        self._composed: dict[tuple[str, ...], Model] = {}

    def model(self, role: Role) -> Model:
        """The model of a role, with its fallbacks."""
        names = role.models
        if names not in self._composed:
            self._composed[names] = Memo(self._choice(self._opened(names[0])), self._replies, self._asking)
        return self._composed[names]

    def _choice(self, opened: Opened) -> Model:
        limits = self._limits
        paid = Budget(opened.model, opened.name, self._account, self._prices, limits.max_subtasks)
        return Retry(paid, limits.attempts, limits.max_wait, self._jitter)
