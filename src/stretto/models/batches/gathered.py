"""Calls that go out together as one batch."""

import asyncio

from msgspec import Struct

from stretto.errors import CallError

QUIET, LONGEST = 1.0, 10.0
"""Seconds without a further call after which a batch is closed, and seconds that it is open at the most."""
_MOST, _LARGEST = 50_000, 90 * 2**20  # lines and bytes of one batch


class Answer(Struct, frozen=True):
    """What came back for one call: the status and body of a response, and whether they are the simulator's."""

    status: int
    body: bytes
    simulated: bool


class Gathered:
    """The calls of one batch. `key` is what the logs of their runs, and the file at the provider, call it.

    `sent_before`: a log says that it was sent, perhaps by a process that is over. `id`: the provider's name for it,
    once it is known. `answers`: by the ids of lines, once it has ended; `why`: what became of those that are not among
    them. `failure`: what kept all of it from being sent, or looked at.
    """

    def __init__(self, key: str, *, sent_before: bool = False) -> None:
        self.key = key
        self.sent_before = sent_before
        self.lines: dict[str, bytes] = {}
        self.waiting = 0
        """How many calls wait for it."""
        self.id = ""
        self.answers: dict[str, Answer] | None = None
        self.why = ""
        self.failure: CallError | None = None
        self.carrying = asyncio.Lock()
        self.gone = asyncio.Event()
        """Whether every call in it is in the log of its run, so that it may be sent."""
        self._closed = sent_before
        self._begun = self._closes = 0.0
        self._size = 0
        self._unlogged: set[str] = set()
        if sent_before:
            self.gone.set()

    @property
    def is_open(self) -> bool:
        """Whether further calls may join."""
        return not self._closed

    def join(self, line: str, data: bytes) -> None:
        """One more call."""
        now = asyncio.get_running_loop().time()
        self.waiting += 1
        self._begun = self._begun if self.lines else now
        self._closes = min(now + QUIET, self._begun + LONGEST)
        self.lines[line] = data
        self._unlogged.add(line)
        self._size += len(data)
        self._closed = len(self.lines) >= _MOST or self._size >= _LARGEST

    async def closed(self) -> None:
        """Wait until nobody joins any more."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if (left := self._closes - loop.time()) > 0:
                await asyncio.sleep(left)
            else:
                self._closed = True

    def logged(self, line: str) -> None:
        """The log of its run knows that this call goes out with this batch."""
        self._unlogged.discard(line)
        if self._closed and not self._unlogged:
            self.gone.set()

    def leave(self, line: str) -> None:
        """Nobody waits for this call; if the batch was not sent yet, it goes without it."""
        self.waiting -= 1
        if not self.id:
            self.lines.pop(line, None)
        self.logged(line)
