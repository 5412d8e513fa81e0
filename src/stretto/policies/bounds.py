"""Bounds: a call that sets no limit for its reply gets one, where nothing else would end it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import cache
from typing import Protocol

from msgspec.structs import replace

from stretto.calls import CAPPED, Call, Chunk, Done, Model
from stretto.policies.budget import within
from stretto.policies.estimate import BYTES, most_output, size_asked, tokens_asked, usual_output
from stretto.types import Known, Request, Usage

_SHARE = 2  # the part of its context that a reply may fill
_LEAST = 8  # the part that it may fill in any case: a prompt may be shorter than it was reckoned
_ENOUGH = 200  # tokens of a request that say something about how many bytes make one


class Models(Protocol):
    """What is to be known of models as written; `stretto.pool.Pool` is one."""

    def is_here(self, written: str) -> bool:
        """Whether a model is on this machine."""
        ...

    def tells(self, written: str) -> bool:
        """Whether a model's server is by now known to say how much its models take."""
        ...


class Bounds:
    """What limits the replies of one run, and what is learned on the way.

    `known`: what is known of its models, as written, and what is found out of them meanwhile. Only a model that is here
    is limited: whoever sells tokens ends a reply by himself, and counts a limit as if it were used up. `ask` is how a
    server is asked how much a model takes. `learned`: by model, the least bytes that made a token of its requests.
    """

    def __init__(
        self, known: Mapping[str, Known], models: Models, max_subtasks: int, ask: Callable[[str], Awaitable[Known]]
    ) -> None:
        self.learned: dict[str, float] = {}
        self.known = dict(known)
        self._here = cache(models.is_here)
        self._tells = models.tells
        self._ask = ask
        self._max_subtasks = max_subtasks
        self._asking, self._asked = asyncio.Lock(), set[str]()

    async def most(self, name: str, call: Call) -> int | None:
        """Tokens that the reply to a call may have which sets no limit itself; None: as many as it likes."""
        if most_output(call.request.options) is not None or not self._here(name):
            return None
        known = self.known.get(name, Known())
        if known.context is None and name not in self._asked and self._tells(name):
            async with self._asking:  # all others wait for what the first is told
                if name not in self._asked:
                    self.known[name] = await self._ask(name)
                    self._asked.add(name)
            known = self.known[name]
        wanted = usual_output("orchestrator", self._max_subtasks) if call.plans else None
        if known.context is None:
            return wanted
        room = known.context - tokens_asked(call.request, min(known.bytes or BYTES, BYTES))
        fits = max(min(room, known.context if call.plans else known.context // _SHARE), known.context // _LEAST)
        return min(wanted or fits, fits)

    def learn(self, name: str, request: Request, usage: Usage | None) -> None:
        """A model has counted the tokens of a request."""
        if usage is None or usage.input_tokens < _ENOUGH or request.schema or (request.head and request.head.images):
            return  # an image has no bytes of text, and nobody knows here whether a schema was a part of the prompt
        each = size_asked(request) / usage.input_tokens
        self.learned[name] = min(each, self.learned.get(name, each))


class Bound:
    """Asks `model`, which is written `name`, for no more than the `bounds` allow for."""

    def __init__(self, model: Model, name: str, bounds: Bounds) -> None:
        self._model = model
        self._name = name
        self._bounds = bounds

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply; one that met a limit which only this set is told apart."""
        most = await self._bounds.most(self._name, call)
        call = call if most is None else within(call, most, most)
        chunks = self._model.stream(call)
        try:
            async for chunk in chunks:
                if isinstance(chunk, Done):
                    self._bounds.learn(self._name, call.request, chunk.usage)
                    yield replace(chunk, finish=CAPPED) if most is not None and chunk.finish == "length" else chunk
                else:
                    yield chunk
        finally:
            await chunks.aclose()
