"""A single call as the answer to a request, streamed or whole."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from aiohttp import web
from msgspec.structs import replace

from stretto import errors as e
from stretto.calls import Chunk, Done, Reasoning, Restarted, Text, Transcript
from stretto.head import messages_of
from stretto.models.error_bodies import bad_request
from stretto.server.body import ChatBody
from stretto.server.endpoint.asked import NO_TOOLS
from stretto.server.endpoint.carrying import RUN
from stretto.server.endpoint.desk import Desk
from stretto.server.endpoint.said import Said
from stretto.server.endpoint.sending import Sending
from stretto.server.endpoint.streaming import streamed, tell_wait
from stretto.server.endpoint.turnstile import Place
from stretto.server.endpoint.voice import Ending, Voice
from stretto.server.refused import BadBodyError, RefusedError, refusal_of
from stretto.types import Request, Usage

_JSON = "application/json"
_UNREAD = ("logprobs", "top_logprobs", "audio", "prediction", "web_search_options")
"""Options whose outcome would be lost, because only texts and thoughts are read of a reply."""
_FINISHES = frozenset({"stop", "length", "content_filter"})
_log = logging.getLogger("stretto.serve")


def request_of(chat: ChatBody, models: Sequence[str]) -> Request:
    """The request that a model is asked with, as its client wrote it; raises `BadBodyError` for what would be lost."""
    options = {name: value for name, value in chat.request.options.items() if value not in (None, [], {})}
    if options.get("tools") or options.get("functions"):
        raise BadBodyError(NO_TOOLS, "tools")
    for name in _UNREAD:
        if options.get(name):
            raise BadBodyError(f"{name}: texts are all that is read of a reply here; ask without it", name)
    if chat.images:
        raise BadBodyError("images are taken by workflows, and not yet by a model alone", "messages")
    if "max_completion_tokens" in options:  # each provider is asked in its own words
        options["max_tokens"] = options.pop("max_completion_tokens")
    return Request(models[0], messages_of(chat.request), options, chat.request.schema)


class Calling:
    """Answers one request by a call at its client's desk. `reuse`: a recorded reply may answer it."""

    def __init__(
        self, desk: Desk, models: Sequence[str], request: Request, place: Place, voice: Voice, *, reuse: bool
    ) -> None:
        self._desk = desk
        self._models = models
        self._request = request
        self._place = place
        self._voice = voice
        self._reuse = reuse
        self._said = Said()
        self._transcript = Transcript()
        self._done: Done | None = None
        self._headers = {RUN: desk.run_id}

    async def answer(self) -> web.Response:
        """The reply as one response; raises `RefusedError` if there is none."""
        await self._place.turn()
        async with aclosing(self._chunks(stream=False)) as chunks:
            async for _ in chunks:
                pass
        reply = self._transcript.reply(self._whole)
        body = self._voice.whole(reply.text, reply.reasoning, self._ending())
        return web.Response(body=body, content_type=_JSON, headers=self._headers)

    async def stream(self, request: web.Request, silence: float) -> web.StreamResponse:
        """The reply as server-sent events; an error once they have begun is the last of them."""
        return await streamed(request, self._voice, self._tell, self._headers, silence)

    async def _tell(self, sending: Sending) -> bytes:
        await tell_wait(sending, self._voice, self._place)
        await self._place.turn()
        async with aclosing(self._chunks(stream=True)) as chunks:
            async for chunk in chunks:
                if told := self._told(chunk):
                    await sending.send(told)
        rest = self._said.end(self._transcript.text)
        return (self._voice.text(rest) if rest else b"") + self._voice.closing(self._ending())

    async def _chunks(self, *, stream: bool) -> AsyncGenerator[Chunk, None]:
        """What the model says; its errors as what a client is told of them."""
        asked = self._desk.ask(self._models, self._request, self._transcript, stream=stream, reuse=self._reuse)
        try:
            async with aclosing(asked) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, Done):
                        self._done = chunk
                    yield chunk
        except e.MissingKey as error:
            _log.warning("%s: %s", self._request.model, error)
            raise RefusedError(refusal_of(error), self._headers) from error
        except e.ConfigError as error:
            raise RefusedError(replace(bad_request(str(error), "model"), code="model_not_askable")) from error
        except e.StrettoError as error:
            refusal = refusal_of(error)
            if refusal.status >= 500:
                _log.warning("%s: %s: %s", self._request.model, type(error).__name__, error)
            raise RefusedError(refusal, self._headers) from error

    def _told(self, chunk: Chunk) -> bytes:
        match chunk:
            case Text():
                text = self._said.take(chunk.text)
                return self._voice.text(text) if text else b""
            case Reasoning():
                return self._voice.thought(chunk.text)
            case Restarted():
                self._said.restart()
        return b""

    @property
    def _whole(self) -> Done:
        assert self._done is not None  # noqa: S101 - a stream of chunks ends with one, or raises
        return self._done

    def _ending(self) -> Ending:
        done = self._whole
        told = {"run": self._desk.run_id, "model": done.asked or self._request.model}
        facts = {"answered_by": done.model, "reused": done.reused, "simulated": done.simulated}
        finish = done.finish if done.finish in _FINISHES else "length"
        return Ending(finish, done.usage or Usage(), {**told, **facts})
