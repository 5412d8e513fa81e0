"""The bytes of a chat completion, streamed and whole, and one timer for all streams of the server."""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import msgspec

from stretto.models.simulator.script import Script
from stretto.types import Usage

Write = Callable[[tuple[str, ...]], bool]
"""Sends pieces at once, without waiting; False if nobody is there any more."""

_INTERVAL = 0.005
"""Seconds between two looks at what is due: below what a reader can tell, above what a timer costs."""

_encode = msgspec.json.encode


class _Performance:
    """A script that is being said."""

    def __init__(self, script: Script, start: float, write: Write, ended: asyncio.Future[bool]) -> None:
        self.script = script
        self.start = start
        self.write = write
        self.ended = ended
        self.said = 0

    def due(self) -> float:
        """The loop time of the next piece."""
        return self.start + self.script.due(self.said)

    def advance(self, now: float) -> bool:
        """Say what is due; True if there is more to come."""
        if self.ended.done():
            return False
        upto = self.script.upto(self.said, now - self.start)
        there = self.write(self.script.pieces[self.said : upto])
        self.said = upto
        if there and upto < self.script.stops_at:
            return True
        self.ended.set_result(there)
        return False


class Ticker:
    """Says the pieces of all scripts when they are due.

    A task and a timer for each stream would wake up for each token; here one timer wakes up at most every few
    milliseconds and writes for everyone who is due.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, _Performance]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0

    async def say(self, script: Script, start: float, write: Write) -> bool:
        """Say a script that was asked for at loop time `start`; False if the listener left before its end."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[bool] = loop.create_future()
        if not script.stops_at:
            return True
        self._add(_Performance(script, start, write, ended))
        self._wake(loop)
        # If this is cancelled, so is the future, and the performance is dropped when its turn comes.
        return await ended

    def _add(self, performance: _Performance) -> None:
        heapq.heappush(self._waiting, (performance.due(), next(self._order), performance))

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer for the first that is due, unless it is set for an earlier moment."""
        if not self._waiting:
            return
        moment = max(self._waiting[0][0], self._looked_at + _INTERVAL)
        if self._timer is not None:
            if self._timer.when() <= moment:
                return
            self._timer.cancel()
        self._timer = loop.call_at(moment, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = self._looked_at = loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            performance = heapq.heappop(self._waiting)[2]
            if performance.advance(now):
                self._add(performance)
        self._wake(loop)


class CompletionStream:
    """The server-sent events of one reply.

    What is the same in every event is encoded once; a piece costs the encoding of its own text and one concatenation.
    """

    def __init__(self, script: Script, model: str) -> None:
        head = {"id": _id(script), "object": "chat.completion.chunk", "created": 0, "model": model}
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._before = self._head + b'{"index":0,"delta":{"content":'
        self._script = script

    def opening(self) -> bytes:
        """The event that says who speaks."""
        return self._head + b'{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'

    def pieces(self, texts: Iterable[str]) -> bytes:
        """An event for each piece."""
        before = self._before
        return b"".join([before + _encode(text) + b'},"finish_reason":null}]}\n\n' for text in texts])

    def closing(self, *, usage_wanted: bool) -> bytes:
        """Why it ended, what it used if that is wanted, and the end mark."""
        finish = _encode(self._script.finish)
        end = self._head + b'{"index":0,"delta":{},"finish_reason":' + finish + b"}]}\n\n"
        usage = self._head + b'],"usage":' + _encode(_usage(self._script.usage)) + b"}\n\n" if usage_wanted else b""
        return end + usage + b"data: [DONE]\n\n"


def whole(script: Script, model: str) -> bytes:
    """The reply as one JSON object."""
    message = {"role": "assistant", "content": "".join(script.pieces)}
    return _encode({
        "id": _id(script),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": script.finish}],
        "usage": _usage(script.usage),
    })  # fmt: skip


def models_body(names: Iterable[str]) -> bytes:
    """The list of models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "stretto"} for name in names]
    return _encode({"object": "list", "data": models})


def _id(script: Script) -> str:
    return f"chatcmpl-{script.request_id}"


def _usage(usage: Usage) -> dict[str, Any]:
    total = usage.input_tokens + usage.output_tokens
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}
