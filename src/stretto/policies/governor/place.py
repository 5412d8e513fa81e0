"""A call's place in a queue."""

import asyncio
import math
from collections.abc import Callable

from stretto.calls import Call
from stretto.policies.governor.lane import Lane, Passage

LONG = 5.0
"""Seconds; a wait of that long is told."""


class HeldBackError(Exception):
    """Nobody goes out for so many seconds (`wait`), as the provider has told."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Place:
    """A call's place in a queue. It is kept by one that is sent back.

    `patience`: seconds it may be held back by limits that its provider has told. `told`: the loop time until which it
    knows to be held back.
    """

    __slots__ = (
        "_lane", "_most", "_push", "arrived", "call", "characters", "future", "held_since", "key", "patience",
        "ticket", "told",
    )  # fmt: skip

    def __init__(
        self, lane: Lane, push: Callable[["Place"], None], call: Call, ticket: int, patience: float = math.inf
    ) -> None:
        self._lane = lane
        self._push = push
        self.call = call
        self.ticket = ticket
        self.patience = patience
        self.told = -math.inf
        self.arrived = asyncio.get_running_loop().time()
        self.held_since: float | None = None
        """Since when refusals hold it back; None if it was not refused."""
        self.characters = sum([len(message.content) for message in call.request.messages])
        self.characters += call.request.head.size if call.request.head else 0
        options = call.request.options
        most = (options.get("max_completion_tokens") or options.get("max_tokens")) if options else None
        self._most = most if isinstance(most, int | float) else math.inf
        self.key = call.urgency.key
        self.future: asyncio.Future[Passage] | None = None

    def __lt__(self, other: "Place") -> bool:
        """Two entries of one place in a heap are alike."""
        return False

    @property
    def tokens(self) -> float:
        """How many tokens the call is expected to be, by what is known now: while it waited others were answered."""
        return self._lane.estimate(self.call.role, self.characters, self._most)

    @property
    def waits(self) -> bool:
        """Whether the call waits, and was not cancelled."""
        return self.future is not None and not self.future.done()

    def learns(self, now: float) -> float | None:
        """Seconds it will be held back, if those are many and news, or more than it has patience for."""
        until = self._lane.told_until(self.tokens, now)
        wait = until - now
        if wait <= self.patience and (wait < LONG or until < self.told + LONG):
            return None
        self.told = until
        return wait

    def moved(self) -> None:
        """The call has become more urgent, or less."""
        self.key = self.call.urgency.key
        if self.future is not None:
            self._push(self)
