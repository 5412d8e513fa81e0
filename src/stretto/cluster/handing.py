"""Handing runs to workers, and taking them back, on whichever machine."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from stretto.cluster.notices import notices
from stretto.cluster.queue import PRIORITY, Queue
from stretto.errors import ConfigError, RunBusy
from stretto.events import RunInterrupted
from stretto.models.functions import Functions
from stretto.run_stream import RunStream
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.locations import Server
from stretto.store.patience import patiently
from stretto.store.postgres.sink import CHANNEL
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.workflow import Workflow

_GOING_ON = frozenset({"running", "queued", "killed"})  # the last, because a worker that lives goes on with it
_PARTING = 10.0  # seconds that a worker has to stop a run


def check_portable(workflow: Workflow[object]) -> None:
    """Raise `ConfigError` for a workflow that only this process can carry: its functions are not in the store."""
    if any(isinstance(each, Functions) and each.known for each in workflow.providers.values()):
        raise ConfigError(
            "a worker elsewhere does not have the Python functions of this workflow; carry it here (run), or put them "
            "behind an endpoint"
        )


async def submit(queue: Queue, stream: RunStream[object], priority: int = PRIORITY) -> str:
    """Begin a run in its store and have a worker carry it; its id. It is in the list of runs when this returns."""
    await stream.begin()
    await asyncio.to_thread(queue.put, stream.run_id, priority)
    return stream.run_id


async def cancel(queue: Queue, server: Server, run: str) -> Run:
    """Stop a run wherever it is: one that waits does not begin, one that is carried stops within a moment.

    It is `interrupted`, and can be resumed. A run that is over stays as it is. Raises `RunBusy` if whoever carries it
    does not stop it: it is no worker.
    """
    store = Store(server, GLANCE)
    before = await patiently(lambda: store.run(run))
    if await patiently(lambda: store.standing(before)) not in _GOING_ON:
        return before
    await asyncio.to_thread(queue.take_back, run)
    until = asyncio.get_running_loop().time() + _PARTING
    while True:
        try:
            return await _interrupted(store, run)
        except RunBusy:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(GLANCE)


async def over(server: Server, run: str) -> AsyncGenerator[Run, None]:
    """A run as it stands, now and whenever something is new, until it is over."""
    store = Store(server, GLANCE)
    async with aclosing(notices(server, [CHANNEL])) as told:
        news = aiter(told)
        while True:
            kept = await patiently(lambda: store.run(run))
            yield kept
            if await patiently(lambda: store.standing(kept)) not in _GOING_ON:  # noqa: B023 - it is called here
                return
            await _news_of(news, run)


async def _news_of(news: AsyncIterator[tuple[str, str]], run: str) -> None:
    """Wait until there is something new of a run, or may be."""
    async for _, said in news:
        if not said or said.startswith(run):
            return


async def _interrupted(store: Store, run: str) -> Run:
    """Say in a run's log that it was interrupted, unless that, or another end, stands there."""
    with store.carrying(run):
        history = store.events(run)
        async with Journal(run, store=store.location, show=lambda _: None, history=history) as journal:
            if journal.run.status == "running":
                journal.append(RunInterrupted())
                await journal.settled()
            return journal.run
