"""Opening a run: what there is of it in its store, and what it may take from the runs before it."""

import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct, ValidationError, to_builtins
from msgspec.structs import replace

from stretto.calls import lasting
from stretto.definitions import definition_of, knowing
from stretto.errors import RunNotFound, StoreError
from stretto.events import AnyEvent, RunResumed, RunStarted
from stretto.fold import fold
from stretto.forecast import Forecast, explain
from stretto.mapping import mapped
from stretto.plan.shares import Pieces
from stretto.policies.memo import Earlier, Replies
from stretto.pool import Pool
from stretto.rerun import Rerun, basis_of, given_before, given_results
from stretto.roles import check_images, models_of, roles
from stretto.runs import Run
from stretto.shapes import Shape
from stretto.store.patience import patiently
from stretto.store.recall import Recall
from stretto.store.schema import GLANCE
from stretto.store.sqlite import Store
from stretto.types import Basis, Definition, Each, Input, Known, Memory, Plan, Price, Reply, Request, Result

EVERYTHING = "everything"
"""What is `fresh` of a run that no recorded reply answers."""


class NothingKept(StoreError):
    """A finished run that recorded its usage only."""


_log = logging.getLogger("stretto")


class Setting(Struct, frozen=True):
    """What a run is carried with.

    `record` is the workflow as data, as it goes into the log; `models`, every model it may ask, as written; `pool`
    gives the models of the running loop; `store`, the file the run is kept in, if any; `jitter` draws a number between
    two; `shape` is that of the answer, if it has one.
    """

    definition: Definition
    record: dict[str, Any]
    simulated: bool
    models: list[str]
    pool: Callable[[], Pool]
    store: Path | None
    jitter: Callable[[float, float], float] = random.uniform
    shape: Shape | None = None


class New(Struct, frozen=True):
    """A new run of a task and its inputs; `plan`: one that is given. `fresh`: no recorded reply answers its calls.

    `each`: the list of whose items that is the plan.
    """

    task: str
    plan: Plan | None = None
    fresh: bool = False
    inputs: tuple[Input, ...] = ()
    each: Each | None = None

    @property
    def basis(self) -> Basis:
        """What the run begins with beside its task."""
        return Basis(plan=self.plan, fresh=(EVERYTHING,) if self.fresh else (), inputs=self.inputs, each=self.each)


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
    setting: Setting, run: str, begin: New | Rerun | None, stack: AsyncExitStack, known: Mapping[str, Known]
) -> Opening:
    """Open a new run, a rerun of another, or (None) one that is in the store already; `stack` holds it open.

    `known`: what is known of its models. What an earlier run was carried with goes before that, so that the same
    results are condensed, to the same lengths.
    """
    memory = setting.definition.memory
    if setting.store is None:
        basis = begin.basis if isinstance(begin, New) else Basis()
        setting = _knowing(carrying(setting, basis), known)
        event, replies = _event(setting, begin, basis, None), Replies(shared=memory.reuse != "off")
        return Opening([], event, replies, {}, setting.definition)
    store = Store(setting.store, GLANCE, _log.warning)
    if begin is None:
        await patiently(lambda: store.check(run))
    await patiently(lambda: stack.enter_context(store.carrying(run)))
    history: list[AnyEvent] = []
    own: dict[str, list[Reply]] = {}
    before: Run | None = None
    if begin is None:
        history = await patiently(lambda: store.events(run))
        before = _kept(fold(history))
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
        basis = basis_of(begin, origin, recorded, setting.definition)
    recall = None
    if memory.reuse == "store" and EVERYTHING not in basis.fresh:
        recall = await patiently(lambda: stack.enter_context(Recall(store.path, GLANCE)))
    given = given_results(basis, origin) if origin else given_before(basis, before) if before else {}
    replies = Replies(own, _earlier(memory, basis, recorded, recall), shared=memory.reuse != "off")
    setting = _knowing(carrying(setting, basis), {**known, **_known_to(before or origin)})
    return Opening(history, _event(setting, begin, basis, origin), replies, given, setting.definition)


