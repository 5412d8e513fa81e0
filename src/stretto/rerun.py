"""What a rerun begins with: the plan it takes over, the subtasks it may compute, what it asks anew."""

from collections.abc import Collection, Container, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stretto.calls import fingerprint
from stretto.engine.caller import PLAN
from stretto.engine.requests import plan_request
from stretto.errors import StoreError, TaskError
from stretto.ground.text import meant
from stretto.head import checked_inputs, head_of
from stretto.plan.given import AnyPlan, given_plan
from stretto.runs import Run
from stretto.types import Basis, Definition, Input, Plan, Request, Result, Subtask

EVERYTHING = "everything"
"""Among what is `fresh`: no reply that another run has recorded answers any call."""
_ROLES = ("orchestrator", "synthesizer")
_NOT_AMONG = "it is not among those that are computed in this rerun (only)"


class Rerun(Struct, frozen=True):
    """What is wanted of a rerun of the run `origin`.

    `plan`: carry out this one. `only`: of all subtasks, compute these, and take the others' results as they were.
    `fresh`: ask these anew (ids of subtasks, `orchestrator`, `synthesizer`, `everything`), though nothing about them
    has changed.
    `inputs`: those of the rerun; None are the origin's.
    """

    origin: str
    plan: Plan | None = None
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    inputs: tuple[Input, ...] | None = None


def rerun_of(
    definition: Definition,
    run: str,
    plan: AnyPlan | None,
    only: Sequence[str],
    fresh: Sequence[str],
    inputs: Sequence[Input] | None,
) -> Rerun:
    """What is wanted, as users say it; raises `TaskError` for a plan or an input that is none."""
    given = None if plan is None else given_plan(plan, definition)
    texts = None if inputs is None else checked_inputs(inputs)
    return Rerun(run, given, _names("only", only), _names("fresh", fresh), texts)


def fresh_of(fresh: Sequence[str], plan: Plan | None = None) -> tuple[str, ...]:
    """What is asked anew in a new run with this plan, if one is given; raises `TaskError` for what is not in it."""
    names = _names("fresh", fresh)
    known = _ROLES if plan is None else (*(subtask.id for subtask in plan.subtasks), "synthesizer")
    _check("--fresh", names, (*known, EVERYTHING))
    return names


def _names(of: str, names: Sequence[str]) -> tuple[str, ...]:
    """A text alone is one name, not its letters; raises `TaskError` for what is neither."""
    if isinstance(names, str):
        return (names,)
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        others = f", orchestrator, synthesizer or {EVERYTHING!r}" if of == "fresh" else ""
        raise TaskError(f"{of}: must be names (ids of subtasks{others}), not {names!r}")
    return tuple(names)


def basis_of(rerun: Rerun, origin: Run, replies: Container[str], definition: Definition) -> Basis:
    """What a rerun begins with; raises `TaskError` for a subtask that is not there.

    `replies`: the fingerprints of the complete replies of `origin`.
    """
    samples = dict(origin.basis.samples)
    for name in rerun.fresh if EVERYTHING not in rerun.fresh else ():
        samples[name] = samples.get(name, 0) + 1
    each, inputs = origin.basis.each, origin.basis.inputs if rerun.inputs is None else rerun.inputs
    if each is not None and rerun.plan is not None:
        raise TaskError("--plan: the plan of a map is its list; leave it out, or run the edited list (--each)")
    plan = rerun.plan if each is None else origin.basis.plan

    def request() -> Request:
        return plan_request(definition, origin.task, samples.get("orchestrator", 0), head_of(inputs))

    if plan is None and definition.orchestrator is None:
        # One that was edited; what it is without that follows from the inputs, and is made from them again.
        kept = origin.basis.plan is not None and (inputs == origin.basis.inputs or not _reads(origin.plan))
        plan = origin.plan if rerun.only or kept else None
    elif plan is None and (rerun.only or _kept(rerun, origin, replies, request())):
        plan = origin.plan
    ids = [subtask.id for subtask in (plan or origin.plan).subtasks]
    _check("--only", rerun.only, ids)
    parts = [f"{part}/{name}" for part in origin.parts for name in (*origin.parts[part].results, *_ROLES)]
    _check("--fresh", rerun.fresh, (*ids, *_ROLES, EVERYTHING, *parts))
    computed = {*rerun.only, *_ROLES, EVERYTHING}
    if rerun.only and (left := [id_ for id_ in rerun.fresh if id_.partition("/")[0] not in computed]):
        raise TaskError(f"--fresh {left[0]}: it is not among those that are computed (--only); add it there")
    if plan is not None and "orchestrator" in rerun.fresh:
        raise TaskError("--fresh orchestrator asks for a new plan, but the plan is given; leave one of them out")
    within = {} if EVERYTHING in rerun.fresh else plans_within(origin, replies)
    begun = Basis(rerun.origin, plan, samples, rerun.only, rerun.fresh, inputs, within, each)
    return replace(begun, remarks=origin.basis.remarks, messages=origin.basis.messages)


