"""An event loop with virtual time: a run that takes minutes takes milliseconds, and its times are exact."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from stretto.ground.aside import outcome

FOREVER = 1e7
"""Seconds of virtual time that are over only once everybody waits, and nothing else will ever happen."""
_HAIR = 1e-7  # seconds by which timers are met: after months a float knows no less, and the loop would turn for ever
_T = TypeVar("_T")


class _Jumping(selectors.SelectSelector):
    """When nothing is ready, the clock jumps to the next timer; what is outside is never looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.closed = False

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.closed:
            raise _outside("a socket or a pipe")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and in virtual time nothing will ever happen")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing from outside the loop can be waited for in it: threads, sockets, processes raise `RuntimeError`."""

    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)
        self._clock_resolution = _HAIR
        self._clock.closed = True  # what wakes the loop itself up is registered by now

    def time(self) -> float:
        """Seconds of virtual time, from 0."""
        return self._clock.now

    def run_in_executor(self, *_: object) -> NoReturn:
        """Raise: a thread takes real time."""
        raise _outside("a thread")


def virtually(main: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run` in virtual time, from 0; beside a running loop, which waits for it."""
    return outcome(main, _run)


def _run(main: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def clock() -> float:
    """The loop's time, to the microsecond."""
    return round(asyncio.get_running_loop().time(), 6)


def _outside(what: str) -> RuntimeError:
    return RuntimeError(f"{what} cannot be waited for in virtual time; only what happens in the loop itself can")
