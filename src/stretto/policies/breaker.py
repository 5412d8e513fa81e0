"""Breaker: a model that fails again and again is left alone for a while, then tried with one call."""

import asyncio
import math
from collections.abc import AsyncGenerator

from stretto.calls import Call, Chunk, Done, Model, Sent
from stretto.errors import CallError, CallTimeout, CircuitOpen, ConnectError, ServerError

FAILURES = (ServerError, ConnectError, CallTimeout)
"""Errors that speak against the model; a refusal, of one request or of its rate, does not."""


class Passage:
    """One request on its way through a circuit; `sent_at`: when it left, None before."""

    __slots__ = ("sent_at",)

    def __init__(self) -> None:
        self.sent_at: float | None = None


class Circuit:
    """What is known of one model's health, shared by everyone who asks it; times are the loop's.

    It opens after `failures` failures in a row, if they are more than the requests whose end is still open: of a burst,
    the failures come back first. It keeps calls out for `pause` seconds; then one may try the model, and its success
    closes the circuit, its failure doubles the pause, up to `longest` (M. Nygard, "Release It!", 2nd ed., ch. 5).
    In a row means in the order in which they were sent: a request that fails after one sent later was answered says
    nothing about now.
    """

    def __init__(self, name: str, *, failures: int = 5, pause: float = 30.0, longest: float = 300.0) -> None:
        self._name = name
        self._enough = failures
        self._first_pause = self._pause = pause
        self._longest = longest
        self._failed: list[float] = []  # when the failed requests in a row were sent; of an open circuit, the last one
        self._answered = -math.inf  # when the last of those that were answered was sent
        self._under_way = 0
        self._until: float | None = None  # from when on it may be tried; None while it is closed
        self._trial: Passage | None = None
        self._said = ""

    @property
    def open(self) -> bool:
        """Whether calls are kept out."""
        return self._until is not None

    def enter(self, *, guarded: bool, tries: bool) -> Passage:
        """Let a request through; raises `CircuitOpen` if it is kept out. Whoever entered must leave.

        One that is not `guarded` is never kept out; `tries`: it may be the one that tries the model.
        """
        passage = Passage()
        if self._until is None or not guarded:
            return passage
        wait = self._until - asyncio.get_running_loop().time()
        if wait > 1e-6 or self._trial or not tries:  # timers and floats do not meet exactly
            until = "until a call has tried it" if wait <= 1e-6 else f"for {wait:.0f} s"
            why = f"left alone {until}, having failed again and again: {self._said}"
            raise CircuitOpen(f"{self._name}: {why}", retry_after=max(0.0, wait))
        self._trial = passage
        return passage

    def send(self, passage: Passage) -> None:
        """A request left; one that had to be sent again left now."""
        self._under_way += passage.sent_at is None
        passage.sent_at = asyncio.get_running_loop().time()

    def succeed(self, passage: Passage) -> None:
        """A request was answered: what was sent before it, or with it, no longer counts."""
        if passage.sent_at is not None:
            self._answered = max(self._answered, passage.sent_at)
        if self._failed:
            self._failed = [sent for sent in self._failed if sent > self._answered]
        if self._until is not None and (passage is self._trial or not self._failed):
            self._until, self._trial, self._pause, self._failed = None, None, self._first_pause, []

    def fail(self, passage: Passage, error: CallError) -> None:
        """Count a failed request; the circuit opens after too many, and for twice as long after a trial."""
        now = asyncio.get_running_loop().time()
        sent = now if passage.sent_at is None else passage.sent_at
        if self._until is not None:
            self._failed = [max(sent, *self._failed)]
            if passage is self._trial:
                self._pause = min(self._longest, self._pause * 2)
                self._open(now, error)
        elif sent > self._answered:
            self._failed.append(sent)
            if len(self._failed) >= max(self._enough, self._under_way):  # which this one still is, too
                self._open(now, error)

    def leave(self, passage: Passage) -> None:
        """A request has ended, or never went out."""
        self._under_way -= passage.sent_at is not None
        if passage is self._trial:
            self._trial = None

    def _open(self, now: float, error: CallError) -> None:
        self._until, self._said = now + self._pause, str(error)
        self._failed = [max(self._failed)]


class Breaker:
    """Asks `model` unless its `circuit` is open, and notes how it went.

    Without `guards` it only notes: the last of several choices is always asked. Several failed attempts at one call are
    several failures. A duplicate never is the call that tries a model: it is wanted at once.
    """

    def __init__(self, model: Model, circuit: Circuit, *, guards: bool = True) -> None:
        self._model = model
        self._circuit = circuit
        self._guards = guards

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply; raises `CircuitOpen` before anything is sent if the model is left alone."""
        circuit = self._circuit
        passage = circuit.enter(guarded=self._guards, tries=not call.duplicate)
        try:
            chunks = self._model.stream(call)
            try:
                async for chunk in chunks:
                    if isinstance(chunk, Sent):
                        circuit.send(passage)
                    elif isinstance(chunk, Done):
                        circuit.succeed(passage)
                    yield chunk
            finally:
                await chunks.aclose()
        except FAILURES as error:
            circuit.fail(passage, error)
            raise
        finally:
            circuit.leave(passage)
