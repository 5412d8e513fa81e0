"""Hedge: a call that takes longer than most is asked a second time, and the first answer wins."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from stretto.calls import Call, Chunk, Model
from stretto.policies.latency import Latencies
from stretto.policies.race import Race


class Account(Protocol):
    """Who knows what a run may spend on duplicates."""

    def may_hedge(self, calls: Sequence[Call]) -> bool:
        """Whether duplicates of all these calls, at their worst, still fit into their share of the run's cost."""
        ...


class Hedge:
    """Asks `model` a second time for a reply that outlasts the 95th percentile learned for it, counted from `Sent`.

    Once a call, and only if the call holds its run back more than anything else, there is `spare` capacity, nothing of
    the reply was passed on yet, and the `account` has enough for it and for all that are as late. The first to speak
    wins; of plain replies, the first that is whole. The other one is cancelled. What fails or ends without a usable
    reply loses as long as the other is under way; if both fail, the error of the first goes up (J. Dean,
    L. A. Barroso, "The Tail at Scale", 2013).
    """

    def __init__(self, model: Model, latencies: Latencies, spare: Callable[[], bool], account: Account) -> None:
        self._model = model
        self._latencies = latencies
        self._spare = spare
        self._account = account

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply, of whichever request is the first to give it."""
        race = Race(self._model, call, self._latencies.flights(call.role, stream=call.stream), self._may)
        try:
            while race.winner is None:
                for chunk in race.judge(*await race.hear()):
                    yield chunk
            if loser := race.loser:
                await loser.close()
            winner = race.winner
            for chunk in winner.held:
                yield chunk
            async for chunk in winner.chunks:
                yield winner.marked(chunk)
        finally:
            await race.close()

    def _may(self, call: Call, late: Sequence[Call]) -> bool:
        if not (call.urgency.critical() and self._spare() and self._account.may_hedge([call])):
            return False
        # Which of them will be the last to answer nobody knows, so doubling a part of them gains little.
        others = [other for other in late if other.urgency.critical() and self._account.may_hedge([other])]
        return self._account.may_hedge(others)
