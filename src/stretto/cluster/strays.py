"""Runs of which the store and the queue say different things, because whoever handed them over died in the midst of it.

It is in the store that a run waits, or that its plan was approved, and then in the queue that a worker is to carry it.
"""

import asyncio
import logging
from contextlib import closing

from stretto.cluster.carrying import wait_no_more
from stretto.cluster.ending import end
from stretto.cluster.queue import SCHEMA, queue
from stretto.errors import StoreError
from stretto.events import RunFailed, RunInterrupted
from stretto.store.connecting import connect
from stretto.store.locations import Server
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store

_STRAYS = f"""
SELECT waiting.run, coalesce(status, ''), decided FROM (
    SELECT run, max(decided) AS decided FROM (
        SELECT run, 0 AS decided FROM queued
        UNION ALL SELECT run, 1 AS decided FROM proposals WHERE decision IS NOT NULL
    ) AS each GROUP BY run
) AS waiting LEFT JOIN {SCHEMA}.workflow_status ON workflow_uuid = waiting.run
WHERE status IS NULL OR status NOT IN ('ENQUEUED', 'DELAYED', 'PENDING')
"""  # noqa: S608 - our own words
_EXHAUSTED = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_WHY = "each worker that it was given to has died, or was stopped; see to what it does to them, then resume it"
_LOOK = 3.0  # seconds between two looks; what is so in two of them stays so
_log = logging.getLogger("stretto.worker")

Stray = tuple[str, str, int]
"""A run that waits, what DBOS says of it, and whether its plan was decided about."""


async def look_for_strays(server: Server) -> None:
    """Set them right until this is cancelled; what is one for a moment only, while it is handed over, is left alone."""
    before = set[Stray]()
    while True:
        await asyncio.sleep(_LOOK)
        try:
            now = await asyncio.to_thread(_strays, server)
        except StoreError as error:
            _log.info("%s", error)
            continue
        for stray in now & before:
            try:
                await _set_right(server, stray)
            except Exception as error:  # noqa: BLE001 - the others are to be looked at, and this one again
                _log.warning("run %s waits and is in no queue: %s: %s", stray[0], type(error).__name__, error)
        before = now - before


def _strays(server: Server) -> set[Stray]:
    """The runs that wait, and that no worker will ever be given."""
    with closing(connect(server, create=False)) as db:
        return {(str(run), str(status), int(decided)) for run, status, decided in db.execute(_STRAYS).fetchall()}


async def _set_right(server: Server, stray: Stray) -> None:
    """Hand a run to workers that should be carried, and say in the log of any other what has become of it."""
    run, status, decided = stray
    store = Store(server, GLANCE)
    if status == "CANCELLED":
        await end(store, run, RunInterrupted())
    elif status == _EXHAUSTED:
        await end(store, run, RunFailed(error=_WHY, error_type="WorkersLost"))
    elif decided or not status:
        await asyncio.to_thread(_put, server, run)
        return
    await asyncio.to_thread(wait_no_more, server, run)


def _put(server: Server, run: str) -> None:
    with queue(server) as waiting:
        waiting.put(run)
