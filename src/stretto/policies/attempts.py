"""Asking until a reply comes through: the one loop that all policies have which ask again."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from msgspec import Struct

from stretto.calls import SPOKEN, Call, Chunk, Notice, Restarted, Text
from stretto.errors import CallError


class Again(Struct, frozen=True):
    """That a call is asked again: what is `told` of it first, and how many seconds it waits."""

    told: Sequence[Notice] = ()
    wait: float = 0.0


async def until_whole(
    call: Call,
    attempt: Callable[[], AsyncGenerator[Chunk, None]],
    failed: Callable[[CallError, bool], Again],
) -> AsyncGenerator[Chunk, None]:
    """The reply of the first `attempt` at a call that comes through.

    `failed` is told how another one ended, and whether a part of a plan was passed on already, of which subtasks may be
    under way; it says how to go on, or raises. Anything else that was passed on of a broken reply is taken back.
    """
    while True:
        spoken = planned = False
        try:
            async with aclosing(attempt()) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, SPOKEN):
                        spoken = True
                        planned = planned or (call.plans and isinstance(chunk, Text))
                    elif isinstance(chunk, Restarted):
                        spoken = False
                    yield chunk
            return  # noqa: TRY300 - the loop ends here in the usual case
        except CallError as error:
            broken = error
        again = failed(broken, planned)
        for notice in again.told:
            yield notice
        if spoken:
            yield Restarted()
        if again.wait:
            await asyncio.sleep(again.wait)
