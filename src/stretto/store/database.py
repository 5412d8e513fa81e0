"""What a store asks of its database, in the words that SQLite and PostgreSQL share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from stretto.errors import RunBusy


class Rows(Protocol):
    """What a statement brought."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        ...

    def fetchone(self) -> Any:
        """The next row as a tuple; None if there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left, one after the other."""
        ...


class Database(Protocol):
    """A connection to a store; `?` stands for a value. Outside of a transaction each statement is one by itself."""

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        ...

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Rows:
        """Have one statement done."""
        ...

    def each(self, query: str, values: Sequence[Any] = (), /) -> Iterator[Any]:
        """The rows of one statement as they come: few are in memory at a time. Nothing else is asked meanwhile."""
        ...

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> object:
        """Have one statement done for each of some rows."""
        ...

    def close(self) -> None:
        """Need it no longer."""
        ...


WRITING, READING, ALONE = "BEGIN IMMEDIATE", "BEGIN", "BEGIN EXCLUSIVE"


@contextmanager
def transaction(db: Database, begin: str = WRITING) -> Iterator[None]:
    """All of it or nothing. `READING`: one moment of the store, whoever writes; `ALONE`: one such at a time."""
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def busy(run: str) -> RunBusy:
    """Somebody carries this run."""
    return RunBusy(
        f"run {run} is being carried already, by another process or by this one; wait until it ends, or stop it, then "
        "resume"
    )