async def explained(
    rerun: Rerun, definition: Definition, path: Path, prices: Mapping[str, Price | None]
) -> list[Forecast]:
    """What a rerun would do about each call, in virtual time; nothing is asked and nothing is written."""
    store = Store(path)
    origin, recorded = _kept(store.run(rerun.origin)), store.replies(rerun.origin)
    basis = basis_of(rerun, origin, recorded, definition)
    memory, informed = definition.memory, knowing(mapped(definition, basis), _known_to(origin))
    with Recall(path) as recall:
        earlier = _earlier(memory, basis, recorded, recall if memory.reuse == "store" else None)
        replies = Replies(earlier=earlier, shared=memory.reuse != "off")
        return await explain(informed, basis, origin, store.records(rerun.origin), replies, prices)


def carrying(setting: Setting, basis: Basis) -> Setting:
    """The setting of a run that begins with this: with a workflow of its own if it is a map."""
    if (definition := mapped(setting.definition, basis)) is setting.definition:
        return setting
    models = list(dict.fromkeys(model for _, _, role in roles(definition) for model in models_of(role)))
    record = {**setting.record, "definition": to_builtins(definition)}
    return replace(setting, definition=definition, record=record, models=models)


def _knowing(setting: Setting, known: Mapping[str, Known]) -> Setting:
    """The setting with what is known of its models, of which the log is told."""
    if not known:
        return setting
    definition = knowing(setting.definition, {model: each for model, each in known.items() if model in setting.models})
    return replace(setting, definition=definition, record={**setting.record, "definition": to_builtins(definition)})


def _known_to(run: Run | None) -> dict[str, Known]:
    """What an earlier run knew of its models."""
    try:
        return {} if run is None else definition_of(run.workflow).known
    except ValidationError:  # of a definition that cannot be read it is not taken over
        return {}


def _event(setting: Setting, begin: New | Rerun | None, basis: Basis, origin: Run | None) -> RunStarted | RunResumed:
    """What the log says next."""
    check_images(basis.inputs, setting.definition, setting.record["providers"])
    pieces = Pieces(basis.inputs)
    for subtask in basis.plan.subtasks if basis.plan else ():
        for piece in subtask.reads:
            pieces.find(piece)
    if begin is None:
        return RunResumed(workflow=setting.record)
    task = begin.task if isinstance(begin, New) else origin.task if origin else ""
    return RunStarted(task=task, workflow=setting.record, simulated=setting.simulated, basis=basis)


def _kept(run: Run) -> Run:
    """The run, if it can be gone on from; raises `NothingKept` if there is nothing for that."""
    if run.forgotten:
        raise NothingKept(
            f'run {run.id} is finished and kept no texts (record = "usage"): neither can it be gone on with nor can '
            "another run reuse anything of it; run its task again"
        )
    return run


async def _origin(store: Store, run: str, *, lost: bool) -> Run | None:
    """The run that a rerun is of. A rerun that goes on (`lost`) can do without: then this is None, and it is told."""
    try:
        return _kept(await patiently(lambda: store.run(run)))
    except (RunNotFound, NothingKept) as error:
        if not lost:
            raise
        _log.warning("%s: this run goes on with what it has taken over of %s, and asks the rest", error, run)
        return None


def _earlier(memory: Memory, basis: Basis, recorded: Mapping[str, list[Reply]], recall: Recall | None) -> Earlier:
    """What other runs have recorded for a request: that which a rerun is of, then all in the store."""

    def find(key: str, request: Request) -> tuple[str, Reply] | None:
        if basis.origin and memory.reuse != "off":
            for reply in reversed(recorded.get(key, ())):
                if lasting(reply):
                    return basis.origin, reply
        if recall is None or (basis.fresh and request.sample) or (_is_sampled(request) and not memory.reuse_sampled):
            return None
        return recall.reply(key)

    return find


def _is_sampled(request: Request) -> bool:
    """Whether a request sets a temperature at which its reply is one of many."""
    temperature = request.options.get("temperature")
    try:
        return temperature is not None and float(temperature) > 0
    except (TypeError, ValueError):
        return True  # nobody knows what it says; to ask is to be on the safe side
