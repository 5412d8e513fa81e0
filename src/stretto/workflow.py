"""The public face: a `Workflow`, and the one door into it, `stream`."""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from stretto.errors import ConfigError, TaskError
from stretto.ground.aside import outcome
from stretto.ground.ids import is_ulid, new_ulid
from stretto.ground.tracebacks import without_frames
from stretto.head import checked_inputs, checked_task
from stretto.plan.given import DIRECT, AnyPlan, given_plan
from stretto.pool import AnyProvider, Pools
from stretto.proposal import Approve
from stretto.rerun import Rerun, fresh_of, rerun_of
from stretto.run.opening import New, Wishes
from stretto.run.roles import Worker, check_definition, shaped
from stretto.run.stream import RunStream
from stretto.run.team import Settings, Team, batched, team_of
from stretto.runs import Parsed, Run
from stretto.shapes import Shape
from stretto.store.locations import Location, location_of
from stretto.types import Input, Limits, Memory, Message, Price, Role, Row
from stretto.types.keywords import check_keywords, renamed

if TYPE_CHECKING:  # what not every run needs is loaded by what needs it: whoever starts one waits for all of it
    from stretto.forecast import Forecast
    from stretto.replay import ReplayStream
    from stretto.run.rows import RowStream

Answer = TypeVar("Answer")


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
    - `store`: where runs are kept, so that they can be resumed: a file, or `postgresql://…`; None: nothing is written.
    - `memory`: what is kept there, and which recorded replies are reused, as `Memory` or by its names; its defaults.
    - `batch`: whether all workers go out with their provider's Batch API, whatever their roles say of it, or (False)
      none does; None: as their roles say.

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
        batch: bool | None = None,
    ) -> None:
        team = team_of(orchestrator, workers, synthesizer, limits, memory, providers, prices)
        self.definition, self.shape = shaped(batched(team.definition, batch), answer)
        self.providers, self.prices = team.providers, team.prices
        self.jitter: Callable[[float, float], float] = random.uniform
        """Draws a number between two, for waits; rehearsals and tests put one here that makes runs repeatable."""
        self.store = None if store is None else location_of(store)
        check_definition(self.definition, self.providers)
        if self.definition.memory.reuse == "store" and self.store is None:
            raise ConfigError('memory.reuse: "store" needs a store; give the workflow one (store=…)')
        self._pools = Pools(self.providers, self.definition.limits, self.prices)

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
    @renamed(models="model")
    def from_toml(
        cls, named: str | Path, *, answer: type[Any] | dict[str, Any] | None = None, **settings: Unpack[Settings]
    ) -> "Workflow[Any]":
        """The workflow in a TOML file (a `Path`, or a name with / or .toml), or in a preset (`"solve"`).

        `answer` is as for `Workflow`. `model` goes before what the file says: one for all roles, or by role
        (`{"workers": "groq:…", "synthesizer": ["a:b", "c:d"]}`); of a list, each is a fallback for those before it. A
        model that nobody names is `STRETTO_MODEL`, else that of the first provider with a key, else of a local server
        that answers. `limits` and `memory` are written as in the file (`{"budget": "50c"}`), `providers` and `prices`
        as for `Workflow`; each goes before the file, key by key. `batch` is as for `Workflow`. Only this file is read.
        Raises `ConfigError`.
        """
        from stretto.config.loading import load  # two megabytes that nobody needs who writes Python

        check_keywords("from_toml", settings, tuple(Settings.__annotations__))
        return load(lambda *roles, **facts: cls(*roles, answer=answer, **facts), named, **settings)

    @without_frames
    def stream(
        self,
        task: str,
        *,
        plan: AnyPlan | None = None,
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
        direct: bool = False,
        messages: Sequence[Message] = (),
        run_id: str | None = None,
    ) -> RunStream[Parsed]:
        """A new run of this task: `async with workflow.stream(task) as events: async for event in events: …`.

        `plan`: carry out this one (a `Plan`, or data in the form of a plan) and ask for none. `fresh`: what is asked
        anew though another run has recorded it, whatever `memory` says: `orchestrator`, `synthesizer`, ids of subtasks
        in a `plan`, or `everything`. `inputs`: texts that the task comes with, at the head of every prompt
        (`stretto.read_inputs` reads files and folders). `approve` is given the plan with its forecast (a `Proposal`)
        before anything of it is asked, and returns `Go()`, `Edit(plan)`, `Drop(ids)`, `Again(remark)` or `Stop()`
        (`stretto.proposal`), or an awaitable of one; after `Stop()` the run is `interrupted`, and `resume` goes on with
        it. `direct`: nothing is planned, and one call answers the task. `messages`: that call is asked these, word for
        word, and `task` only names it in lists. `run_id`: the id that the run is to have (a ULID); one that the store
        has already is gone on with, so that who says the same twice pays once.
        """
        direct = direct or bool(messages)
        if direct and plan is not None:
            raise TaskError("plan: a task that is answered directly has none; leave one of the two out")
        if run_id is not None and not is_ulid(run_id):
            raise TaskError(f"run_id: {run_id[:80]!r} is no id of a run; it is a ULID (26 capital letters and digits)")
        given = DIRECT if direct else None if plan is None else given_plan(plan, self.definition)
        texts, again = checked_inputs(inputs), run_id is not None
        begin = New(checked_task(task), given, fresh_of(fresh, given), texts, messages=tuple(messages), again=again)
        return self._stream(begin, approve, run_id=run_id or "")

    @without_frames
    def plan(self, task: str, *, fresh: Sequence[str] = (), inputs: Sequence[Input] = ()) -> RunStream[Parsed]:
        """A run that ends with its plan (`run.plan`), to be looked at or edited; `resume` carries it out.

        What it takes is told at `stream`.
        """
        begin = New(checked_task(task), None, fresh_of(fresh), checked_inputs(inputs))
        return self._stream(begin, plan_only=True)

    @renamed(run="run_id")
    def rerun(
        self,
        run_id: str,
        *,
        plan: AnyPlan | None = None,
        only: Sequence[str] = (),
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] | None = None,
        approve: Approve | None = None,
    ) -> RunStream[Parsed]:
        """A new run of the task of an earlier one, with this definition: only what has changed is asked.

        `plan`: carry out this one. `only`: compute these subtasks of the earlier run's plan (or the given one), and
        take the results of all others as they were. `fresh`: what is asked anew though nothing has changed about it:
        ids of subtasks, `orchestrator`, `synthesizer`, or `everything`. `inputs`: these in place of the earlier run's.
        `approve` is given the plan first (see `stream`), as if nothing of it were recorded.
        """
        self._kept("rerun")
        return self._stream(rerun_of(self.definition, run_id, plan, only, fresh, inputs), approve)

    @renamed(run="run_id")
    def resume(self, run_id: str, *, approve: Approve | None = None) -> RunStream[Parsed]:
        """Go on with a run of this workflow's store, with this definition; what is complete is not asked again.

        `approve` is given what is left of its plan, before anything of that is asked (see `stream`).
        """
        self._kept("resumed")
        return self._stream(None, approve, run_id=run_id)

    @renamed(run="run_id")
    async def explain(
        self,
        run_id: str,
        *,
        plan: AnyPlan | None = None,
        only: Sequence[str] = (),
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] | None = None,
    ) -> "list[Forecast]":
        """What `rerun` with these would reuse, what it would ask and why, and what that would cost; nothing is sent."""
        from stretto.run.explaining import explained
        from stretto.virtual import virtually

        with without_frames:
            store, wanted = self._kept("rerun"), rerun_of(self.definition, run_id, plan, only, fresh, inputs)
            async with self._pools.here() as pool:
                pool.look_up_prices(self.all_models)
                await pool.prices.ready()
            return virtually(explained(wanted, self.definition, store, pool.prices))

    @asynccontextmanager
    async def connected(self, models: Iterable[str] = ()) -> AsyncIterator[None]:
        """Keep connections open between runs for as long as this is, in this event loop.

        Raises `MissingKey` and `ConfigError` for those of these `models` that could not be asked.
        """
        async with self._pools.here() as pool:
            for model in models:
                pool.model(model)
            yield

    @renamed(run="run_id")
    def replay(self, run_id: str, *, timed: bool = False) -> "ReplayStream[Parsed]":
        """A run of this workflow's store once more, from its records: as it was defined, with no key and no network.

        `timed`: in the time that was recorded, not at once. Nothing is stored. Raises `RunNotFound`; a call that is not
        recorded is a `MissingRecord` in the stream.
        """
        from stretto.replay import ReplayStream, recording_of
        from stretto.store.travel import entries

        store = self._kept("replayed")
        return ReplayStream(recording_of(entries(store, run_id)), timed=timed, shape=self.shape)

    async def run(self, task: str, **wishes: Unpack[Wishes]) -> Run[Parsed]:
        """The finished run, or one that `approve` has stopped; raises what made an answer impossible.

        It takes what `stream` takes, which tells of it: `plan`, `fresh`, `inputs`, `approve`, `direct`.
        """
        with without_frames:
            async with self.stream(task, **wishes) as events:
                return await events.finished()

    @without_frames
    def run_sync(self, task: str, **wishes: Unpack[Wishes]) -> Run[Parsed]:
        """`run` from code that is not asynchronous, in a notebook too."""
        return outcome(self.run(task, **wishes))

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
        fresh: Sequence[str] = (),
        inputs: Sequence[Input] = (),
        approve: Approve | None = None,
    ) -> "RowStream":
        """The same for each item of a list: `rows = await workflow.map("Say what {item} is", items)`, or `async for`.

        Items are texts (`{item}`), or mappings, Structs, dataclasses and pydantic models, whose fields are placeholders
        (`{name}`, `{user.name}`). Each is a call of its own, that knows nothing of the others; no plan is asked for.
        What fails is a `Row` that says so. An `id` that each item has of its own names its row. `then`: the task of one
        answer written from all results (`stream.run.answer`). `answer`: the shape of each result, as for `Workflow`,
        which is the default. `worker`: who does it, if there are several. `as_completed`: rows as they come, not in the
        order of the list. All else is told at `stream`. Raises `TaskError`, before anything is asked, for a placeholder
        that an item lacks.
        """
        from stretto.run.rows import Wanted, row_stream

        stream: Callable[..., RunStream[Any]] = partial(self._stream, approve=approve)
        wanted = Wanted(template, then, answer, worker, as_completed, fresh, checked_inputs(inputs))
        return row_stream(self._team, self.shape, stream, wanted, items)

    @without_frames
    def map_sync(self, template: str, items: Iterable[Any], **more: Any) -> list[Row]:
        """All rows of `map`, which says what it takes, from code that is not asynchronous, in a notebook too."""
        from stretto.run.rows import all_of

        return outcome(all_of(self.map(template, items, **more)))

    @property
    def all_models(self) -> list[str]:
        """Every model this workflow may ask, as written, each once."""
        return self._team.all_models

    @property
    def simulated(self) -> bool:
        """Whether a part of the answer comes from the simulator."""
        return self._team.simulated

    def __repr__(self) -> str:
        from stretto.views.definition import definition_line

        return f"<Workflow {definition_line(self.definition)}>"

    def _repr_html_(self) -> str:
        """The workflow as a notebook shows it."""
        from stretto.views.definition import definition_page

        return definition_page(self.definition)

    @property
    def _team(self) -> Team:
        return Team(self.definition, self.providers, self.prices)

    def _kept(self, what: str) -> Location:
        """Where runs are kept; raises `ConfigError` if none can be `what` it is asked for."""
        if self.store is None:
            raise ConfigError(f"a run can only be {what} from a store; give the workflow one (store=…)")
        return self.store

    def _stream(
        self,
        begin: New | Rerun | None,
        approve: Approve | None = None,
        *,
        run_id: str = "",
        team: Team | None = None,
        shape: Shape | None = None,
        plan_only: bool = False,
    ) -> RunStream[Parsed]:
        """What carries a run, or (None) goes on with the one of that id; a map has a team and shape of its own."""
        return RunStream(
            team or self._team,
            run_id or new_ulid(),
            begin,
            pool=self._pools.here,
            store=self.store,
            jitter=self.jitter,
            shape=shape if team else self.shape,
            plan_only=plan_only,
            approve=approve,
        )
