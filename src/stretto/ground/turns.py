"""Turns of the event loop: what many begin in the same moment is spread over several, so that others come to theirs.

Two thousand calls that begin at once take two seconds of the loop, in which it would look at nothing else.
"""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

_LONG, _LONGEST = 0.015, 0.05
"""Seconds of one turn for those who come here; or as many as all others had since the turn before, up to a limit."""
_SHORT = 1e-4  # seconds that one of them is taken to need, at the least


async def my_turn() -> None:
    """Go on at once as long as the loop's turn is young; else wait for one that has room, behind who waits already.

    Time is the loop's: in virtual time, in which nothing takes any, nobody ever waits.
    """
    loop = asyncio.get_running_loop()
    turns = _turns.get(loop) or _turns.setdefault(loop, _Turns())
    if not turns.has_room(loop):
        future = loop.create_future()
        turns.waiting.append(future)
        await future


class _Turns:
    """Lets in who waits, as many in a turn as there is time for, by what those before have needed."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[None]] = deque()
        self._until: float | None = None  # how long there is room in this turn; None as long as nobody came
        self._each = 0.001
        self._let = 0  # how many were let in for this turn
        self._began = self._ended = self._others = 0.0

    def has_room(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether one more may go on in this turn."""
        if self._until is None:
            self._until = loop.time() + _LONG
            loop.call_soon(self._end, loop)
            return True
        return not self.waiting and loop.time() < self._until

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._began = loop.time()
        self._others = self._began - self._ended

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """The next turn is there, and those who were let in for it are through."""
        self._until = self._ended = loop.time()
        if self._let:
            took = max((self._ended - self._began) / self._let, _SHORT)
            self._each = max(took, self._each + (took - self._each) / 8)  # what took long once may do so again
            self._let = 0
        if not self.waiting:
            self._until = None
            return
        loop.call_soon(self._begin, loop)  # in the next turn this, they and the last come one after the other
        room = min(max(_LONG, self._others), _LONGEST)
        while self.waiting and (not self._let or self._let * self._each < room):
            future = self.waiting.popleft()
            if not future.done():  # else it was cancelled
                future.set_result(None)
                self._let += 1
        loop.call_soon(self._end, loop)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()
