"""Race: two requests for one call, of which the first usable reply counts."""

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from stretto.calls import KEPT, SPOKEN, Call, Chunk, Done, Model, Notice, Reasoning, Restarted, Sent, Text
from stretto.errors import CallError
from stretto.events import CallRetried
from stretto.policies.latency import Flight, Flights, Late

Said = Chunk | CallError | None
"""A chunk, the error a stream ends with, or None after its last chunk."""

_ANSWER = (Text, Reasoning, Done)
_NO_ANSWER = (Notice, CallError)


class Runner:
    """One of the requests for a call. `chunks` is its stream, `held` what it said that was not passed on.

    Its next chunk is awaited in place, or in the task `reading` if somebody else may be quicker; the stream belongs to
    one of them at a time. `late`: see there.
    """

    def __init__(self, model: Model, call: Call, flights: Flights, late: Late | None = None) -> None:
        self.call = call
        self.chunks = model.stream(call)
        self.held: list[Chunk] = []
        self.flight: Flight | None = None
        self.reading: asyncio.Task[Said] | None = None
        self._flights = flights
        self.late = late
        self._departing = call.duplicate

    async def next(self) -> Said:
        """Its next chunk; None at its end; the error, if it failed."""
        try:
            return await anext(self.chunks)
        except StopAsyncIteration:
            return None
        except CallError as error:
            return error

    def read(self, heard: asyncio.Event) -> None:
        """Have its next chunk awaited in a task; `heard` is set when it is there."""
        self.reading = asyncio.create_task(self.next())
        self.reading.add_done_callback(lambda _: heard.set())

    def note(self, said: Said) -> None:
        """Start the clock when a request leaves, stop it when that is answered or has failed."""
        if isinstance(said, Sent):
            self._land(answered=False)
            self.flight = self._flights.send(self.call, self.late)
            self._depart()
        elif isinstance(said, _ANSWER):
            self._land(answered=True)
        elif said is None or isinstance(said, _NO_ANSWER):
            self._land(answered=False)

    def marked(self, chunk: Chunk) -> Chunk:
        """The chunk as it is passed on: the repetitions of a duplicate are no attempts at the call."""
        if self.call.duplicate and isinstance(chunk, Notice) and isinstance(chunk.event, CallRetried):
            return Notice(replace(chunk.event, duplicate=True))
        return chunk

    async def close(self) -> None:
        """Cancel the request; it is cancelled when this returns, even if whoever waits here is cancelled too."""
        self._land(answered=False)
        self._depart()
        reading, self.reading, interruption = self.reading, None, None
        if reading is not None:
            reading.cancel()
            while not reading.done():
                try:
                    await asyncio.wait([reading])
                except asyncio.CancelledError as error:
                    interruption = error
        await self.chunks.aclose()
        if reading is not None and not reading.cancelled():
            reading.result()  # a `CallError` is a value here, and of no interest any more; anything else is raised
        if interruption is not None:
            raise interruption

    def _land(self, *, answered: bool) -> None:
        if self.flight is not None:
            (self._flights.answer if answered else self._flights.lose)(self.flight)
            self.flight = None

    def _depart(self) -> None:
        if self._departing:
            self._departing = False
            self._flights.departed()


class Race:
    """The requests for one call: the first one, and from when it is late and `may` allows it, a second.

    `may` is asked with all calls of the run that are late. Until there is a `winner`, `hear` what comes next and let
    `judge` say what of it is passed on. Must be closed.
    """

    def __init__(self, model: Model, call: Call, flights: Flights, may: Callable[[Call, Sequence[Call]], bool]) -> None:
        self.winner: Runner | None = None
        self._model = model
        self._call = call
        self._flights = flights
        self._may = may
        self._first = Runner(model, call, flights, self._late)
        self._second: Runner | None = None
        self._most = 0.0  # seconds most requests take, when the second one was sent
        self._running = [self._first]
        self._error: CallError | None = None  # the first one's
        self._unusable: Runner | None = None  # it ended, but the other one may do better
        self._heard = asyncio.Event()

    @property
    def loser(self) -> Runner | None:
        """The other one, if there were two."""
        return self._first if self.winner is self._second else self._second

    async def hear(self) -> tuple[Runner, Said]:
        """Whoever says something next, and what."""
        if len(self._running) == 1:
            (only,) = self._running
            # Not on its way, so nobody will race it: a task would be for nothing.
            if only.flight is None and only.reading is None:
                return only, await only.next()
        while True:
            for runner in self._running:
                if runner.reading is None:
                    runner.read(self._heard)
                elif runner.reading.done():
                    reading, runner.reading = runner.reading, None
                    return runner, reading.result()
            await self._heard.wait()
            self._heard.clear()

    def judge(self, runner: Runner, said: Said) -> Sequence[Chunk]:
        """What is passed on of it; sets the winner, raises the first one's error if nobody is left."""
        first_sent = runner is self._second and isinstance(said, Sent) and runner.flight is None
        runner.note(said)
        if isinstance(said, CallError):
            self._fail(runner, said)
        elif isinstance(said, Restarted):
            runner.held.clear()
        elif said is None or isinstance(said, _ANSWER):
            self._speak(runner, said)
        elif first_sent:
            return [Notice(self._retried()), said]
        else:
            return [runner.marked(said)]
        return []

    async def close(self) -> None:
        """Cancel every request."""
        try:
            if self._second is not None:
                await self._second.close()
        finally:
            await self._first.close()

    def _late(self, most: float, late: Sequence[Call]) -> bool:
        """The first request takes longer than most: send the second, if that may be."""
        if not self._may(self._call, late):
            return False
        self._most, self._first.late = most, None
        self._second = Runner(self._model, replace(self._call, duplicate=True), self._flights)
        self._second.read(self._heard)
        self._running.append(self._second)
        return True

    def _speak(self, runner: Runner, said: Text | Reasoning | Done | None) -> None:
        if said is not None:
            runner.held.append(said)
        whole = isinstance(said, Done) and said.finish in KEPT
        if len(self._running) == 1 or whole or (self._call.stream and isinstance(said, SPOKEN)):
            self.winner = runner
        elif said is None:
            self._running.remove(runner)
            self._unusable = runner

    def _fail(self, runner: Runner, error: CallError) -> None:
        self._running.remove(runner)
        if runner is self._first:
            self._error = error
        if not self._running:
            self.winner = self._unusable
            if self.winner is None:
                raise self._error or error

    def _retried(self) -> CallRetried:
        reason = f"no reply yet; most take no longer than {self._most:.1f} s (p95); asked a second time"
        return CallRetried(reason=reason, wait=0.0, attempt=0, duplicate=True)
