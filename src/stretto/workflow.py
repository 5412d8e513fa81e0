"""The public face: a `Workflow`, and the one door into it, `stream`."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self, TypedDict, TypeVar, Unpack, overload
from weakref import WeakKeyDictionary

from stretto.aside import outcome
from stretto.errors import ConfigError, TaskError
from stretto.forecast import Forecast
from stretto.head import checked_inputs, checked_task
from stretto.ids import is_ulid, new_ulid
from stretto.limits import check_prices, checked_limits, checked_memory, taken
from stretto.models.functions import PROVIDER, Functions
from stretto.opening import New, explained
from stretto.plan.given import DIRECT, AnyPlan, given_plan
from stretto.pool import AnyProvider, Pool, known_providers
from stretto.proposal import Approve
from stretto.replay import ReplayStream, recording_of
from stretto.rerun import Rerun, rerun_of
from stretto.roles import Models, Worker, as_mapping, as_role, as_worker, check_definition, models_of, shaped
from stretto.row_stream import RowStream, Wanted, row_stream
from stretto.run_stream import RunStream
from stretto.runs import Parsed, Run
from stretto.shapes import Shape
from stretto.store.travel import entries
from stretto.team import Team
from stretto.tracebacks import without_frames
from stretto.types import Definition, Input, Limits, Memory, Message, Price, Role, Row
from stretto.virtual import virtually

Answer = TypeVar("Answer")


class Settings(TypedDict, total=False):
    """What `Workflow.from_toml` takes beside the file and the `answer`."""

    models: Models | None
    limits: Mapping[str, Any] | None
    memory: Mapping[str, Any] | None
    providers: Mapping[str, AnyProvider] | None
    prices: Mapping[str, Price | None] | None
    store: str | Path | None


class Workflow(Generic[Parsed]):
    """Who does what: an orchestrator that plans, workers by the type of subtask, and a synthesizer that merges.

    - `orchestrator`: a role, or a model's name alone; None: every worker does the whole task.
    - `workers`: by type of subtask, roles, models, Python functions (see `Function`), or workflows, which do each
      subtask as a task of their own.
    - `synthesizer`: a role, or a model's name alone; None: the results themselves are the answer.
    - `answer`: the shape the answer must have: a pydantic model, msgspec Struct, dataclass or TypedDict, or a JSON
      schema; `run.parsed` is one of it, and type checkers know that. None: a text.
    - `limits`: what a run may use, as `Limits` or by its names (`{"budget": "50c"}`); the defaults of `Limits`.
    - `providers`: by name, more of them or others in place of known ones; none.
    - `prices`: by model, what it costs, None for unknown; known ones are looked up with the extra `prices`.
    - `store`: the file in which runs are kept, so that they can be resumed; None: nothing is written.
    - `memory`: what is kept there, and which recorded replies are reused, as `Memory` or by its names; its defaults.

    Raises `ConfigError` for whatever cannot work, before anything is asked.
    """

    @without_frames
    def __init__(
        self,
        orchestrator: Role | str | None,
        workers: "Mapping[str, Worker | Workflow[Any]]",
        synthesizer: Role | str | None = None,
        *,
        answer: type[Parsed] | dict[str, Any] | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        providers: Mapping[str, AnyProvider] | None = None,
        prices: Mapping[str, Price | None] | None = None,
        store: str | Path | None = None,
        memory: Memory | Mapping[str, Any] | None = None,
    ) -> None:
        functions: dict[str, Callable[..., Any]] = {}
        self.definition = Definition(
            None if orchestrator is None else as_role(orchestrator, "orchestrator"),
            {name: as_worker(name, _unfolded(worker), functions) for name, worker in as_mapping(workers).items()},
            None if synthesizer is None else as_role(synthesizer, "synthesizer"),
            checked_limits(taken(Limits, limits, "limits")),
            checked_memory(taken(Memory, memory, "memory")),
        )
        self.definition, self.shape = shaped(self.definition, answer)
        within = [worker for worker in workers.values() if isinstance(worker, Workflow)]
        known: dict[str, Price | None] = {}
        for each in within:  # what it knows of providers and prices, this one may say otherwise
            theirs = each.providers.get(PROVIDER)
            functions |= theirs.known if isinstance(theirs, Functions) else {}
            providers = {**each.providers, **(providers or {})}
            known |= each.prices
        self.providers = known_providers(providers or {}, functions)
        self.prices: dict[str, Price | None] = {**known, **(prices or {})}
        check_prices(self.prices)
        self.jitter: Callable[[float, float], float] = random.uniform
        """Draws a number between two, for waits; rehearsals and tests put one here that makes runs repeatable."""
        self.store = None if store is None else Path(store)
        check_definition(self.definition, self.providers)
        if self.definition.memory.reuse == "store" and self.store is None:
            raise ConfigError('memory.reuse: "store" needs a store; give the workflow one (store=…)')
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = WeakKeyDictionary()

    @overload
    @classmethod
    def from_toml(
        cls, named: str | Path, *, answer: type[Answer], **settings: Unpack[Settings]
    ) -> "Workflow[Answer]": ...
    @overload
    @classmethod
    def from_toml(
        cls, named: str | Path, *, answer: dict[str, Any] | None = None, **settings: Unpack[Settings]
    ) -> Self: ...
    @classmethod
    @without_frames
    def from_toml(
        cls,
        named: str | Path,
        *,
        answer: type[Any] | dict[str, Any] | None = None,
        models: Models | None = None,
        limits: Mapping[str, Any] | None = None,
        memory: Mapping[str, Any] | None = None,
        providers: Mapping[str, AnyProvider] | None = None,
        prices: Mapping[str, Price | None] | None = None,
        store: str | Path | None = None,
    ) -> "Workflow[Any]":
        """The workflow in a TOML file (a `Path`, or a name with / or .toml), or in a preset (`"solve"`).

        `answer` is as for `Workflow`. `models` goes before what the file says: one for all roles, or by role
        (`{"workers": "groq:…", "synthesizer": ["a:b", "c:d"]}`; a list ends in fallbacks). A model that nobody names is
        `STRETTO_MODEL`, else that of the first provider with a key, else of a local server that answers. `limits` and
        `memory` are written as in the file (`{"budget": "50c"}`), `providers` and `prices` as for `Workflow`; each goes
        before the file, key by key. Only this file is read. Raises `ConfigError`.
        """
        from stretto.config.loading import load  # two megabytes that nobody needs who writes Python

        def make(*roles: Any, **facts: Any) -> "Workflow[Any]":
            facts["providers"] = {**facts["providers"], **(providers or {})}
            facts["prices"] = {**facts["prices"], **(prices or {})}
            return cls(*roles, answer=answer, **facts)

        return load(make, named, models, limits, memory, None if store is None else Path(store))

    @without_frames
    def stream(
        self,
        task: str,
        *,
        plan: AnyPlan | None = None,
        fresh: bool = False,
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
        direct: bool = False,
        messages: Sequence[Message] = (),
        run: str | None = None,
    ) -> RunStream[Parsed]:
        """A new run of this task: `async with workflow.stream(task) as events: async for event in events: …`.

        `plan`: carry out this one (a `Plan`, or data in the form of a plan) and ask for none. `fresh`: no reply that
        another run has recorded answers a call, whatever `memory` says. `inputs`: texts that the task comes with, at
        the head of every prompt (`stretto.read_inputs` reads files and folders). `approve` is given the plan with its
        forecast (a `Proposal`) before anything of it is asked, and returns `Go()`, `Edit(plan)`, `Drop(ids)`,
        `Again(remark)` or `Stop()` (`stretto.proposal`), or an awaitable of one; after `Stop()` the run is
        `interrupted`, and `resume` goes on with it. `direct`: nothing is planned, and one call answers the task.
        `messages`: that call is asked these, word for word, and `task` only names it in lists. `run`: the id of the run
        (a ULID); one that the store has already is gone on with, so that who says the same twice pays once.
        """
        direct = direct or bool(messages)
        if direct and plan is not None:
            raise TaskError("plan: a task that is answered directly has none; leave one of the two out")
        if run is not None and not is_ulid(run):
            raise TaskError(f"run: {run[:80]!r} is no id of a run; it is a ULID (26 capital letters and digits)")
        given = DIRECT if direct else None if plan is None else given_plan(plan, self.definition)
        texts = checked_inputs(inputs)
        begin = New(checked_task(task), given, fresh, texts, messages=tuple(messages), again=run is not None)
        return self._stream(self._team, run or new_ulid(), begin, self.shape, approve)

    @without_frames
    def plan(self, task: str, *, inputs: Sequence[Input] = ()) -> RunStream[Parsed]:
        """A run that ends with its plan (`run.plan`), to be looked at or edited; `resume` carries it out."""
        begin = New(checked_task(task), inputs=checked_inputs(inputs))
        return self._stream(self._team, new_ulid(), begin, self.shape, plan_only=True)

    @without_frames
    def rerun(
        self,
        run: str,
        *,
        plan: AnyPlan | None = None,
        only: Sequence[str] = (),
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] | None = None,
        approve: Approve | None = None,
    ) -> RunStream[Parsed]:
        """A new run of the task of an earlier one, with this definition: only what has changed is asked.

        `plan`: carry out this one. `only`: compute these subtasks of the earlier run's plan (or the given one), and
        take the results of all others as they were. `fresh`: ask these anew though nothing has changed about them: ids
        of subtasks, `orchestrator`, `synthesizer`. `inputs`: these in place of the earlier run's. `approve` is given
        the plan first (see `stream`), as if nothing of it were recorded.
        """
        self._kept("rerun")
        begin = rerun_of(self.definition, run, plan, only, fresh, inputs)
        return self._stream(self._team, new_ulid(), begin, self.shape, approve)

    @without_frames
    def resume(self, run: str, *, approve: Approve | None = None) -> RunStream[Parsed]:
        """Go on with a run of this workflow's store, with this definition; what is complete is not asked again.

        `approve` is given what is left of its plan, before anything of that is asked (see `stream`).
        """
        self._kept("resumed")
        return self._stream(self._team, run, None, self.shape, approve)

    async def explain(
        self,
        run: str,
        *,
        plan: AnyPlan | None = None,
        only: Sequence[str] = (),
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] | None = None,
    ) -> list[Forecast]:
        """What `rerun` with these would reuse, what it would ask and why, and what that would cost; nothing is sent."""
        with without_frames:
            store, wanted = self._kept("rerun"), rerun_of(self.definition, run, plan, only, fresh, inputs)
            async with self.pool as pool:
                pool.look_up_prices(self.models)
                await pool.prices.ready()
            return virtually(explained(wanted, self.definition, store, pool.prices))

    @without_frames
    def replay(self, run: str, *, timed: bool = False) -> ReplayStream[Parsed]:
        """A run of this workflow's store once more, from its records: as it was defined, with no key and no network.

        `timed`: in the time that was recorded, not at once. Nothing is stored. Raises `RunNotFound`; a call that is not
        recorded is a `MissingRecord` in the stream.
        """
        store = self._kept("replayed")
        return ReplayStream(recording_of(entries(store, run)), timed=timed, shape=self.shape)

    async def run(
        self,
        task: str,
        *,
        plan: AnyPlan | None = None,
        fresh: bool = False,
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
    ) -> Run[Parsed]:
        """The finished run, or one that `approve` has stopped; raises what made an answer impossible.

        What it takes is told at `stream`.
        """
        with without_frames:
            async with self.stream(task, plan=plan, fresh=fresh, inputs=inputs, approve=approve) as events:
                return await events.finished()

    @without_frames
    def run_sync(
        self,
        task: str,
        *,
        plan: AnyPlan | None = None,
        fresh: bool = False,
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
    ) -> Run[Parsed]:
        """`run` from code that is not asynchronous, in a notebook too."""
        return outcome(self.run(task, plan=plan, fresh=fresh, inputs=inputs, approve=approve))

    @without_frames
    def map(
        self,
        template: str,
        items: Iterable[Any],
        *,
        then: str = "",
        answer: type[Any] | dict[str, Any] | None = None,
        worker: str | None = None,
        as_completed: bool = False,
        fresh: bool = False,
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
    ) -> RowStream:
        """The same for each item of a list: `rows = await workflow.map("Say what {item} is", items)`, or `async for`.

        Items are texts (`{item}`), or mappings, Structs, dataclasses and pydantic models, whose fields are placeholders
        (`{name}`, `{user.name}`). Each is a call of its own, that knows nothing of the others; no plan is asked for.
        What fails is a `Row` that says so. An `id` that each item has of its own names its row. `then`: the task of one
        answer written from all results (`stream.run.answer`). `answer`: the shape of each result, as for `Workflow`,
        which is the default. `worker`: who does it, if there are several. `as_completed`: rows as they come, not in the
        order of the list. All else is told at `stream`. Raises `TaskError`, before anything is asked, for a placeholder
        that an item lacks.
        """

        def stream(team: Team, begin: New, shape: Shape | None) -> RunStream:
            return self._stream(team, new_ulid(), begin, shape, approve)

        wanted = Wanted(template, then, answer, worker, as_completed, fresh, checked_inputs(inputs))
        return row_stream(self._team, self.shape, stream, wanted, items)

    @without_frames
    def map_sync(self, template: str, items: Iterable[Any], **more: Any) -> list[Row]:
        """All rows of `map`, which says what it takes, from code that is not asynchronous, in a notebook too."""
        rows = self.map(template, items, **more)

        async def all_of_them() -> list[Row]:
            return await rows

        return outcome(all_of_them())

    @property
    def models(self) -> list[str]:
        """Every model this workflow may ask, as written, each once."""
        return self._team.models

    @property
    def pool(self) -> Pool:
        """The models of the running loop, shared by all runs in it."""
        return self._pools.setdefault(
            asyncio.get_running_loop(), Pool(self.providers, self.definition.limits, self.prices)
        )

    @property
    def simulated(self) -> bool:
        """Whether a part of the answer comes from the simulator."""
        return self._team.simulated

    def record(self) -> dict[str, Any]:
        """The definition as data, as it is kept with a run; without what may be secret in headers and URLs."""
        return self._team.record()

    def __copy__(self) -> Self:
        """Another one, asked through the same pool: what limits one of them holds for both together."""
        other = object.__new__(type(self))
        other.__dict__ |= self.__dict__
        return other

    def __getstate__(self) -> dict[str, Any]:
        """Without what belongs to an event loop, so that another process can be given one."""
        return {**self.__dict__, "_pools": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= {**state, "_pools": WeakKeyDictionary()}

    def __repr__(self) -> str:
        plans, writes = self.definition.orchestrator, self.definition.synthesizer
        workers = {name: models_of(role) for name, role in self.definition.workers.items()}
        told = [f"orchestrator={plans and models_of(plans)}", f"workers={workers}"]
        return f"<Workflow {', '.join([*told, f'synthesizer={writes and models_of(writes)}'])}>"

    def _repr_html_(self) -> str:
        """The workflow as a notebook shows it."""
        from stretto.views.definition import definition_page

        return definition_page(self.definition)

    @property
    def _team(self) -> Team:
        return Team(self.definition, self.providers, self.prices)

    def _kept(self, what: str) -> Path:
        """Where runs are kept; raises `ConfigError` if none can be `what` it is asked for."""
        if self.store is None:
            raise ConfigError(f"a run can only be {what} from a store; give the workflow one (store=…)")
        return self.store

    def _stream(
        self,
        team: Team,
        run: str,
        begin: New | Rerun | None,
        shape: Shape | None,
        approve: Approve | None = None,
        *,
        plan_only: bool = False,
    ) -> RunStream[Parsed]:
        """What carries a run by this team, or goes on with it (None)."""
        return RunStream(
            team,
            run,
            begin,
            pool=lambda: self.pool,
            store=self.store,
            jitter=self.jitter,
            shape=shape,
            plan_only=plan_only,
            approve=approve,
        )


def _unfolded(worker: "Worker | Workflow[Any]") -> Worker:
    """A workflow as the role that it plays in another."""
    return Role(workflow=worker.definition) if isinstance(worker, Workflow) else worker