def plans_within(origin: Run, replies: Container[str]) -> dict[str, Plan]:
    """The plans of workflows within a run that its records do not hold whole, by the fingerprint of what was asked.

    `replies`: the fingerprints of the complete replies.
    """
    plans = dict(origin.basis.plans)
    for within, part in origin.parts.items():
        asked = [call.fingerprint for call in origin.calls if call.subtask == within and call.part == PLAN]
        if part.plan.state is not None and asked and not all(each in replies for each in asked):
            plans[asked[0]] = part.plan
    return plans


def given_results(basis: Basis, origin: Run) -> dict[str, Result]:
    """Results that a rerun takes over without a call: those of all subtasks that are not among `only`."""
    if not basis.only or basis.plan is None:
        return {}
    before = {subtask.id: subtask for subtask in origin.plan.subtasks}
    return {
        subtask.id: origin.results[subtask.id]
        if subtask.id in origin.results and _same(subtask, before[subtask.id])
        else Result(subtask.id, "skipped", error=_NOT_AMONG)
        for subtask in basis.plan.subtasks
        if subtask.id not in basis.only
    }


def given_before(basis: Basis, own: Run) -> dict[str, Result]:
    """What a rerun took over already, where its origin is gone; raises `StoreError` if that is not everything."""
    if not basis.only or basis.plan is None:
        return {}
    others = [subtask.id for subtask in basis.plan.subtasks if subtask.id not in basis.only]
    if lost := [id_ for id_ in others if id_ not in own.results]:
        raise StoreError(
            f"run {own.id} takes the results of {', '.join(lost)} from {basis.origin}, which is gone from this store "
            "or kept no texts; run its task again"
        )
    return {id_: own.results[id_] for id_ in others}


def _kept(rerun: Rerun, origin: Run, replies: Container[str], request: Request) -> bool:
    """Whether the plan is the origin's, though its records do not hold it whole.

    That is one that was given, or cut and gone on with, or came when another one was not approved.
    """
    if {"orchestrator", EVERYTHING} & {*rerun.fresh} or origin.plan.state is None:
        return False
    if origin.plan.state == "incomplete" and not origin.plan.subtasks:  # there was none, and there may be one now
        return False
    if origin.basis.plan is not None:
        return True
    asked = [call.fingerprint for call in origin.calls if call.role == "orchestrator"]
    if all(each in replies for each in asked) and not origin.withdrawn:
        return False  # then the same replies make the same plan
    return fingerprint(request) in asked


def _reads(plan: Plan) -> bool:
    """Whether a subtask reads a part of the inputs."""
    return any(subtask.reads for subtask in plan.subtasks)


def _same(subtask: Subtask, before: Subtask) -> bool:
    return (subtask.type, subtask.description, subtask.needs) == (before.type, before.description, before.needs)


def _check(flag: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise TaskError(f"{flag} {name}: no such subtask in the plan{meant(name, known)}")
