"""Approval over HTTP: a proposal waits until somebody answers, and keeps no place meanwhile."""

import asyncio
from contextlib import ExitStack

from stretto.proposal import Decision, Proposal, Stop
from stretto.server.endpoint.turnstile import Place
from stretto.server.refused import RefusedError


class Approver:
    """Decides about the plans of one run by what `answer` is told; `places` holds the place of the run."""

    def __init__(self) -> None:
        self.places = ExitStack()
        self._asked: tuple[Proposal, asyncio.Future[tuple[Decision, Place | None]]] | None = None

    @property
    def proposal(self) -> Proposal | None:
        """What waits for an answer."""
        return self._asked[0] if self._asked and not self._asked[1].done() else None

    async def __call__(self, proposal: Proposal) -> Decision:
        """What is decided about a proposal."""
        self._asked = proposal, asyncio.get_running_loop().create_future()
        self.places.close()  # nobody knows how long it takes a person
        decision, place = await self._asked[1]
        try:
            if place:
                await place.turn()
        except RefusedError:  # the server is stopping; whoever goes on with the run is asked once more
            return Stop()
        return decision

    def answer(self, decision: Decision, place: Place | None) -> None:
        """Decide about what waits; the run goes on in this place, if it takes one."""
        assert self._asked is not None  # noqa: S101 - there is a proposal
        if place:
            self.places.enter_context(place)
        self._asked[1].set_result((decision, place))
