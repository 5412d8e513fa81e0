"""Saying in the log of a run, which nobody carries, how it ended."""

from stretto.events import RunFailed, RunInterrupted
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.sqlite import Store


async def end(store: Store, run: str, event: RunInterrupted | RunFailed) -> Run:
    """Say so, unless this, or another end, stands there; the run then. Raises `RunBusy` if somebody carries it."""
    with store.carrying(run):
        history = store.events(run)
        async with Journal(run, store=store.location, show=lambda _: None, history=history) as journal:
            if journal.run.status == "running":
                journal.append(event)
                await journal.settled()
            return journal.run
