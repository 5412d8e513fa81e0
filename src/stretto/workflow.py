"""The public face: a `Workflow`, and the one door into it, `stream`."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import replace

from stretto import prompts
from stretto.engine import Execution
from stretto.errors import ConfigError, StrettoError, TaskError
from stretto.events import AnyEvent, RunFailed, RunInterrupted, RunResumed, RunStarted
from stretto.ids import new_ulid
from stretto.models.providers import KNOWN, Provider, split_model
from stretto.models.simulator import Simulator
from stretto.policies.memo import Memo
from stretto.pool import AnyProvider, Pool
from stretto.runs import Run
from stretto.store.journal import Journal
from stretto.store.sqlite import Store
from stretto.text import clean
from stretto.types import Definition, Limits, Reply, Role, RoleName


class Workflow:
    """Who does what: an orchestrator that plans, workers by the type of subtask, and a synthesizer that merges.

    `workers` maps subtask types to roles. Without a `synthesizer` the results themselves are the answer. `providers`
    adds providers by name, or replaces known ones. `store` is the file in which runs are kept, so that they can be
    resumed; without one nothing is written. Raises `ConfigError` for whatever cannot work, before anything is asked.
    """

    def __init__(
        self,
        orchestrator: Role | str,
        workers: Mapping[str, Role | str],
        synthesizer: Role | str | None,
        *,
        limits: Limits | None = None,
        providers: Mapping[str, AnyProvider] | None = None,
        store: str | Path | None = None,
    ) -> None:
        self.definition = Definition(
            _role(orchestrator),
            {name: _role(worker) for name, worker in workers.items()},
            None if synthesizer is None else _role(synthesizer),
            limits or Limits(),
        )
        self.providers: dict[str, AnyProvider] = {**KNOWN, "sim": Simulator(), **(providers or {})}
        self.store = None if store is None else Path(store)
        _check(self.definition, self.providers)
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()

    def stream(self, task: str) -> "RunStream":
        """A new run of this task: `async with workflow.stream(task) as events: async for event in events: …`."""
        if not task.strip():
            raise TaskError("the task is empty; say what is to be done")
        return RunStream(self, new_ulid(), clean(task))

    def resume(self, run: str) -> "RunStream":
        """Go on with a run of this workflow's store, with this definition; what is complete is not asked again."""
        if self.store is None:
            raise ConfigError("a run can only be resumed from a store; give the workflow one (store=…)")
        return RunStream(self, run, None)

    async def run(self, task: str) -> Run:
        """The finished run; raises what made an answer impossible."""
        async with self.stream(task) as events:
            return await events.finished()

    def run_sync(self, task: str) -> Run:
        """`run` from code that is not asynchronous, in a notebook too."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.run(task))
        return _Aside(self, task).result()

    @property
    def pool(self) -> Pool:
        """The models of the running loop, shared by all runs in it."""
        return self._pools.setdefault(asyncio.get_running_loop(), Pool(self.providers, self.definition.limits))

    @property
    def models(self) -> list[str]:
        """Every model this workflow may ask, as written, each once."""
        return list(dict.fromkeys(role.model for _, _, role in _roles(self.definition)))

    @property
    def simulated(self) -> bool:
        """Whether a part of the answer comes from the simulator."""
        return any(isinstance(self.providers[model.partition(":")[0]], Simulator) for model in self.models)

    def record(self) -> dict[str, Any]:
        """The definition as data, as it is kept with a run; without the values of headers, which may be secret."""
        used = dict.fromkeys(model.partition(":")[0] for model in self.models)
        providers = {name: _recorded(self.providers[name]) for name in used}
        return {"definition": msgspec.to_builtins(self.definition), "providers": providers}


class RunStream:
    """One execution of a run: an asynchronous context manager, and inside it the iterator over the run's events.

    Leaving it early, or cancelling whoever is inside, stops the run and every call in flight. After `run_failed` the
    iterator raises the error itself.
    """

    def __init__(self, workflow: Workflow, run: str, task: str | None) -> None:
        self.run_id = run
        self._workflow = workflow
        self._new_task = task
        self._events: asyncio.Queue[AnyEvent | None] = asyncio.Queue()
        self._carrier: asyncio.Task[None] | None = None
        self._journal: Journal | None = None

    @property
    def recorded(self) -> bool:
        """Whether the run is in a store, so that it can be resumed."""
        return self._workflow.store is not None and self._journal is not None

    @property
    def run(self) -> Run:
        """The run so far."""
        if self._journal is None:
            raise StrettoError("the run has not begun; enter the stream with `async with` first")
        return self._journal.run

    async def __aenter__(self) -> Self:
        self._carrier = asyncio.create_task(self._carry(), name=f"stretto-{self.run_id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._carrier is not None:
            self._carrier.cancel()
            # Its outcome was told to whoever read the events to their end; who left before does not want it.
            await asyncio.wait([self._carrier])
            if not self._carrier.cancelled():
                self._carrier.exception()

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)  # asked again, the answer is the same
            if self._carrier is not None:
                await self._carrier
            raise StopAsyncIteration
        return event

    async def finished(self) -> Run:
        """Read all events and give the finished run; raises what made an answer impossible."""
        async for _ in self:
            pass
        return self.run

    async def _carry(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
        finally:
            self._events.put_nowait(None)

    async def _open(self, stack: AsyncExitStack) -> None:
        flow = self._workflow
        pool = await stack.enter_async_context(flow.pool)
        for model in flow.models:
            pool.model(model)  # a missing key is an error before anything is asked or written
        history: list[AnyEvent] = []
        replies: dict[str, Reply] = {}
        if flow.store is not None:
            store = Store(flow.store)
            stack.enter_context(store.carrying(self.run_id))
            if self._new_task is None:
                history, replies = store.events(self.run_id), store.replies(self.run_id)
        self._journal = journal = await stack.enter_async_context(
            Journal(self.run_id, path=flow.store, show=self._events.put_nowait, history=history)
        )
        if self._new_task is None:
            journal.append(RunResumed(workflow=flow.record()))
        else:
            journal.append(RunStarted(task=self._new_task, workflow=flow.record(), simulated=flow.simulated))
        asking: dict[str, asyncio.Event] = {}
        await self._execute(
            Execution(flow.definition, journal, lambda name: Memo(pool.model(name), replies, asking), replies), journal
        )

    async def _execute(self, execution: Execution, journal: Journal) -> None:
        """Run it; however it ends, the log says so."""
        try:
            await execution.execute()
        except asyncio.CancelledError:
            journal.append(RunInterrupted())
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, the log says so, and it is raised again
            cause = _cause(error)
            journal.append(RunFailed(error=str(cause) or repr(cause), error_type=type(cause).__name__))
            raise cause from cause.__cause__


class _Aside:
    """A run in a thread and event loop of its own, for callers whose own loop is running."""

    def __init__(self, workflow: Workflow, task: str) -> None:
        self._runner = asyncio.Runner()
        self._coroutine = workflow.run(task)
        self._outcome: Run | BaseException | None = None
        self._main: asyncio.Task[Any] | None = None
        self._thread = threading.Thread(target=self._work, name="stretto-run")

    def result(self) -> Run:
        """Wait for it; Ctrl-C stops the run first."""
        self._thread.start()
        try:
            self._thread.join()
        except BaseException:
            self._runner.get_loop().call_soon_threadsafe(self._stop)
            self._thread.join()
            raise
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        assert self._outcome is not None  # noqa: S101 - the thread has ended
        return self._outcome

    def _work(self) -> None:
        try:
            with self._runner:
                self._outcome = self._runner.run(self._watched())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self._outcome = error

    async def _watched(self) -> Run:
        self._main = asyncio.current_task()
        return await self._coroutine

    def _stop(self) -> None:
        if self._main is not None:
            self._main.cancel()


def _cause(error: BaseException) -> BaseException:
    """The first real error inside the groups that task groups raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _role(role: Role | str) -> Role:
    return Role(role) if isinstance(role, str) else role


