"""Asking for approval: a plan becomes a proposal, and whoever is to decide about it does."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from decimal import Decimal

from msgspec import Struct

from stretto.errors import ConfigError
from stretto.events import PlanProposed
from stretto.proposal import Again, Approve, Decision, Drop, Edit, Go, Leave, Proposal, Stop
from stretto.store.journal import Journal
from stretto.types import Plan, Usage

Ahead = Callable[[Plan], Awaitable[Callable[[], Proposal]]]
"""Gives what makes the forecast of what is left to do of a plan, which takes a while and may be called elsewhere."""

_DECISIONS = Go | Edit | Drop | Again | Stop | Leave


class Approved(Struct, frozen=True):
    """A proposal that may be carried out, and where its run stood then: what it had used, and the loop's time."""

    proposal: Proposal
    usage: Usage
    paid: Decimal
    at: float


class Approval:
    """Has plans of one run approved; `approved` is the proposal that was, if one was."""

    def __init__(self, approve: Approve, ahead: Ahead, journal: Journal) -> None:
        self._approve = approve
        self._ahead = ahead
        self._journal = journal
        self.approved: Approved | None = None

    async def __call__(self, plan: Plan) -> Decision:
        """What is decided about a plan."""
        proposal = (await self._ahead(plan))()
        self._journal.append(PlanProposed(subtasks=len(plan.subtasks)))
        decision = self._approve(proposal)
        if inspect.isawaitable(decision):
            decision = await decision
        if not isinstance(decision, _DECISIONS):
            raise ConfigError(f"approve: must return Go(), Edit(…), Drop(…), Again(…) or Stop(), not {decision!r}")
        if isinstance(decision, Go):
            fold = self._journal.fold
            self.approved = Approved(proposal, fold.usage, fold.paid, asyncio.get_running_loop().time())
        return decision
