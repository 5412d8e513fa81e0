"""Tests that are coroutines, with time for a model to be loaded and to write."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


def patient(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run it on a loop of its own, for two minutes at the most."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 120))

    return run
