"""A name server that does not answer holds up no deadline, no Ctrl-C and no end of a program."""

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn

import pytest

from endpoint import Endpoint, ask, plain
from stretto import Provider
from stretto.ground.aside import in_thread
from stretto.inputs.pages import Doorkeeper
from stretto.models.chat import Endpoints


class Forbidden(ThreadPoolExecutor):
    """The threads of a loop, for whose end everybody waits."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise AssertionError("something runs in a thread that the end of the loop waits for")


def test_what_runs_in_a_thread_of_its_own_is_waited_for_by_nobody() -> None:
    over, before = threading.Event(), set(threading.enumerate())

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await in_thread(over.wait, 60)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert time.monotonic() - began < 30
    (left,) = set(threading.enumerate()) - before
    over.set()
    left.join()  # or a test that looks for threads would find it


def test_what_it_raises_is_raised_where_it_was_called() -> None:
    def fail() -> NoReturn:
        raise LookupError("no such name")

    with pytest.raises(LookupError, match="no such name"):
        asyncio.run(in_thread(fail))


def test_names_are_looked_up_in_such_threads() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(Forbidden())
        assert await Doorkeeper().resolve("localhost", 80)
        async with Endpoint(plain()) as server:
            endpoints = Endpoints(10)
            provider = Provider(server.url.replace("127.0.0.1", "localhost"), local=True)
            try:
                assert (await ask(endpoints.model("x:tea", "tea", provider, None))).text == "Assam"
            finally:
                await endpoints.close()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
