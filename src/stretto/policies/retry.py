"""Retry: what may pass is asked again, with full jitter."""

import math
import random
from collections.abc import AsyncGenerator, Callable

from stretto.calls import Call, Chunk, Model, Notice
from stretto.errors import CallError, EmptyReply, TransientError
from stretto.events import CallRetried
from stretto.policies.attempts import Again, Attempts, until_whole

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
_EMPTY = 2  # empty replies to one call, with which it has failed


class Retry:
    """Asks `model` up to `attempts` times as long as it fails with a `TransientError`.

    The wait after attempt n is uniform between 0 and `FIRST_WAIT * 2**(n-1)` seconds, at most `LONGEST_WAIT` (full
    jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), and never shorter than what the
    provider asked for; if it asks for more than `max_wait` seconds, its error counts at once. What was passed on of a
    broken reply is taken back by `Restarted`. A plan is not: once a part of it was passed on, subtasks may be under
    way, and its error goes up to be repaired. Who gives an empty reply twice has nothing to say, and is not asked a
    third time. `jitter` draws a number between two.
    """

    def __init__(
        self,
        model: Model,
        attempts: int,
        max_wait: float = math.inf,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._model = model
        self._attempts = attempts
        self._max_wait = max_wait
        self._jitter = jitter

    def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The first reply that comes through."""
        return until_whole(call, _Tries(self, call))

    def ask(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """Ask the model."""
        return self._model.stream(call)

    def wait(self, error: TransientError, attempt: int) -> float | None:
        """Seconds to wait after an attempt that failed; None if there is to be no other."""
        asked = error.retry_after or 0.0
        if attempt >= self._attempts or asked > self._max_wait:
            return None
        return max(asked, self._jitter(0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))))


class _Tries(Attempts):
    """The attempts at one call: how many there were, and how many ended with an empty reply."""

    __slots__ = ("_attempts", "_call", "_empty", "_retry")

    def __init__(self, retry: Retry, call: Call) -> None:
        self._retry = retry
        self._call = call
        self._attempts = self._empty = 0

    def ask(self) -> AsyncGenerator[Chunk, None]:
        return self._retry.ask(self._call)

    def failed(self, error: CallError, *, planned: bool) -> Again:
        if not isinstance(error, TransientError):
            raise error
        self._attempts += 1
        self._empty += isinstance(error, EmptyReply)
        wait = None if planned or self._empty >= _EMPTY else self._retry.wait(error, self._attempts)
        if wait is None:
            raise error
        return Again((Notice(CallRetried(reason=str(error), wait=wait, attempt=self._attempts)),), wait)
