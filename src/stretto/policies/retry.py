"""Retry: what may pass is asked again, with full jitter."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from stretto.calls import Call, Chunk, Model, Notice, Reasoning, Restarted, Text
from stretto.errors import TransientError
from stretto.events import CallRetried

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


class Retry:
    """Asks `model` up to `attempts` times as long as it fails with a `TransientError`.

    The wait before attempt n is uniform between 0 and `FIRST_WAIT * 2**(n-1)` seconds, at most `LONGEST_WAIT` (full
    jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and never shorter than what the
    provider asked for. What was passed on of a broken reply is taken back by `Restarted`. A plan is not: once a part of
    it was passed on, subtasks are under way, and its error goes up to be repaired.
    """

    def __init__(self, model: Model, attempts: int) -> None:
        self._model = model
        self._attempts = attempts

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The first reply that comes through."""
        for attempt in range(1, self._attempts + 1):
            spoken = False
            try:
                async with aclosing(self._model.stream(call)) as chunks:
                    async for chunk in chunks:
                        spoken = spoken or isinstance(chunk, Text | Reasoning)
                        yield chunk
                return  # noqa: TRY300 - the loop ends here in the usual case
            except TransientError as error:
                if attempt == self._attempts or (spoken and call.role == "orchestrator"):
                    raise
                wait = self._wait(attempt, error.retry_after)
                yield Notice(CallRetried(reason=str(error), wait=wait, attempt=attempt))
                if spoken:
                    yield Restarted()
                await asyncio.sleep(wait)

    def _wait(self, attempt: int, asked: float | None) -> float:
        jitter = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)))
        return max(jitter, min(asked or 0.0, LONGEST_WAIT))
