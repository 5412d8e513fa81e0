"""A run as the answer to a request, streamed or whole; whoever leaves stops it, and every call of it."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from stretto import events as e
from stretto.calls import Chunk, Reasoning, Restarted, Text
from stretto.errors import StrettoError
from stretto.ground.text import one_line
from stretto.models.error_bodies import Refusal
from stretto.run.stream import RunStream
from stretto.runs import Run
from stretto.server.endpoint.answering import Answering
from stretto.server.endpoint.completions import Ending
from stretto.server.endpoint.responses import Voice
from stretto.server.endpoint.service import Carried
from stretto.server.endpoint.turnstile import Place
from stretto.server.refused import RefusedError, refusal_of

_LONGEST = 300  # characters of what others say
_LONG = 3.0  # seconds of a wait that is told
_CUT = {"truncated", "cut"}
_ONCE = {"x-should-retry": "false"}
"""Said with a run that failed: it has tried what there is to try, and another one is paid again."""
_log = logging.getLogger("stretto.serve")


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
