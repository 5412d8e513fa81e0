"""The events of one call, written from the chunks of its stream."""

import asyncio
from typing import Any

from msgspec.structs import replace

from stretto import events as e
from stretto.calls import KEPT, SPOKEN, Call, Chunk, Done, Notice, Restarted, Sent, Transcript
from stretto.policies.account import Account
from stretto.store.journal import Journal
from stretto.types import Reply


class Ledger:
    """Writes the events of one call, and keeps its `transcript`."""

    def __init__(self, call: Call, journal: Journal, transcript: Transcript, account: Account) -> None:
        self._call = call
        self._journal = journal
        self._transcript = transcript
        self._account = account
        self._told: Sent | None = None  # what the log says of what the call may take
        self._sent_at: float | None = None
        self._finished = False
        self._attempts = 1

    def note(self, chunk: Chunk) -> bool:
        """Log what a chunk says about its call; whether that must be on the disk before its request leaves."""
        self._transcript.take(chunk)
        if isinstance(chunk, SPOKEN):  # nearly always
            if self._transcript.heard_at is None:
                self._transcript.heard_at = asyncio.get_running_loop().time()
            return False
        match chunk:
            case Sent():
                self._transcript.sent_at = asyncio.get_running_loop().time()
                self._sent_at = self._transcript.sent_at if self._sent_at is None else self._sent_at
                if self._told is None or chunk.batch or _is_more(chunk, self._told):
                    self._start(chunk)
                    return True
            case Notice(e.CallRetried() as event):
                self._attempts += not (event.rate_limited or event.duplicate)
                self._journal.append(replace(event, **self._whose()))
            case Notice(event):
                self._journal.append(event)
            case Restarted():
                self._transcript.heard_at = None
            case Done():
                self.finish(
                    self._record(chunk),
                    finish=chunk.finish,
                    usage=chunk.usage,
                    answered_by=chunk.model,
                    request_id=chunk.request_id,
                    reused=chunk.reused,
                    origin=chunk.origin,
                    simulated=chunk.simulated,
                    asked=chunk.asked,
                )
            case _:
                pass
        return False

    def _start(self, sent: Sent) -> None:
        self._told = sent
        event = e.CallStarted(
            **self._whose(),
            fingerprint=self._call.fingerprint,
            reserved=sent.reserved,
            reserved_cost=sent.reserved_cost,
            batch=sent.batch,
        )
        self._journal.append(event, request=self._call.request)

    def _record(self, done: Done) -> Reply | None:
        """What is to be recorded of a reply: nothing if it is in the log of this run, or was never whole."""
        known = done.reused and done.origin is None
        return None if known or done.finish not in KEPT else self._transcript.reply(done)

    def finish(self, reply: Reply | None = None, **facts: Any) -> None:
        """Log the end of the call, once."""
        if not self._finished:
            self._finished = True
            bill = self._account.bill(self._call.id)
            event = e.CallFinished(
                **self._whose(),
                fingerprint=self._call.fingerprint,
                attempts=self._attempts,
                first_token=self._first_token(),
                cost=bill.cost,
                lost=bill.lost,
                **facts,
            )
            # Of a reply from another run the log says here what was asked: it has no `call_started`.
            asked = self._call.request if reply and event.origin else None
            self._journal.append(event, request=asked, reply=reply)

    def _first_token(self) -> float | None:
        """Seconds from its first request to the reply's beginning."""
        heard_at = self._transcript.heard_at
        if self._sent_at is None or heard_at is None:
            return None
        return round(heard_at - self._sent_at, 3)

    def stop(self, *, late: bool) -> None:
        """Log that the call was given up, because of the deadline if it is `late`, if it was ever sent."""
        if self._told is not None:
            self.finish(finish="stopped", code="deadline" if late else "")

    def _whose(self) -> dict[str, Any]:
        call = self._call
        model = call.request.model
        return {"call": call.id, "role": call.role, "subtask": call.subtask, "model": model, "part": call.part}


def _is_more(sent: Sent, told: Sent) -> bool:
    """Whether a call may come to more than was told: that must stand in the log before it does."""
    if sent.reserved is None or told.reserved is None:
        return False
    more, less = ((each.input_tokens + each.output_tokens) for each in (sent.reserved, told.reserved))
    return more > less or (sent.reserved_cost or 0) > (told.reserved_cost or 0)
