"""DBOS as a worker needs it, in one place: much of this is not in its public interface, and pinned for that.

Tried with 3.4: a queue that is registered in the database has one size for all workers, so ours is this process's own;
what a dead process had is given back by nobody but who asks for it; an async workflow runs in the loop in which DBOS
was launched; a workflow that leaves by `CancelledError` keeps its place, for whoever takes it over.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from stretto.cluster.queue import QUEUE, SCHEMA, WORKFLOW, dbos, settings
from stretto.store.database import Database
from stretto.store.locations import Server

_MOST = 100  # times that a run is given to a worker: one that each of them dies of must not go on for ever
_POLL = 0.1  # seconds between two looks for a run that waits
_HELD = f"SELECT executor_id, workflow_uuid FROM {SCHEMA}.workflow_status WHERE status = 'PENDING'"  # noqa: S608
_WAIT = f"""
INSERT INTO queued SELECT workflow_uuid FROM {SCHEMA}.workflow_status
WHERE status = 'PENDING' AND executor_id = ? AND (? OR workflow_uuid = ANY(?)) FOR SHARE
ON CONFLICT (run) DO NOTHING
"""  # noqa: S608 - our own words
_LATER = f"""
UPDATE {SCHEMA}.workflow_status SET status = 'DELAYED', owner_xid = NULL, started_at_epoch_ms = NULL,
recovery_attempts = 0, delay_until_epoch_ms = extract(epoch FROM clock_timestamp())::bigint * 1000 + greatest(
    5000, 100 * (SELECT count(*) FROM {SCHEMA}.workflow_status WHERE status = 'DELAYED')
)
WHERE workflow_uuid = ? AND status = 'PENDING' AND executor_id = ?
"""  # noqa: S608 - our own words; of a thousand that wait for a while, ten a second are looked at
_DONE = f"""
SELECT workflow_uuid FROM {SCHEMA}.workflow_status
WHERE status NOT IN ('ENQUEUED', 'DELAYED', 'PENDING') AND name = '{WORKFLOW}' AND updated_at < ? LIMIT 1000
"""  # noqa: S608 - our own words


def launch(
    server: Server, worker: str, most: int, most_of_all: int | None, carry: Callable[[str], Awaitable[str]]
) -> None:
    """Take runs from now on, up to `most` at a time, and have each carried in the running loop.

    `most_of_all`: none is taken while all workers together have so many.
    """
    library = dbos()

    async def workflow(run: str) -> str:
        return await carry(run)

    library.DBOS(config=settings(server, worker))
    library.DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_MOST)(workflow)
    library.DBOS.listen_queues([QUEUE])
    from dbos._dbos import _get_or_create_dbos_registry

    bounds = {"worker_concurrency": min(most, most_of_all or most), "global_concurrency": most_of_all}
    _get_or_create_dbos_registry()._register_internal_queue(QUEUE, **bounds, polling_interval_sec=_POLL)
    library.DBOS.launch()


def take_no_more() -> None:
    """Leave what waits to others."""
    for event in _instance().background_thread_stop_events:
        event.set()


def close(worker: str) -> None:
    """Have what was not carried to its end wait again, and end."""
    until = time.monotonic() + 2  # by then DBOS has seen our tasks end
    while _instance()._active_workflows_set.activeList() and time.monotonic() < until:
        time.sleep(0.01)
    recover(worker)
    dbos().DBOS.destroy()


def holders(db: Database) -> dict[str, list[str]]:
    """Which workers have which runs."""
    found: dict[str, list[str]] = {}
    for worker, run in db.execute(_HELD).fetchall():
        found.setdefault(str(worker), []).append(str(run))
    return found


def tell_waiting(db: Database, worker: str, runs: Sequence[str] | None = None) -> None:
    """Have it known that runs of a worker, some or all, wait, before anybody else can be given them.

    Once somebody else was, they are not this worker's any more, and nothing is told of them: whoever begins to carry
    one has taken that back for the last time.
    """
    db.execute(_WAIT, (worker, runs is None, list(runs or ())))


def put_by(db: Database, worker: str, run: str) -> None:
    """Have a run of a worker wait for some seconds, whoever gets it then; others may have its place meanwhile."""
    tell_waiting(db, worker, [run])
    db.execute(_LATER, (run, worker))


def recover(worker: str) -> list[str]:
    """Have all runs of a worker wait again; those that somebody else did this for meanwhile are left alone."""
    return [handle.get_workflow_id() for handle in dbos().DBOS._recover_pending_workflows([worker])]


def requeue(worker: str, runs: Iterable[str]) -> None:
    """Have these runs of this worker wait again."""
    for run in runs:
        _instance()._sys_db.reenqueue_for_recovery(run, [worker], QUEUE)


def forget(db: Database, before: float) -> None:
    """Drop what is kept of runs that were over before this moment (Unix time): their logs say more."""
    if runs := [run for (run,) in db.execute(_DONE, (int(before * 1000),)).fetchall()]:
        _instance()._sys_db.delete_workflows(runs)


def _instance() -> Any:
    from dbos._dbos import _get_dbos_instance

    return _get_dbos_instance()
