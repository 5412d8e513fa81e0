"""Group commit: one thread writes whatever has gathered while it was writing, in one statement.

One statement, because SQLite's calls give the interpreter's lock away, and while the event loop is busy it takes up to
5 ms to get it back: a statement a row made 300 workers' events cost four times the CPU and wait for seconds. And one
thread and connection for all runs of an event loop in a store: each commit costs an fsync, and hundreds of connections
cost more file descriptors than many a process may have.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from weakref import WeakKeyDictionary

from msgspec import Struct

from stretto.errors import StoreError
from stretto.store.connecting import identity
from stretto.store.into_file import FileSink
from stretto.store.locations import Location, Server
from stretto.store.patience import patiently
from stretto.store.rows import Entry, Sink

HELD = 0.25
"""Seconds after which a store counts as held by another program, and what is to be written is put by beside it."""

_MOST = 500  # rows with which a statement is full, so that one huge batch does not delay everything in it
_BUSY, _BREATH = 4, 0.002  # after a batch of so many rows, seconds in which the next one gathers: each costs an fsync


class Writing:
    """The rows of one run on their way into a store, in the order they were submitted.

    After each statement `committed(n, None)` is called in the writer's thread: the next n rows are on the disk; or
    `committed(n, error)`: they are not, and after that nothing more of this run is written. While another program holds
    the store for longer than `patience` seconds, they are on the disk beside it (`stretto.store.late`). Made and used
    in one event loop.
    """

    def __init__(
        self,
        location: Location,
        run: str,
        committed: Callable[[int, StoreError | None], None],
        patience: float = HELD,
    ) -> None:
        self.run = run
        self.committed = committed
        self.error: StoreError | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._writer = _writer(location, patience)
        self._writer.users += 1

    def submit(self, entries: Sequence[Entry]) -> None:
        """Have rows written, after everything submitted before, each with what the run amounts to then."""
        for at in range(0, len(entries), _MOST):  # as few as can be: to wake the thread costs more than to write a row
            self._writer.queue.put(_Item(self, entries[at : at + _MOST]))

    def displaced(self) -> StoreError | None:
        """The error to raise if what is written is not where it should be."""
        return self._writer.sink.displaced()

    @property
    def strict(self) -> bool:
        """Whether a request may only leave once it is recorded."""
        return self._writer.sink.strict

    async def close(self) -> None:
        """Have all of it written; the loop goes on meanwhile, and whoever is cancelled waits for it all the same.

        If nobody else writes there, the connection is closed then, and the thread has ended.
        """
        self._finish()
        interruption = None
        while not self._ended.done():
            try:
                await asyncio.wait([self._ended])
            except asyncio.CancelledError as error:
                interruption = error
        if not self._writer.users:
            self._writer.join()
        self.committed = _nobody  # whoever was told is not to be kept for it
        if interruption is not None:
            raise interruption

    def _finish(self) -> None:
        self._writer.users -= 1
        last = not self._writer.users
        if last:
            _forget(self._writer)
        self._writer.queue.put(_Item(self, (), last))

    def ended(self) -> None:
        """Everything is written, as the thread says."""
        with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self._loop.call_soon_threadsafe(self._ended.set_result, None)


def _nobody(*_: object) -> None:
    """Nobody is told any more."""


@asynccontextmanager
async def at_work(location: Location) -> AsyncIterator[None]:
    """Have the writer of a store be the last of this process that closes it.

    Then SQLite moves all that was written into the file, and waits for the disk: in the writer's thread, and not in
    the event loop.
    """
    writing = await patiently(lambda: Writing(location, "", _nobody))
    try:
        yield
    finally:
        await writing.close()


class _Item(Struct, frozen=True):
    """Entries of a run; without any its end, which is that of the thread if it is the `last`."""

    writing: Writing
    entries: Sequence[Entry]
    last: bool = False


class _Writer:
    """The thread that commits the rows of all runs of an event loop to a store."""

    def __init__(self, location: Location, patience: float) -> None:
        self.users = 0
        self.queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self.sink = _sink(location, patience)
        self.identity = identity(location)
        self._thread = threading.Thread(target=self._work, name="stretto-store", daemon=True)
        self._thread.start()
        self.join = self._thread.join

    def _work(self) -> None:
        item: _Item | None = None
        while item is None or not item.last:
            entries, item = self._gather()
            try:
                self.sink.keep(entries, last=item is not None and item.last)
            except Exception as error:  # noqa: BLE001 - in this thread nobody else would see it
                for writing in entries:
                    writing.error = writing.error or self.sink.told(error, writing)
            for writing, some in entries.items():
                writing.committed(len(some), writing.error)
            if item is not None:
                self._end(item)
            elif sum(map(len, entries.values())) >= _BUSY:
                time.sleep(_BREATH)

    def _end(self, item: _Item) -> None:
        self.sink.leave(item.writing)
        try:
            if item.last:
                self.sink.close()
        finally:
            item.writing.ended()

    def _gather(self) -> tuple[dict[Writing, list[Entry]], _Item | None]:
        """Wait for some entries and take all others that are there; and the end of a run, if one was reached."""
        entries: dict[Writing, list[Entry]] = {}
        try:
            item = self.queue.get(timeout=self.sink.pause)
        except queue.Empty:
            return entries, None
        count = 0
        while item.entries:
            entries.setdefault(item.writing, []).extend(item.entries)
            count += len(item.entries)
            if count >= _MOST or self.queue.empty():
                return entries, None
            item = self.queue.get()
        return entries, item


_writers: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Writer]] = WeakKeyDictionary()
"""Those at work, by the event loop whose runs they write."""


def _writer(location: Location, patience: float) -> _Writer:
    """The one that writes into this store for the running loop."""
    at_work, wanted = _writers.setdefault(asyncio.get_running_loop(), []), identity(location)
    for each in at_work:
        if wanted is not None and each.identity == wanted:
            return each
    at_work.append(writer := _Writer(location, patience))
    return writer


def _sink(location: Location, patience: float) -> Sink:
    if isinstance(location, Server):
        from stretto.store.postgres.sink import ServerSink

        return ServerSink(location)
    return FileSink(location, patience)


def _forget(writer: _Writer) -> None:
    for at_work in list(_writers.values()):
        if writer in at_work:
            at_work.remove(writer)
