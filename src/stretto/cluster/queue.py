"""The queue in which runs wait for a worker: DBOS's, in the database of their store (schema `dbos`).

A run is one workflow of DBOS, called by the run's id, whose only argument is that: all else is in the run's log. So
it does not matter who carries it, nor how often it is begun.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from msgspec import Struct

from stretto.errors import ConfigError, StoreError, StoreLocked
from stretto.ground.extras import installing
from stretto.store.carriers import is_carried
from stretto.store.connecting import connect
from stretto.store.database import Database
from stretto.store.locations import Location, Server
from stretto.store.postgres.sessions import driver, explain, without_password

PROTOCOL = "1"
"""Of what workers and those who hand runs over must agree about: only workers of the same one carry a run."""
QUEUE = WORKFLOW = "stretto"
PRIORITY = 1000
"""That of a run for which nothing is said; the lower goes first, down to 1."""
CANCEL = "stretto_cancel"
"""Where a worker is told to stop a run: a notification is the run's id."""
SCHEMA = "dbos"
_LEAVING, _LOOK = 3.0, 0.05  # seconds that a worker may take to leave a run, and between two looks at that
_MAKING, _TABLES = 60.0, ("stretto queue", SCHEMA)  # seconds that making tables may take, and the lock of who does
_CARRIED = "PENDING"
_WORKER = "worker/"
_OVER = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def dbos() -> Any:
    """The library, loaded when it is needed; raises `ConfigError` if it is not installed."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:  # else it writes to the terminal by itself
        logger.addHandler(logging.NullHandler())
    try:
        import dbos as found
    except ImportError as error:
        raise ConfigError(f"runs are handed to workers by DBOS ({error}): {installing('cluster')}") from error
    return found


def server_of(location: Location | None) -> Server:
    """The server that a store is on; raises `ConfigError` for a file, which other machines cannot read."""
    if isinstance(location, Server):
        return location
    raise ConfigError(
        f"{location}: workers on other machines need a store that they can reach: --store "
        "postgresql://USER:PASSWORD@HOST/DATABASE"
    )


def settings(server: Server, executor: str) -> dict[str, Any]:
    """What DBOS is told of a worker."""
    return {
        "name": "stretto",
        "system_database_url": server.url,
        "dbos_system_schema": SCHEMA,
        "application_version": PROTOCOL,
        "executor_id": executor,
        "serializer": dbos().DBOSPortableJSONSerializer(),
        "enable_otlp": False,
        "log_level": "CRITICAL",  # what goes wrong with a run is in its log, and we tell of a database that is away
        "sys_db_pool_size": 4,
        "max_executor_threads": 16,
        "scheduler_polling_interval_sec": 3600.0,  # nothing of ours is scheduled
        "notification_coalesce_sec": 1.0,
    }


class Queue(Struct, frozen=True):
    """What those do who carry no run: hand some over, and take them back. Used as `with queue(…) as …`."""

    server: Server
    client: Any

    def put(self, run: str, priority: int = PRIORITY) -> None:
        """Have a worker carry a run that is begun in the store; one that waits, is carried or is finished, stays so.

        One that a worker has just left may look for a moment as if it were carried: this waits until that is clear.
        """
        options = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": run,
            "app_version": PROTOCOL,
            "priority": priority,
        }
        with explained(self.server), closing(connect(self.server)) as db, alone(db, run):
            status, until = self._status(run), time.monotonic() + _LEAVING
            while status == _CARRIED and not is_carried(db, self.server, run) and time.monotonic() < until:
                time.sleep(_LOOK)
                status = self._status(run)
            if db.execute("SELECT 1 FROM runs WHERE run = ? AND status = 'finished'", (run,)).fetchone():
                db.execute("DELETE FROM queued WHERE run = ?", (run,))
                return
            if status in _OVER:
                self.client.delete_workflows([run])
            elif status:
                return
            db.execute("INSERT INTO queued VALUES (?) ON CONFLICT (run) DO NOTHING", (run,))
            try:
                self.client.enqueue(options, run)
            except BaseException:
                db.execute("DELETE FROM queued WHERE run = ?", (run,))
                raise

    def has(self, run: str) -> bool:
        """Whether a run waits, or was given to a worker that has not ended it."""
        with explained(self.server):
            return self._status(run) not in ("", *_OVER)

    def take_back(self, run: str) -> None:
        """Have nobody begin to carry a run, and the worker that carries it stop."""
        with explained(self.server), closing(connect(self.server)) as db, alone(db, run):
            if self._status(run):
                self.client.cancel_workflow(run)
            wait_no_more(db, run)
            db.execute("SELECT pg_notify(?, ?)", (CANCEL, run))

    def _status(self, run: str) -> str:
        """What DBOS says of a run; nothing if it does not know it."""
        found = self.client.list_workflows(workflow_ids=[run], load_input=False, load_output=False)
        return str(found[0].status) if found else ""


def wait_no_more(db: Database, run: str) -> None:
    """Have it known that this run waits for nobody."""
    for table in ("queued", "proposals"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608 - our own words


@contextmanager
def alone(db: Database, run: str) -> Iterator[None]:
    """Only one at a time is inside, for one run: else two who put it would each drop what the other has put."""
    key = ("stretto queue", run)
    db.execute("SELECT pg_advisory_lock(hashtext(?), hashtext(?))", key)
    try:
        yield
    finally:
        db.execute("SELECT pg_advisory_unlock(hashtext(?), hashtext(?))", key)


@contextmanager
def making(server: Server) -> Iterator[Database]:
    """Only one at a time is inside, whoever makes the tables of DBOS, or looks whether they are there: else half.

    Others ask again and again for their turn: a statement that waits for it would hold up indexes that are being made.
    """
    with closing(connect(server)) as db:  # what is wrong with the database is told in our words
        until = time.monotonic() + _MAKING
        while not db.execute("SELECT pg_try_advisory_lock(hashtext(?), hashtext(?))", _TABLES).fetchone()[0]:
            if time.monotonic() > until:
                raise StoreLocked(
                    f"{server}: another process is making the tables of DBOS, and does not end; try again"
                )
            time.sleep(_LOOK)
        try:
            yield db
        finally:
            db.execute("SELECT pg_advisory_unlock(hashtext(?), hashtext(?))", _TABLES)


@contextmanager
def queue(server: Server) -> Iterator[Queue]:
    """The queue of a store; whatever is wrong with its database is a `StoreError`."""
    library = dbos()
    with making(server) as db, explained(server):
        if not db.execute("SELECT 1 FROM pg_tables WHERE schemaname = ?", (SCHEMA,)).fetchone():
            library.DBOS.migrate(server.url, schema=SCHEMA)
    with explained(server):
        client = library.DBOSClient(
            system_database_url=server.url,
            dbos_system_schema=SCHEMA,
            serializer=library.DBOSPortableJSONSerializer(),
            application_name="stretto",
            system_database_pool_size=2,
            retry_connection_errors=False,
        )
    try:
        yield Queue(server, client)
    finally:
        client.destroy()


def presence_of(worker: str) -> str:
    """What a worker holds in the store for as long as it lives."""
    return f"{_WORKER}{worker}"


def at_work(server: Server) -> int:
    """How many workers are alive."""
    with closing(connect(server)) as db:
        held = db.execute("SELECT run FROM carriers WHERE starts_with(run, ?)", (_WORKER,)).fetchall()
        return sum(is_carried(db, server, run) for (run,) in held)


@contextmanager
def explained(server: Server) -> Iterator[None]:
    """What goes wrong in DBOS as an error of ours."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if isinstance(original := getattr(error, "orig", None) or error, driver().Error):
            raise explain(server, original) from error
        why = without_password(server, " ".join(str(error).partition("[SQL")[0].split()))
        raise StoreError(f"{server}: DBOS cannot use this database: {why}") from error
