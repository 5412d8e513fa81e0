"""Asking a store while another program may hold it, or its server is away; the event loop goes on meanwhile.

Whoever only looks into a store (`stretto runs`) needs no event loop, and is not to wait until one is loaded.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from stretto.errors import StoreLocked
from stretto.store.schema import GLANCE, PATIENCE

_T = TypeVar("_T")

AWAY = 60.0
"""Seconds for which a server may be away, until nobody waits for it any more."""


async def asked(question: Callable[[], _T], within: float = AWAY) -> _T:
    """The answer to a question at the store, asked in a thread, and again while its server is away."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        try:
            return await asyncio.to_thread(question)
        except StoreLocked:
            if loop.time() > until:
                raise
            await asyncio.sleep(GLANCE)


async def patiently(attempt: Callable[[], _T]) -> _T:
    """What an attempt at the store gives, made again while another program holds it; the loop goes on meanwhile."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while True:
        try:
            return attempt()
        except StoreLocked:
            if loop.time() > until:
                raise
            await asyncio.sleep(GLANCE)
