"""Approval of plans whose runs workers carry: a plan is kept in the store, and its run left until somebody decides."""

import asyncio

import msgspec

from stretto.cluster.queue import Queue
from stretto.proposal import Answer, Decision, Leave, Proposal
from stretto.store.locations import Server
from stretto.store.postgres import proposals


class Put:
    """Decides about the plans of one run by what is kept of it in the store; where nothing is, the run is left."""

    def __init__(self, server: Server, run: str) -> None:
        self._server = server
        self._run = run

    async def __call__(self, proposal: Proposal) -> Decision:
        """What was decided, or that it is to be decided yet."""
        decision = await asyncio.to_thread(proposals.take, self._server, self._run)
        if decision is not None:
            return msgspec.json.decode(decision, type=Answer).decided()
        await asyncio.to_thread(proposals.keep, self._server, self._run, msgspec.json.encode(proposal))
        return Leave()


def answer(queue: Queue, server: Server, run: str, answer: Answer) -> bool:
    """Decide about the plan of a run that waits, and have a worker go on with it; False if none waits."""
    if not proposals.decide(server, run, msgspec.json.encode(answer)):
        return False
    queue.put(run)
    return True
