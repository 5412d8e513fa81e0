"""Asking until a reply comes through: the one loop that all policies have which ask again."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from msgspec import Struct

from stretto.calls import SPOKEN, Call, Chunk, Notice, Restarted, Text
from stretto.errors import CallError


class Again(Struct, frozen=True):
    """That a call is asked again: what is `told` of it first, and how many seconds it waits."""

    told: Sequence[Notice] = ()
    wait: float = 0.0


class Attempts(Protocol):
    """The attempts at one call, as a policy makes them. Of each call under way there is one, so it is kept small."""

    def ask(self) -> AsyncGenerator[Chunk, None]:
        """Make the next attempt."""
        ...

    def failed(self, error: CallError, *, planned: bool) -> Again:
        """The newest attempt ended with this error: how to go on; raises what is the end of it.

        `planned`: a part of a plan was passed on already, of which subtasks may be under way.
        """
        ...


async def until_whole(call: Call, attempts: Attempts) -> AsyncGenerator[Chunk, None]:
    """The reply of the first of the `attempts` at a call that comes through.

    Whatever else than a plan was passed on of a broken reply is taken back.
    """
    while True:
        spoken = planned = False
        chunks = attempts.ask()
        try:
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
        finally:
            await chunks.aclose()
        again = attempts.failed(broken, planned=planned)
        for notice in again.told:
            yield notice
        if spoken:
            yield Restarted()
        if again.wait:
            await asyncio.sleep(again.wait)
