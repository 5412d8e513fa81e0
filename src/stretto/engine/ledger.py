"""The events of one call, written from the chunks of its stream."""

from typing import Any

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import KEPT, Call, Chunk, Done, Notice, Sent, Text, Transcript
from stretto.store.journal import Journal
from stretto.types import Reply


class Ledger:
    """Writes the events of one call, and keeps its `transcript`."""

    def __init__(self, call: Call, journal: Journal, transcript: Transcript) -> None:
        self._call = call
        self._journal = journal
        self._transcript = transcript
        self._started = False
        self._finished = False
        self._attempts = 1

    def note(self, chunk: Chunk) -> None:
        """Log what a chunk says about its call."""
        self._transcript.take(chunk)
        if isinstance(chunk, Text):  # nearly always
            return
        call = self._call
        match chunk:
            case Sent() if not self._started:
                self._started = True
                self._journal.append(e.CallStarted(**self._whose(), fingerprint=call.fingerprint), request=call.request)
            case Notice(e.CallRetried() as event):
                self._attempts += not (event.rate_limited or event.duplicate)
                self._journal.append(replace(event, **self._whose()))
            case Notice(event):
                self._journal.append(event)
            case Done():
                reply = None if chunk.reused or chunk.finish not in KEPT else self._transcript.reply(chunk)
                self.finish(
                    reply,
                    finish=chunk.finish,
                    usage=chunk.usage,
                    answered_by=chunk.model,
                    request_id=chunk.request_id,
                    reused=chunk.reused,
                    simulated=chunk.simulated,
                )

    def finish(self, reply: Reply | None = None, **facts: Any) -> None:
        """Log the end of the call, once."""
        if not self._finished:
            self._finished = True
            event = e.CallFinished(
                **self._whose(), fingerprint=self._call.fingerprint, attempts=self._attempts, **facts
            )
            self._journal.append(event, reply=reply)

    def _whose(self) -> dict[str, Any]:
        call = self._call
        return {"call": call.id, "role": call.role, "subtask": call.subtask, "model": call.request.model}
