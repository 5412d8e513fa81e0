"""A simulated provider: the one place that remembers, and the models it offers."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from stretto.calls import Call, Chunk, Done, Sent, Text
from stretto.errors import BatchError, CallError, CallTimeout, ConnectError, CutError, EmptyReply, ReplyError
from stretto.models.error_bodies import Refusal, refusal
from stretto.models.simulator.faults import Fault
from stretto.models.simulator.script import Script
from stretto.models.simulator.settings import Grain, Rates, Simulator
from stretto.types import Request, Usage

_HAIR = 1e-6  # timers and floats do not meet exactly
_GATHERED = 1.0  # seconds in which calls come together, as they do for a real batch


class SimulatedProvider:
    """What all models of one simulated provider share: how often each request was asked, and the limits.

    `asked` counts by fingerprint what was let in; `completed`, the replies with a text that were sent to their finish,
    which are what a caller has paid for and got; `refused` counts what the limits kept out, `cancelled` the calls that
    their caller gave up. `billed` is what models in the process would charge, with what was
    said of replies that broke off.
    """

    def __init__(self, simulator: Simulator | None = None) -> None:
        self.simulator = simulator or Simulator()
        self.asked: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        self.refused = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.cancelled = 0
        self.billed: dict[str, Usage] = {}
        self.rates = Rates(self.simulator)
        self._began: dict[Fault, float] = {}  # when each that lasts for a while met the first request it concerns

    def connect(self, model: str, timeout: float = math.inf) -> "SimulatedModel":
        """The model of this name; every name works, see `PROFILES` for those that mean something.

        `timeout`: seconds that a call may take.
        """
        return SimulatedModel(self, model, timeout)

    def ask(self, model: str, request: Request, fingerprint: str, now: float) -> Script | Refusal:
        """Take a request in at loop time `now`: what will be said to it, or why the limits keep it out."""
        from stretto.models.simulator.writing import write_script  # its patterns are a tenth of the start-up

        prompt_tokens = _characters(request) // 4
        if refusal := self.rates.admit(prompt_tokens, now):
            self.refused += 1
            return refusal
        nth, simulator = self.asked[fingerprint], self.simulator.of(model)

        def goes_on(fault: Fault) -> bool:
            return fault.lasts is None or now < self._began.setdefault(fault, now) + fault.lasts

        script = write_script(simulator, model, request, fingerprint, nth, goes_on)
        self.asked[fingerprint] += 1
        self.rates.charge(script.usage.output_tokens)
        return script

    @contextmanager
    def flight(self) -> Iterator[None]:
        """Count a call as in flight for as long as this is open, and as cancelled if its caller ends or loses it."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit, ConnectionError):
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    def bill(self, model: str, script: Script, elapsed: float) -> None:
        """Charge for a reply as far as it came within so many seconds."""
        said = script.usage.output_tokens
        if elapsed + _HAIR < script.ttft:
            said = 0
        elif elapsed + _HAIR < script.due(len(script.pieces)):
            said = min(said, math.ceil((elapsed - script.ttft) * script.rate))
        usage = Usage(script.usage.input_tokens, said)
        self.billed[model] = self.billed.get(model, Usage()) + usage

    def complete(self, fingerprint: str, script: Script) -> None:
        """Take note that a reply was sent to its finish."""
        if script.pieces:
            self.completed[fingerprint] += 1


