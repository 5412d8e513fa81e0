"""A run as the answer to a request, streamed or whole; whoever leaves stops it, and every call of it."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import Any

from aiohttp import web

from stretto import events as e
from stretto.errors import StrettoError
from stretto.models.error_bodies import Refusal
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.server.endpoint.progress import Progress
from stretto.server.endpoint.said import Said
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.streaming import streamed, tell_wait
from stretto.server.endpoint.turnstile import Place
from stretto.server.endpoint.voice import Ending, Voice
from stretto.server.endpoint.watching import Carried
from stretto.server.refused import RefusedError, refusal_of

RUN = "x-stretto-run"
_JSON = "application/json"
_CUT = {"truncated", "cut"}
_ONCE = {"x-should-retry": "false"}
"""Said with a run that failed: it has tried what there is to try, and another one is paid again."""
_log = logging.getLogger("stretto.serve")


class Carrying:
    """Answers one request by a run. As long as `carrying` is open others may watch the run.

    `whole`: the answer is sent when it is all there, as one that must fit a schema is.
    """

    def __init__(
        self,
        stream: RunStream[Any],
        place: Place,
        voice: Voice,
        carrying: Callable[[RunStream[Any]], AbstractContextManager[Carried]],
        *,
        whole: bool,
    ) -> None:
        self._stream = stream
        self._place = place
        self._voice = voice
        self._carrying = carrying
        self._whole = whole
        self._progress = Progress()
        self._said = Said()
        self._headers = {RUN: stream.run_id}

    async def answer(self) -> web.Response:
        """The answer as one response; raises `RefusedError` if there is none."""
        thoughts = ""
        await self._place.turn()
        async with self._stream as stream:
            async with aclosing(self._watched(stream)) as events:
                async for event in events:
                    thoughts += self._progress.line(event)
            run = _finished(stream)
        body = self._voice.whole(run.answer, thoughts, ending(run))
        return web.Response(body=body, content_type=_JSON, headers=self._headers)

    async def stream(self, request: web.Request, silence: float) -> web.StreamResponse:
        """The answer as server-sent events; an error once they have begun is the last of them."""
        return await streamed(request, self._voice, self._tell, self._headers, silence)

    async def _tell(self, sending: Sending) -> bytes:
        """Send all that is told of the run; what comes last."""
        await tell_wait(sending, self._voice, self._place)
        await self._place.turn()
        async with self._stream as stream:
            async with aclosing(self._watched(stream)) as events:
                async for event in events:
                    if told := self._told(event):
                        await sending.send(told)
            run = _finished(stream)
        rest = self._said.end(run.answer)
        return (self._voice.text(rest) if rest else b"") + self._voice.closing(ending(run))

    async def _watched(self, stream: RunStream[Any]) -> AsyncGenerator[e.AnyEvent, None]:
        """The events of the run, which others may watch meanwhile; its error as what a client is told of it."""
        with self._carrying(stream) as carried:
            try:
                async for event in stream:
                    carried.take(event)
                    yield event
            except StrettoError as error:
                raise self._refused(error) from error

    def _told(self, event: e.AnyEvent) -> bytes:
        if not isinstance(event, e.AnswerDelta):
            line = self._progress.line(event)
            return self._voice.thought(line) if line else b""
        if event.restart:
            self._said.restart()
        text = "" if self._whole else self._said.take(event.text)
        return self._voice.text(text) if text else b""

    def _refused(self, error: StrettoError) -> RefusedError:
        refusal = refusal_of(error, self._stream.run_id)
        _log.warning("run %s: %s: %s", self._stream.run_id, type(error).__name__, error)
        return RefusedError(refusal, {**self._headers, **_ONCE})


def ending(run: Run[Any]) -> Ending:
    """How a finished run ended, and what its answer rests on."""
    coverage = run.coverage
    told: dict[str, Any] = {"run": run.id, "complete": coverage.complete, "simulated": run.simulated}
    if run.cost is not None:
        told["cost"] = str(run.cost)
    if coverage.missing:
        told["missing"] = [
            {"subtask": each.subtask, "type": each.type, "why": each.reason} for each in coverage.missing
        ]
    if coverage.direct:
        told["direct"] = coverage.direct
    return Ending("length" if coverage.answer in _CUT else "stop", run.usage, told)


def _finished(stream: RunStream[Any]) -> Run[Any]:
    """The run, if it has an answer; raises `RefusedError` if it was stopped."""
    if stream.begun and stream.run.status == "finished":
        return stream.run
    kept = f"; what is complete of it is kept: stretto resume {stream.run_id}" if stream.recorded else ""
    refusal = Refusal(503, "server_error", "stopped", f"the run was stopped before its end{kept}")
    raise RefusedError(refusal, {RUN: stream.run_id, **_ONCE})
