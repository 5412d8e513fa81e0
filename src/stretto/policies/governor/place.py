"""A call's place in a queue."""

import asyncio
import math
from collections.abc import Callable

from stretto.calls import Call
from stretto.policies.governor.lane import Lane, Passage


class Place:
    """A call's place in a queue. It is kept by one that is sent back."""

    __slots__ = ("_lane", "_most", "_push", "call", "characters", "future", "key", "ticket")

    def __init__(self, lane: Lane, push: Callable[["Place"], None], call: Call, ticket: int) -> None:
        self._lane = lane
        self._push = push
        self.call = call
        self.ticket = ticket
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

    def moved(self) -> None:
        """The call has become more urgent, or less."""
        self.key = self.call.urgency.key
        if self.future is not None:
            self._push(self)
