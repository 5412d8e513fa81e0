"""Beside a running loop: a coroutine in another loop, as in a notebook, and what would hold the loop up in a thread."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

_T = TypeVar("_T")
Runner = Callable[[Coroutine[Any, Any, Any]], Any]
"""Carries a coroutine in a loop that is its own, as `asyncio.run` does."""


class Aside(Generic[_T]):
    """A coroutine in a thread and event loop of its own, that of `run`."""

    def __init__(self, coroutine: Coroutine[Any, Any, _T], run: Runner = asyncio.run) -> None:
        self._coroutine = coroutine
        self._run = run
        self._outcome: Future[_T] = Future()
        self._begun = threading.Event()
        self._stop: Callable[[], object] = self._begun.is_set

    def result(self) -> _T:
        """Wait for it; Ctrl-C stops it first."""
        thread = threading.Thread(target=self._work, name="stretto-aside", daemon=True)
        thread.start()
        # Not `thread.join` alone: interrupted once, that takes the thread for ended (CPython 3.11).
        try:
            return self._outcome.result()
        except BaseException:
            if not self._outcome.done():
                self._begun.wait()
                self._stop()
                wait([self._outcome])
            raise
        finally:
            thread.join()

    def _work(self) -> None:
        try:
            self._outcome.set_result(self._run(self._watched()))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._outcome.set_exception(error)
        finally:
            self._begun.set()

    async def _watched(self) -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this runs in one

        def stop() -> None:
            with suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
                loop.call_soon_threadsafe(task.cancel)

        self._stop = stop
        self._begun.set()
        return await self._coroutine


def outcome(coroutine: Coroutine[Any, Any, _T], run: Runner = asyncio.run) -> _T:
    """What a coroutine gives, wherever one is: in a script, in a notebook, in a greenlet; `run` has the loop for it."""
    if (pool := _threads_of_gevent()) is not None:
        return cast(_T, pool.apply(run, (coroutine,)))
    return Aside(coroutine, run).result() if _in_a_loop() else cast(_T, run(coroutine))


def _threads_of_gevent() -> Any:
    """The real threads of gevent, where it has put greenlets in the place of threads: those would share one loop."""
    patches = sys.modules.get("gevent.monkey")
    if patches is None or not patches.is_module_patched("threading"):
        return None
    return sys.modules["gevent"].get_hub().threadpool


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def in_thread(function: Callable[..., _T], *arguments: Any) -> _T:
    """What a function returns, or raises, from a thread of its own.

    A thread cannot be stopped: given up, it runs on to its end, and nobody reads what it returns. So nobody may wait
    for it either, as `asyncio.to_thread`, and whatever else asyncio's own threads do, has the end of the loop and of
    the program do.
    """
    loop = asyncio.get_running_loop()
    coming: asyncio.Future[_T] = loop.create_future()
    context = contextvars.copy_context()

    def tell(returned: _T | None, error: BaseException | None) -> None:
        if not coming.done():
            if error is not None:
                coming.set_exception(error)
            else:
                coming.set_result(returned)  # type: ignore[arg-type]

    def work() -> None:
        returned, raised = None, None
        try:
            returned = context.run(function, *arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised where it was called
            raised = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, returned, raised)

    threading.Thread(target=work, name=f"stretto-{getattr(function, '__name__', 'function')}", daemon=True).start()
    return await coming