def _roles(definition: Definition) -> Iterator[tuple[str, RoleName, Role]]:
    """Every role, with its place in the configuration."""
    yield "orchestrator", "orchestrator", definition.orchestrator
    for name, role in definition.workers.items():
        yield f'workers."{name}"', "worker", role
    if definition.synthesizer:
        yield "synthesizer", "synthesizer", definition.synthesizer


def _recorded(provider: AnyProvider) -> dict[str, Any]:
    kind = {"kind": "simulator"} if isinstance(provider, Simulator) else {"kind": "endpoint"}
    if isinstance(provider, Provider):
        provider = replace(provider, headers=dict.fromkeys(provider.headers, ""))
    return {**kind, **msgspec.to_builtins(provider)}


def _check(definition: Definition, providers: Mapping[str, AnyProvider]) -> None:
    """Raise `ConfigError` naming the place, for whatever cannot work."""
    if not definition.workers:
        raise ConfigError("workers: a workflow needs one worker at least")
    for place, kind, role in _roles(definition):
        provider, _ = split_model(role.model, f"{place}.model")
        if provider not in providers:
            names = ", ".join(sorted(providers))
            raise ConfigError(
                f"{place}.model: unknown provider {provider!r}; known are {names}; [providers.{provider}] with a "
                "base_url adds one"
            )
        prompts.check(kind, role.prompt, f"{place}.prompt")
        try:
            msgspec.json.encode(role.options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{place}.options: not JSON: {error}") from error
    limits = definition.limits
    for name in ("parallel", "max_subtasks", "attempts"):
        if getattr(limits, name) < 1:
            raise ConfigError(f"limits.{name}: must be 1 or more, not {getattr(limits, name)}")
    for name in ("rpm", "timeout", "max_wait"):
        value = getattr(limits, name)
        if value is not None and not value > 0:
            raise ConfigError(f"limits.{name}: must be more than 0, not {value}")
