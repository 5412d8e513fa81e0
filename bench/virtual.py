"""Virtual time: when nothing is ready, the clock jumps to the next timer, so a run of minutes takes milliseconds."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class _Jumping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def virtually(main: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run` in virtual time, from 0; nothing from outside of the loop may be waited for."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        return runner.run(main)
