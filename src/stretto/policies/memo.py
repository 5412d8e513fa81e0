"""Memo: a call that was answered once is not asked again."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from stretto.calls import KEPT, Call, Chunk, Done, Model, Reasoning, Text, Transcript
from stretto.types import Reply, Request

Earlier = Callable[[str, Request], tuple[str, Reply] | None]
"""Gives what another run has recorded for a request (its fingerprint first), and that run's id."""


def _nothing(*_: object) -> None:
    return None


class Replies:
    """The complete replies from which the calls of one run may be answered.

    `own` are those the run has recorded, by fingerprint, and `earlier` finds those of other runs. `shared`: identical
    calls of the run are one call; else each of them is asked, and a reply that is recorded already answers one of them.
    """

    def __init__(
        self, own: Mapping[str, Sequence[Reply]] | None = None, earlier: Earlier = _nothing, *, shared: bool = True
    ) -> None:
        self.own = {key: list(replies) for key, replies in (own or {}).items()}
        self.shared = shared
        self.asking: dict[str, asyncio.Event | None] = {}
        """What is being asked right now; if somebody waits for it, with the event that is set when that is over."""
        self._earlier = earlier

    def __contains__(self, fingerprint: object) -> bool:
        return isinstance(fingerprint, str) and bool(self.own.get(fingerprint))

    def take(self, call: Call) -> tuple[Reply, str | None] | None:
        """The reply to a call, and the run it was recorded in if that is another one."""
        if known := self.own.get(call.fingerprint):
            return (known[0] if self.shared else known.pop(0)), None
        if found := self._earlier(call.fingerprint, call.request):
            run, reply = found
            self.keep(call.fingerprint, reply)
            return reply, run
        return None

    def keep(self, fingerprint: str, reply: Reply) -> None:
        """Remember a reply, if identical calls are one."""
        if self.shared:
            self.own[fingerprint] = [reply]


class Memo:
    """Answers a call from `replies`, joins an identical one in flight, or asks `model` and remembers."""

    def __init__(self, model: Model, replies: Replies) -> None:
        self._model = model
        self._replies = replies

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The remembered reply as one chunk, or the model's."""
        key, replies = call.fingerprint, self._replies
        # Whoever asks first sets the event when it is through, well or not; then the next in line looks again.
        while replies.shared and key in replies.asking and key not in replies:
            through = replies.asking[key] = replies.asking[key] or asyncio.Event()
            await through.wait()
        if found := replies.take(call):
            for chunk in _from_memory(*found):
                yield chunk
            return
        replies.asking[key] = None
        transcript = Transcript()
        try:
            chunks = self._model.stream(call)
            try:
                async for chunk in chunks:
                    transcript.take(chunk)
                    if isinstance(chunk, Done) and chunk.finish in KEPT:
                        replies.keep(key, transcript.reply(chunk))
                    yield chunk
            finally:
                await chunks.aclose()
        finally:
            if awaited := replies.asking.pop(key, None):
                awaited.set()


def _from_memory(reply: Reply, run: str | None) -> list[Chunk]:
    thoughts: list[Chunk] = [Reasoning(reply.reasoning)] if reply.reasoning else []
    done = Done(
        reply.finish,
        reply.usage,
        reply.model,
        reused=True,
        simulated=reply.simulated,
        asked=reply.asked,
        origin=run,
    )
    return [*thoughts, Text(reply.text), done]
