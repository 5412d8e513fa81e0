"""How whatever runs until somebody stops it learns that it is to end: once gently, twice at once."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Ending:
    """When to end: `soon`, once what is under way is done or the grace is over; `now`."""

    def __init__(self) -> None:
        self.soon = asyncio.Event()
        self.now = asyncio.Event()

    def ask(self) -> None:
        """Asked once, it ends gently; twice, at once."""
        if self.soon.is_set():
            self.now.set()
        self.soon.set()


@asynccontextmanager
async def obeying(ending: Ending) -> AsyncIterator[None]:
    """As long as this is open, signals ask for the end."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # Where the loop takes no signal handlers (Windows), Ctrl-C raises KeyboardInterrupt as everywhere.
    with contextlib.suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, ending.ask)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)
