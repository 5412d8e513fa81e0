"""The simulator's endpoint beside whatever a program does: in a thread and event loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from stretto.models.simulator import SimulatedProvider, Simulator
from stretto.server.listening import listening
from stretto.server.sim.app import PROVIDER, simulator_app


@contextmanager
def served(simulator: Simulator) -> Iterator[tuple[str, SimulatedProvider]]:
    """The simulator on a free loopback port for as long as this is open: its base URL, and the provider's counts."""
    app, ready, stop = simulator_app(simulator), Future[str](), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        try:
            async with listening(app) as base_url:
                ready.set_result(base_url)
                await stop.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="stretto-simulator")
    thread.start()
    try:
        yield ready.result(), app[PROVIDER]
    finally:
        if loop.is_running():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
