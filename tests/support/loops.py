"""A loop for each test that is a coroutine."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")
Test = Callable[P, Coroutine[Any, Any, None]]


def on_loop(test: Test[P], seconds: float = 120) -> Callable[P, None]:
    """A test that is a coroutine; no task may be left when it ends. It may start children on a busy machine."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            async with asyncio.timeout(seconds):
                await test(*args, **kwargs)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    return run


def at_leisure(test: Test[P]) -> Callable[P, None]:
    """The same where many children are started one after the other."""
    return on_loop(test, 600)
