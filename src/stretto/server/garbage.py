"""When a server's garbage is collected: while nobody waits.

A whole collection looks at every object that there is: with 200 runs under way it holds the event loop up for a
quarter of a second, and as Python does it by itself, a quarter of the server's work is that.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_YOUNG, _OLDER, _ALL = 10_000, 5, 1_000_000
"""Objects more than there were, and collections of the younger, after which each generation is looked at: the last
practically never, but when we say so."""
_LOOK, _LATEST = 5.0, 600.0
"""Seconds between two looks whether nobody waits, and after which it is done though somebody does."""


@asynccontextmanager
async def collected(idle: Callable[[], bool], look: float = _LOOK) -> AsyncIterator[None]:
    """For as long as this is open, whole collections are made where nobody waits (`idle`), or has for very long."""
    before = gc.get_threshold()
    gc.freeze()  # what was imported stays for ever
    gc.set_threshold(_YOUNG, _OLDER, _ALL)
    collecting = asyncio.create_task(_collect(idle, look), name="stretto-garbage")
    try:
        yield
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])
        gc.set_threshold(*before)
        gc.unfreeze()


async def _collect(idle: Callable[[], bool], look: float) -> None:
    loop = asyncio.get_running_loop()
    last, calm = loop.time(), True
    while True:
        await asyncio.sleep(look)
        if not idle():
            calm = False
        elif not calm:  # something has happened since
            calm, last = True, loop.time()
            gc.collect()
        if not calm and loop.time() - last > _LATEST:
            last = loop.time()
            gc.collect()
