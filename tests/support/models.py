"""Models that say exactly what a test wants them to, when it wants them to."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from stretto.calls import Call, Chunk, Done, Model, Sent, Text, Urgency, fingerprint
from stretto.engine import Execution
from stretto.engine.approving import Consider
from stretto.errors import CallError
from stretto.events import AnyEvent, RunStarted
from stretto.policies.account import Account
from stretto.policies.breaker import Circuit
from stretto.policies.composition import Composition, Opened
from stretto.policies.governor.gate import Gate
from stretto.policies.governor.lane import Lane
from stretto.policies.governor.queue import Governor, Queue
from stretto.policies.latency import Latencies
from stretto.policies.limit import Limit
from stretto.policies.memo import Replies
from stretto.policies.prices import FREE, Prices
from stretto.policies.retry import Retry
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.types import Definition, Limits, Message, Request, Role, RoleName, Usage
from virtual import clock, virtually

Beat = str | float | Chunk | Exception
"""A text to say, seconds to wait, any other chunk, or an error to end with."""

Script = Callable[[Call, int], Iterable[Beat]]
"""What is said to a call, when the same request is asked for the nth time (from 0)."""


class Scripted:
    """A model that follows a script; if that does not say how a reply ends, it ends well."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.calls: list[Call] = []
        self._asked = Counter[str]()
        self.sent_at: list[float] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.cancelled = 0

    async def stream(self, call: Call) -> AsyncGenerator[Chunk, None]:
        nth = self._asked[call.fingerprint]
        self._asked[call.fingerprint] += 1
        self.calls.append(call)
        self.sent_at.append(clock())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            async for chunk in self._follow(call, nth):
                yield chunk
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def _follow(self, call: Call, nth: int) -> AsyncGenerator[Chunk, None]:
        yield Sent()
        for line in self._script(call, nth):
            match line:
                case str():
                    yield Text(line)
                case float() | int():
                    await asyncio.sleep(line)
                case Exception():
                    raise line
                case Done():
                    yield line
                    return
                case _:
                    yield line
        yield Done("stop", Usage(1, 1))

    def prompts(self, role: RoleName) -> list[str]:
        """What the last message said to each call of a role."""
        return [call.request.messages[-1].content for call in self.calls if call.role == role]


def by_role(**scripts: Script | str) -> Script:
    """A script for each role; a text is what it always says."""

    def script(call: Call, nth: int) -> Iterable[Beat]:
        said = scripts[call.role]
        return [said] if isinstance(said, str) else said(call, nth)

    return script


def plan_of(*subtasks: Mapping[str, Any] | str) -> str:
    """A plan as an orchestrator writes it; a subtask given as a text is one of type `part`, described by it."""
    tasks = [{"type": "part", "description": s} if isinstance(s, str) else s for s in subtasks]
    return json.dumps({"analysis": "It divides.", "tasks": tasks})


class Told(Struct):
    """What one execution came to: its events with their times, the run, and the error if there was one."""

    events: list[tuple[float, AnyEvent]]
    run: Run
    error: BaseException | None = None

    def at(self, kind: str, **fields: Any) -> list[float]:
        """When events of this kind, with these fields, happened."""
        return [at for at, event in self.events if _fits(event, kind, fields)]

    def only(self, kind: str) -> list[Any]:
        """The events of this kind."""
        return [event for _, event in self.events if event.kind == kind]


def _fits(event: AnyEvent, kind: str, fields: Mapping[str, Any]) -> bool:
    return event.kind == kind and all(getattr(event, name) == value for name, value in fields.items())


TRIO = Definition(Role("sim:o"), {"part": Role("sim:w")}, Role("sim:s"))


def carry(
    model: Model | Script,
    definition: Definition = TRIO,
    *,
    history: Sequence[AnyEvent] = (),
    task: str = "Explain tides.",
    consider: Consider | None = None,
    meanwhile: Callable[[Execution], Coroutine[Any, Any, None]] | None = None,
) -> Told:
    """Execute a definition in virtual time with one model for all roles, under the usual policies.

    `meanwhile` is done beside it, and must be through when it is.
    """
    asked: Model = Scripted(model) if callable(model) else model

    async def main() -> Told:
        events: list[tuple[float, AnyEvent]] = []
        error: BaseException | None = None

        def show(event: AnyEvent) -> None:
            events.append((clock(), event))

        async with Journal("r1", store=None, show=show, history=history) as journal:
            if not history:
                journal.append(RunStarted(task=task, workflow={}))
            limits, replies = definition.limits, Replies()
            account, prices = Account(limits), Prices()
            prices.known |= dict.fromkeys(all_models(definition), FREE)
            queue = Queue(Governor(), Gate(limits.parallel, limits.rpm, limits.tpm), Lane(Gate()))
            polite = Limit(asked, queue, limits.max_wait)

            @cache
            def opened(name: str) -> Opened:
                return Opened(name, polite, lambda: queue.spare, Circuit(name), Latencies())

            composition = Composition(opened, limits, account, prices, replies)
            try:
                model = composition.model
                execution = Execution(definition, journal, model, account, replies, consider=consider)
                async with asyncio.TaskGroup() as both:
                    both.create_task(execution.execute())
                    if meanwhile is not None:
                        both.create_task(meanwhile(execution))
            except Exception as group:  # noqa: BLE001 - the test looks at it
                error = group
                while isinstance(error, BaseExceptionGroup):
                    error = error.exceptions[0]
        return Told(events, journal.run, error)

    return virtually(main())


def all_models(definition: Definition) -> list[str]:
    """Every model of a definition, as written."""
    roles = [definition.orchestrator, *definition.workers.values(), definition.synthesizer]
    return [model for role in roles if role for model in role.candidates]


def limited(model: Model, limits: Limits) -> Model:
    """A model as a pool opens it."""
    queue = Queue(Governor(), Gate(limits.parallel, limits.rpm, limits.tpm), Lane(Gate()))
    return Limit(model, queue, limits.max_wait)


def policies(model: Model, limits: Limits) -> Model:
    """A model that waits for admission and is asked again."""
    return Retry(limited(model, limits), limits.attempts, limits.max_wait)


def call(text: str = "Hello", *, role: RoleName = "worker", urgency: int = 2, stream: bool = True) -> Call:
    """A call as the engine makes it."""
    request = Request("sim:x", (Message("user", text),))
    plans = role == "orchestrator"
    return Call("c1", "r1", role, None, request, fingerprint(request), stream, Urgency(urgency), plans=plans)


async def listen(model: Model, asked: Call) -> list[Chunk]:
    """Every chunk of a reply."""
    return [chunk async for chunk in model.stream(asked)]


async def outcome(model: Model, asked: Call) -> list[Chunk] | CallError:
    """Every chunk of a reply, or the error it ended with."""
    try:
        return await listen(model, asked)
    except CallError as error:
        return error
