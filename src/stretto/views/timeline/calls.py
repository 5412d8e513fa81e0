"""One call on the axis of time: when it waited for what, and when its reply was written."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from stretto.events import CallFinished, CallRetried

Kind = Literal["asked", "writing", "held", "retry", "hedge"]
"""What a call is at: its request was sent and nothing came back yet, its reply is being written, it was refused by a
rate limit and waits, it failed and waits, it is asked in duplicate."""

_AT_ONCE = 0.005  # seconds, of moments that are told in milliseconds: such a reply came whole

State = Literal["running", "done", "failed", "reused", "stopped"]


class Span(Struct, frozen=True):
    """What a call was at from one moment to another, in seconds since its run began; `reason`: why it had to wait."""

    kind: Kind
    start: float
    end: float
    reason: str = ""


class Call(Struct):
    """One call of a row, with moments in seconds since its run began.

    `start`: when its request left first, None before that, and for a reply that was taken from the records. `first`:
    when the reply began, where it came in pieces. `end` is None while it is under way. `setbacks`: waits as they were
    announced, and duplicates, which last until the call ends.
    """

    id: str
    part: str
    model: str
    fingerprint: str = ""
    start: float | None = None
    first: float | None = None
    end: float | None = None
    setbacks: list[Span] = []
    retries: list[CallRetried] = []
    finished: CallFinished | None = None

    @property
    def state(self) -> State:
        """How it stands; `stopped` is one that ended with its run."""
        if self.finished is None:
            return "running" if self.end is None else "stopped"
        return "reused" if self.finished.reused else "failed" if self.finished.error else "done"

    @property
    def begun(self) -> float | None:
        """When anything was heard of it first, be it that it had to wait."""
        return self.start if self.start is not None else min((each.start for each in self.setbacks), default=None)

    def again(self, event: CallRetried, now: float) -> None:
        """A request for it failed, was refused, or is asked in duplicate."""
        if not event.duplicate:
            self.first = None
        kind: Kind = "hedge" if event.duplicate else "held" if event.rate_limited else "retry"
        self.retries.append(event)
        self.setbacks.append(Span(kind, now, now + event.wait, event.reason))

    def finish(self, event: CallFinished, now: float) -> None:
        """It ended."""
        self.end, self.first, self.finished, self.fingerprint = now, None, event, event.fingerprint
        if event.first_token is not None and self.start is not None and now - self.start - event.first_token > _AT_ONCE:
            self.first = self.start + event.first_token

    def spans(self, now: float) -> Iterator[Span]:
        """What it was at, one after another until `now`; duplicates run beside that."""
        end = now if self.end is None else self.end
        for each in self.setbacks:
            if each.kind == "hedge" and each.start < end:
                yield Span("hedge", each.start, end, each.reason)
        at = self.start
        for wait in sorted((each for each in self.setbacks if each.kind != "hedge"), key=lambda each: each.start):
            if at is not None and at < wait.start:
                yield Span("asked", at, min(wait.start, end))
            if wait.start < end:
                yield Span(wait.kind, wait.start, min(wait.end, end), wait.reason)
            at = max(wait.end, at or 0.0)
        if at is None or at >= end:
            return
        heard = end if self.first is None else max(at, self.first)
        if at < heard:
            yield Span("asked", at, heard)
        if heard < end:
            yield Span("writing", heard, end)
