"""A single call as the answer to a request, streamed or whole."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from stretto import errors as e
from stretto.calls import Chunk, Done, Transcript
from stretto.head import messages_of
from stretto.models.error_bodies import bad_request
from stretto.server.body import ChatBody
from stretto.server.endpoint.answering import Answering
from stretto.server.endpoint.asked import NO_TOOLS
from stretto.server.endpoint.completions import Ending
from stretto.server.endpoint.desk import Desk
from stretto.server.endpoint.responses import Voice
from stretto.server.endpoint.turnstile import Place
from stretto.server.refused import BadBodyError, RefusedError, refusal_of
from stretto.types import Request, Usage

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


class Calling(Answering):
    """Answers one request by a call at its client's desk. `reuse`: a recorded reply may answer it."""

    def __init__(
        self, desk: Desk, models: Sequence[str], request: Request, place: Place, voice: Voice, *, reuse: bool
    ) -> None:
        super().__init__(place, voice, desk.run_id)
        self._desk = desk
        self._models = models
        self._request = request
        self._reuse = reuse
        self._transcript = Transcript()
        self._done: Done | None = None

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

    def _outcome(self) -> tuple[str, str, Ending]:
        done = self._done
        assert done is not None  # noqa: S101 - a stream of chunks ends with one, or raises
        reply = self._transcript.reply(done)
        told = {"run": self._desk.run_id, "model": done.asked or self._request.model}
        facts = {"answered_by": done.model, "reused": done.reused, "simulated": done.simulated}
        finish = done.finish if done.finish in _FINISHES else "length"
        return reply.text, reply.reasoning, Ending(finish, done.usage or Usage(), {**told, **facts})
