"""Virtual time: hours pass in no time, exactly, and nothing from outside can be waited for."""

import asyncio
import socket
import time

import pytest

from stretto.virtual import clock, virtually


def test_a_day_passes_at_once_and_to_the_microsecond() -> None:
    async def main() -> list[float]:
        async with asyncio.TaskGroup() as naps:
            tasks = [naps.create_task(nap(seconds)) for seconds in (86_400.25, 0.1, 60.0)]
        return [task.result() for task in tasks]

    async def nap(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return clock()

    began = time.perf_counter()
    assert virtually(main()) == [86_400.25, 0.1, 60.0]
    assert time.perf_counter() - began < 5


def test_a_timeout_is_met_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.sleep(7200)
        return clock()

    assert virtually(main()) == 3600


def test_every_loop_begins_at_zero() -> None:
    async def main() -> float:
        began = clock()
        await asyncio.sleep(5)
        return began

    assert [virtually(main()) for _ in range(3)] == [0, 0, 0]


def test_waiting_for_what_never_happens_is_an_error() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="everybody waits"):
        virtually(main())


def test_a_thread_cannot_be_waited_for() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.time)

    with pytest.raises(RuntimeError, match="a thread cannot be waited for in virtual time"):
        virtually(main())


def test_a_socket_cannot_be_waited_for() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def main() -> None:
        await asyncio.get_running_loop().sock_recv(ours, 1)

    with ours, theirs, pytest.raises(RuntimeError, match="a socket or a pipe cannot be waited for"):
        virtually(main())