class SimulatedModel:
    """A `Model` in the process: same seam, same errors, no network."""

    def __init__(self, provider: SimulatedProvider, name: str, timeout: float = math.inf) -> None:
        self._provider = provider
        self._name = name
        self._timeout = timeout

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply to one call, at its simulated pace."""
        now = asyncio.get_running_loop().time()
        with self._provider.flight():
            yield Sent()
            script = self._provider.ask(self._name, call.request, call.fingerprint, now)
            told = self._provider.rates.allowance(now)
            if isinstance(script, Refusal):
                raise script.error(self._name, allowance=told)
            if told:
                yield told
            until = now + self._timeout
            refused = self._refused(script)
            grain = self._provider.simulator.grain if call.stream else None
            try:
                await _sleep_until(now + script.ttft, until)
                if refused:
                    raise refused
                async for text in _spoken(script, now, until, grain):
                    yield Text(text)
            finally:
                if refused is None:
                    self._provider.bill(self._name, script, asyncio.get_running_loop().time() - now)
        self._provider.complete(call.fingerprint, script)
        # Only after the call has left the count: who stops reading at `Done` has not cancelled anything.
        yield Done(script.finish, script.usage, f"sim:{self._name}", script.request_id, simulated=True)

    def _refused(self, script: Script) -> CallError | None:
        """The error that takes the place of the whole reply, if a fault says so."""
        if script.fault is None:
            return None
        if refusal := script.fault.refusal():
            return refusal.error(self._name, script.request_id)
        where = f"sim:{self._name}"
        match script.fault.kind:
            case "reset":
                return ConnectError(f"{where}: the connection was reset before the reply began")
            case "html":
                return ReplyError(f"{where}: the answer is an HTML page, no chat completion", status=200)
            case "empty":
                return EmptyReply(f"{where}: finished without any text", request_id=script.request_id)
            case _:
                return None


async def _spoken(script: Script, start: float, until: float, grain: Grain | None) -> AsyncGenerator[str, None]:
    """The pieces in grains when they are due, or all when the last one is; raises `CutError` where the reply breaks."""
    loop = asyncio.get_running_loop()
    said = 0
    while grain and said < script.stops_at:
        await _sleep_until(start + script.due(script.line(said) if grain == "line" else said), until)
        # Behind time, the pieces that are due go out as one: the schedule holds, and a busy loop gets air.
        upto = script.upto(said, loop.time() - start)
        yield "".join(script.pieces[said:upto])
        said = upto
    if not grain:
        await _sleep_until(start + script.due(script.stops_at), until)
    if script.fault is not None and script.breaks:
        if script.fault.kind == "silence":
            await _sleep_until(loop.time() + script.fault.seconds, until)
        raise CutError(
            f"the connection ended after {script.stops_at} tokens, without a finish reason",
            request_id=script.request_id,
        )
    if not grain:
        yield "".join(script.pieces)


async def _sleep_until(moment: float, until: float) -> None:
    """Sleep until it is `moment`; raises `CallTimeout` if `until` comes first."""
    now = asyncio.get_running_loop().time()
    if moment > now:
        await asyncio.sleep(min(moment, until) - now)
    if moment > until:
        raise CallTimeout("the simulated model did not finish within the time of one call (timeout)")


def _characters(request: Request) -> int:
    """How long the prompt is, with the inputs at its head."""
    head = request.head.size if request.head else 0
    return head + sum(len(message.content) for message in request.messages)


def failed_line(script: Script | Refusal) -> Refusal | None:
    """The error status in the place of a line's reply, if it has one; a fault of the connection is one of the server.

    A line that has expired has neither.
    """
    if isinstance(script, Refusal):
        return script
    if script.breaks or (script.fault and script.fault.kind in {"reset", "html"}):
        return refusal(500)
    return script.fault.refusal() if script.fault else None


class BatchedModel:
    """The model `name` of a simulated provider: what it says is there, all at once, when its batch has ended.

    A line that went wrong is a `BatchError`, as it is over HTTP.
    """

    def __init__(self, provider: SimulatedProvider, name: str) -> None:
        self._provider = provider
        self._name = name

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        """The reply to one call."""
        yield Sent()
        await asyncio.sleep(_GATHERED + self._provider.simulator.batch)
        now, where = asyncio.get_running_loop().time(), f"sim:{self._name}: in the batch"
        script = self._provider.ask(self._name, call.request, call.fingerprint, now)
        if refused := failed_line(script):
            raise BatchError(f"{where}: {refused.status}: {refused.message}")
        assert isinstance(script, Script)  # noqa: S101 - it was not refused
        if script.fault and script.fault.kind == "expired":
            raise BatchError(f"{where}: it has expired")
        self._provider.bill(self._name, script, script.due(len(script.pieces)))
        self._provider.complete(call.fingerprint, script)
        yield Text("".join(script.pieces))
        yield Done(script.finish, script.usage, f"sim:{self._name}", script.request_id, simulated=True)
