"""A run, or a single call, as the answer to a request, streamed or whole; whoever leaves stops it."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import Chunk, Done, Reasoning, Restarted, Text, Transcript
from stretto.errors import ConfigError, MissingKey, StrettoError
from stretto.ground.text import one_line
from stretto.head import messages_of
from stretto.models.error_bodies import Refusal, bad_request
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.server.body import ChatBody
from stretto.server.endpoint.answering import Answering
from stretto.server.endpoint.asked import NO_TOOLS
from stretto.server.endpoint.completions import Ending
from stretto.server.endpoint.desk import Desk
from stretto.server.endpoint.responses import Voice
from stretto.server.endpoint.service import Carried
from stretto.server.endpoint.turnstile import Place
from stretto.server.refused import BadBodyError, RefusedError, refusal_of
from stretto.types import Request, Usage

_LONGEST = 300  # characters of what others say
_LONG = 3.0  # seconds of a wait that is told
_CUT = {"truncated", "cut"}
_ONCE = {"x-should-retry": "false"}
"""Said with a run that failed: it has tried what there is to try, and another one is paid again."""
_log = logging.getLogger("stretto.serve")

_UNREAD = ("logprobs", "top_logprobs", "audio", "prediction", "web_search_options")
"""Options whose outcome would be lost, because only texts and thoughts are read of a reply."""
_FINISHES = frozenset({"stop", "length", "content_filter"})


class Progress:
    """Says of each event what somebody who waits would want to know: a line for a chat window, or nothing."""

    def __init__(self) -> None:
        self._writing = False

    def line(self, event: e.AnyEvent) -> str:
        """The line of one event, with its end; empty if it tells nothing."""
        told = self._told(event)
        return f"{told}\n" if told else ""

    def _told(self, event: e.AnyEvent) -> str:
        match event:
            case e.RunStarted() if event.basis.plan is None and event.workflow["definition"]["orchestrator"]:
                return "planning"
            case e.SubtaskPlanned():
                return f"- {event.subtask} ({event.type}): {short(event.description)}"
            case e.PlanFinished() if event.subtasks and not event.within:
                return f"planned: {event.subtasks} subtask{'' if event.subtasks == 1 else 's'}"
            case e.SubtaskFinished():
                return f"- {event.subtask} {event.outcome}{f': {short(event.error)}' if event.error else ''}"
            case e.SubtaskReopened():
                return f"- {event.subtask} is asked anew{f': {short(event.remark)}' if event.remark else ''}"
            case e.CallRetried() if event.wait >= _LONG or not event.rate_limited:
                whose = event.subtask or event.role
                return f"{whose}: asked again in {event.wait:.0f} s: {short(event.reason)}"
            case e.RunDegraded():
                return f"{event.policy}: {short(event.reason)}"
            case e.CallStarted() if event.role == "synthesizer" and not self._writing:
                self._writing = True
                return "writing the answer"
        return ""


def short(text: str) -> str:
    """A text on one line, cut if it is long."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


class Carrying(Answering):
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
        super().__init__(place, voice, stream.run_id)
        self._stream = stream
        self._carrying = carrying
        self._whole = whole
        self._progress = Progress()
        self._thoughts = ""

    async def _chunks(self, *, stream: bool) -> AsyncGenerator[Chunk, None]:  # noqa: ARG002 - a run streams anyhow
        """What is told of the run, which others may watch meanwhile; its error as what a client is told of it."""
        async with self._stream as events:
            with self._carrying(events) as carried:
                try:
                    async for event in events:
                        carried.take(event)
                        for chunk in self._said_of(event):
                            yield chunk
                except StrettoError as error:
                    _log.warning("run %s: %s: %s", events.run_id, type(error).__name__, error)
                    raise RefusedError(refusal_of(error, events.run_id), {**self._headers, **_ONCE}) from error

    def _said_of(self, event: e.AnyEvent) -> Iterator[Chunk]:
        if not isinstance(event, e.AnswerDelta):
            if line := self._progress.line(event):
                self._thoughts += line
                yield Reasoning(line)
            return
        if event.restart:
            yield Restarted()
        if not self._whole:
            yield Text(event.text)

    def _outcome(self) -> tuple[str, str, Ending]:
        """Raises `RefusedError` if the run was stopped."""
        stream = self._stream
        if stream.begun and stream.run.status == "finished":
            return stream.run.answer, self._thoughts, ending(stream.run)
        kept = f"; what is complete of it is kept: stretto resume {stream.run_id}" if stream.recorded else ""
        refusal = Refusal(503, "server_error", "stopped", f"the run was stopped before its end{kept}")
        raise RefusedError(refusal, {**self._headers, **_ONCE})


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
        except MissingKey as error:
            _log.warning("%s: %s", self._request.model, error)
            raise RefusedError(refusal_of(error), self._headers) from error
        except ConfigError as error:
            raise RefusedError(replace(bad_request(str(error), "model"), code="model_not_askable")) from error
        except StrettoError as error:
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
