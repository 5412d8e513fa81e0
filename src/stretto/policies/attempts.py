"""Asking until a reply comes through: the one loop that all policies have which ask again."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from msgspec import Struct

from stretto.calls import SPOKEN, Call, Chunk, Notice, Restarted, Text
from stretto.errors import CallError


class Again(Struct, frozen=True):
    """That a call is asked again: what is `told` of it first, and how many seconds it waits."""

    told: Sequence[Notice] = ()
    wait: float = 0.0


class Attempts:
    """The attempts at one call, as a policy makes them. Of each call under way there is one, so it is kept small."""

    __slots__ = ()

    async def begin(self) -> Notice | None:
        """Wait until the next attempt may be made; or what is to be told before it is waited for any longer."""
        return None

    def ask(self) -> AsyncGenerator[Chunk, None]:
        """Make the next attempt."""
        raise NotImplementedError

    def hear(self, chunk: Chunk) -> bool:  # noqa: ARG002 - most policies pass on whatever is said
        """Learn from what the attempt says; whether it is for others, too."""
        return True

    def failed(self, error: CallError, *, planned: bool) -> Again:
        """The newest attempt ended with this error: how to go on; raises what is the end of it.

        `planned`: a part of a plan was passed on already, of which subtasks may be under way.
        """
        raise NotImplementedError

    def end(self) -> None:
        """The attempt is over, however it went."""


async def until_whole(  # noqa: C901 - the one loop of all that is asked again, in one layer: each more costs every call
    call: Call, attempts: Attempts
) -> AsyncGenerator[Chunk, None]:
    """The reply of the first of the `attempts` at a call that comes through.

    Whatever else than a plan was passed on of a broken reply is taken back.
    """
    while True:
        spoken = planned = False
        while (notice := await attempts.begin()) is not None:
            yield notice
        try:
            chunks = attempts.ask()
            try:
                async for chunk in chunks:
                    if not attempts.hear(chunk):
                        continue
                    if isinstance(chunk, SPOKEN):
                        spoken = True
                        planned = planned or (call.plans and isinstance(chunk, Text))
                    elif isinstance(chunk, Restarted):
                        spoken = False
                    yield chunk
                return  # the loop ends here in the usual case
            finally:
                await chunks.aclose()
        except CallError as error:
            again = attempts.failed(error, planned=planned)
        finally:
            attempts.end()
        for notice in again.told:
            yield notice
        if spoken:
            yield Restarted()
        if again.wait:
            await asyncio.sleep(again.wait)
