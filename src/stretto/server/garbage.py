"""When a server's garbage is collected: while few wait.

A whole collection looks at every object that there is: with 200 runs under way it holds the event loop up for a
quarter of a second, and as Python does it by itself, a quarter of the server's work is that. A run that is over leaves
next to nothing for it: what of it refers to itself is taken apart at its end.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_YOUNG, _OLDER, _ALL = 10_000, 5, 1_000_000
"""Objects more than there were, and collections of the younger, after which each generation is looked at: the last
practically never, but when we say so."""
_LOOK, _LATEST = 5.0, 60.0
"""Seconds between two looks whether few wait, and after which it is done though many do."""


@asynccontextmanager
async def collected(calm: Callable[[], bool], look: float = _LOOK) -> AsyncIterator[None]:
    """For as long as this is open, whole collections are made while it is `calm`, or has not been for a minute."""
    before = gc.get_threshold()
    gc.freeze()  # what was imported stays for ever
    gc.set_threshold(_YOUNG, _OLDER, _ALL)
    collecting = asyncio.create_task(_collect(calm, look), name="stretto-garbage")
    try:
        yield
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])
        gc.set_threshold(*before)
        gc.unfreeze()


async def _collect(calm: Callable[[], bool], look: float) -> None:
    loop = asyncio.get_running_loop()
    last, seen = loop.time(), _lasting()
    while True:
        await asyncio.sleep(look)
        if _lasting() != seen and (calm() or loop.time() - last > _LATEST):
            gc.collect()
            last, seen = loop.time(), _lasting()


def _lasting() -> int:
    """How often objects came among the oldest, of which some may be garbage by now."""
    return int(gc.get_stats()[1]["collections"])
