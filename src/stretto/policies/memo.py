"""Memo: identical calls of one run are one call."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import aclosing

from stretto.calls import KEPT, Call, Chunk, Done, Model, Reasoning, Text, Transcript
from stretto.types import Reply


class Memo:
    """Answers a call from `replies` if it is there, joins an identical call in flight, or asks `model` and remembers.

    `replies` maps fingerprints to complete replies; it is shared by all calls of a run.
    """

    def __init__(self, model: Model, replies: MutableMapping[str, Reply], asking: dict[str, asyncio.Event]) -> None:
        self._model = model
        self._replies = replies
        self._asking = asking

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The remembered reply as one chunk, or the model's."""
        key = call.fingerprint
        # Whoever asks first sets the event when it is through, well or not; then the next in line looks again.
        while key not in self._replies and key in self._asking:
            await self._asking[key].wait()
        if key in self._replies:
            for chunk in _from_memory(self._replies[key]):
                yield chunk
            return
        self._asking[key] = asyncio.Event()
        transcript = Transcript()
        try:
            async with aclosing(self._model.stream(call)) as chunks:
                async for chunk in chunks:
                    transcript.take(chunk)
                    if isinstance(chunk, Done) and chunk.finish in KEPT:
                        self._replies[key] = transcript.reply(chunk)
                    yield chunk
        finally:
            self._asking.pop(key).set()


def _from_memory(reply: Reply) -> list[Chunk]:
    thoughts: list[Chunk] = [Reasoning(reply.reasoning)] if reply.reasoning else []
    done = Done(reply.finish, reply.usage, reply.model, reused=True, simulated=reply.simulated)
    return [*thoughts, Text(reply.text), done]
