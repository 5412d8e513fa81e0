"""Opening a run: what there is of it in its store, and what it may take from the runs before it."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypedDict

from msgspec import Struct, ValidationError
from msgspec.structs import replace

from stretto.calls import lasting
from stretto.errors import RunNotFound, StoreError
from stretto.events import AnyEvent, RunResumed, RunStarted
from stretto.fold import fold
from stretto.plan.given import AnyPlan
from stretto.plan.shares import Pieces
from stretto.policies.memo import Earlier, Replies
from stretto.proposal import Approve
from stretto.rerun import EVERYTHING, Rerun, basis_of, given_before, given_results
from stretto.run.roles import check_images
from stretto.run.team import Team
from stretto.runs import Run
from stretto.store.locations import Location, Server
from stretto.store.patience import patiently
from stretto.store.recall import Recall
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.store.writer import at_work
from stretto.types import Basis, Definition, Each, Input, Known, Memory, Message, Plan, Reply, Request, Result
from stretto.types.definitions import definition_of


class NothingKept(StoreError):
    """A finished run that recorded its usage only."""


_log = logging.getLogger("stretto")


class Wishes(TypedDict, total=False):
    """What `Workflow.run` and `run_sync` take beside the task, as `stream` does."""

    plan: AnyPlan | None
    fresh: Sequence[str]
    inputs: Sequence[Input]
    approve: Approve | None
    direct: bool


class New(Struct, frozen=True):
    """A new run of a task and its inputs; `plan`: one that is given. `fresh`: what is asked anew though recorded.

    `each`: the list of whose items that is the plan. `messages`: what is asked in the task's place. `again`: if the
    store has the run already, it is gone on with.
    """

    task: str
    plan: Plan | None = None
    fresh: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    each: Each | None = None
    messages: tuple[Message, ...] = ()
    again: bool = False

    @property
    def basis(self) -> Basis:
        """What the run begins with beside its task."""
        samples = {} if EVERYTHING in self.fresh else dict.fromkeys(self.fresh, 1)
        begun = Basis(plan=self.plan, samples=samples, fresh=self.fresh, inputs=self.inputs, each=self.each)
        return replace(begun, messages=self.messages)


class Opening(Struct, frozen=True):
    """What a run begins or goes on with: its log so far, its next event, replies, and results it takes over.

    `definition`: what it is carried out by, with what is known of its models.
    """

    history: list[AnyEvent]
    event: RunStarted | RunResumed
    replies: Replies
    given: dict[str, Result]
    definition: Definition


async def open_run(
    team: Team,
    path: Location | None,
    run: str,
    begin: New | Rerun | None,
    stack: AsyncExitStack,
    known: Mapping[str, Known],
    *,
    approve: bool = False,
) -> Opening:
    """Open a new run, a rerun of another, or (None) one that is in the store already; `stack` holds it open.

    `path`: the store, if runs are kept. `known`: what is known of its models. What an earlier run was carried with goes
    before that, so that the same results are condensed, to the same lengths. `approve`: its plan is to be approved.
    """
    memory = team.definition.memory
    if path is None:
        basis = replace(begin.basis if isinstance(begin, New) else Basis(), approve=approve)
        team = team.carrying(basis).knowing(known)
        event, replies = _event(team, begin, basis, None), Replies(shared=memory.reuse != "off")
        return Opening([], event, replies, {}, team.definition)
    store = Store(path, GLANCE, _log.warning)
    if begin is None:
        await patiently(lambda: store.check(run))
    if not isinstance(path, Server):
        await stack.enter_async_context(at_work(path))
    await patiently(lambda: stack.enter_context(store.carrying(run)))
    if isinstance(begin, New) and begin.again and await patiently(lambda: store.has(run)):
        begin = None
    history: list[AnyEvent] = []
    own: dict[str, list[Reply]] = {}
    before: Run | None = None
    if begin is None:
        history = await patiently(lambda: store.events(run))
        before = resumable(fold(history))
        own = await patiently(lambda: store.replies(run))
    basis = before.basis if before else begin.basis if isinstance(begin, New) else Basis()
    origin: Run | None = None
    recorded: dict[str, list[Reply]] = {}
    if name := begin.origin if isinstance(begin, Rerun) else basis.origin:
        origin = await _origin(store, name, lost=begin is None)
        recorded = await patiently(lambda: store.replies(name)) if origin else {}
    if isinstance(begin, Rerun) and origin:
        if await patiently(lambda: store.is_imported(begin.origin)):
            await patiently(lambda: store.mark_imported(run))
        basis = basis_of(begin, origin, recorded, team.definition)
    recall = None
    if memory.reuse == "store" and EVERYTHING not in basis.fresh:
        recall = await patiently(lambda: stack.enter_context(Recall(store.location, GLANCE)))
    basis = basis if before else replace(basis, approve=approve)
    given = given_results(basis, origin) if origin else given_before(basis, before) if before else {}
    replies = Replies(own, earlier_of(memory, basis, recorded, recall), shared=memory.reuse != "off")
    team = team.carrying(basis).knowing({**known, **known_to(before or origin)})
    return Opening(history, _event(team, begin, basis, origin), replies, given, team.definition)


def known_to(run: Run | None) -> dict[str, Known]:
    """What an earlier run knew of its models."""
    try:
        return {} if run is None else definition_of(run.workflow).known
    except ValidationError:  # of a definition that cannot be read it is not taken over
        return {}


def _event(team: Team, begin: New | Rerun | None, basis: Basis, origin: Run | None) -> RunStarted | RunResumed:
    """What the log says next."""
    record = team.record()
    check_images(basis.inputs, team.definition, record["providers"])
    pieces = Pieces(basis.inputs)
    for subtask in basis.plan.subtasks if basis.plan else ():
        for piece in subtask.reads:
            pieces.find(piece)
    if begin is None:
        return RunResumed(workflow=record)
    task = begin.task if isinstance(begin, New) else origin.task if origin else ""
    return RunStarted(task=task, workflow=record, simulated=team.simulated, basis=basis)


def resumable(run: Run) -> Run:
    """The run, if it can be gone on from; raises `NothingKept` if there is nothing for that."""
    if run.forgotten:
        raise NothingKept(
            f'run {run.id} is finished and kept no texts (record = "usage"): neither can it be gone on with nor can '
            "another run reuse anything of it; run its task again"
        )
    if run.basis.client:
        raise NothingKept(
            f"run {run.id} is no task but single calls that came through an endpoint: there is nothing to go on with"
        )
    return run


async def _origin(store: Store, run: str, *, lost: bool) -> Run | None:
    """The run that a rerun is of. A rerun that goes on (`lost`) can do without: then this is None, and it is told."""
    try:
        return resumable(await patiently(lambda: store.run(run)))
    except (RunNotFound, NothingKept) as error:
        if not lost:
            raise
        _log.warning("%s: this run goes on with what it has taken over of %s, and asks the rest", error, run)
        return None


def earlier_of(memory: Memory, basis: Basis, recorded: Mapping[str, list[Reply]], recall: Recall | None) -> Earlier:
    """What other runs have recorded for a request: that which a rerun is of, then all in the store."""

    def find(key: str, request: Request) -> tuple[str, Reply] | None:
        if EVERYTHING in basis.fresh:
            return None
        if basis.origin and memory.reuse != "off":
            for reply in reversed(recorded.get(key, ())):
                if lasting(reply):
                    return basis.origin, reply
        if recall is None or (basis.fresh and request.sample) or (is_sampled(request) and not memory.reuse_sampled):
            return None
        return recall.reply(key)

    return find


def is_sampled(request: Request) -> bool:
    """Whether a request sets a temperature at which its reply is one of many."""
    temperature = request.options.get("temperature")
    try:
        return temperature is not None and float(temperature) > 0
    except (TypeError, ValueError):
        return True  # nobody knows what it says; to ask is to be on the safe side
