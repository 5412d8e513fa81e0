"""Which calls a plan comes to, and what is known of their prompts before there are results to put in."""

from collections.abc import Mapping
from itertools import cycle

from msgspec import Struct

from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.caller import ANSWER, PLAN
from stretto.engine.requests import (
    answer_request,
    direct_request,
    part_task,
    request_for,
    role_of,
    writer_of,
)
from stretto.engine.work import verified
from stretto.engine.work import work as work_of
from stretto.head import Heads
from stretto.models.functions import PROVIDER
from stretto.plan.book import PlanBook
from stretto.policies.estimate import USUAL, most_output, tokens_asked, tokens_in
from stretto.proposal.history import Kind
from stretto.types import Definition, Head, Input, Plan, Request, Result, Role, RoleName, Subtask

_HOLDS, _BEST = '{"remark": "", "verdict": "holds"}', '{"why": "", "best": 1}'
_VERDICT = 512  # tokens of what a checker says, at most
_SUBTASKS = 4  # that a workflow within a subtask plans, as long as it has not
RETURNED = 300
"""Tokens of what a function returns: it says nothing of them."""


class Expected(Struct, frozen=True):
    """One call: `prompt`, tokens of its request without the results that go into it, estimated; `limit`, of its reply.

    `plain`: it is a function's, which takes no tokens and returns text all the same.
    """

    kind: Kind
    prompt: int
    limit: int
    plain: bool = False


class Job(Struct, frozen=True):
    """What one subtask, or the answer, is expected to ask: `stages` one after the other, the calls of each at once.

    `needs` are the places of the jobs whose results go into each of its calls; a stage also reads what the one before
    it said. `result` is the stage that writes the result. `told`: tokens of
    a result that is there already.
    """

    needs: tuple[int, ...] = ()
    stages: tuple[tuple[Expected, ...], ...] = ()
    result: int = 0
    told: int = 0

    @property
    def calls(self) -> int:
        """How many calls it takes."""
        return sum(len(stage) for stage in self.stages)


class Work(Struct, frozen=True):
    """What a plan is for: the run's task and inputs, the results it has already, and those that are not computed."""

    task: str
    inputs: tuple[Input, ...] = ()
    results: Mapping[str, Result] = {}
    given: Mapping[str, Result] = {}


def jobs_of(definition: Definition, plan: Plan, work: Work) -> tuple[list[Job], Job]:
    """A job for each subtask of a plan, in its order, and that of the answer.

    A subtask that has its result, or cannot be done, takes no calls.
    """
    heads = Heads(work.inputs)
    book = PlanBook(definition.workers, len(plan.subtasks), plan.subtasks)
    places = {subtask.id: place for place, subtask in enumerate(plan.subtasks)}
    jobs: list[Job] = []
    for subtask in plan.subtasks:
        result = work.results.get(subtask.id)
        if (kept := work.given.get(subtask.id)) is not None:
            jobs.append(Job(told=tokens_in(kept.text)))
        elif result is not None and result.outcome == "done":
            jobs.append(Job(told=tokens_in(result.text)))
        elif book.refusal(subtask):
            jobs.append(Job())
        else:
            needs = tuple(places[need] for need in subtask.needs if need in places)
            jobs.append(_subtask(definition, subtask, needs, work, heads.of(subtask.reads)))
    return jobs, _answer(definition, plan, work, heads.of())


def models_of(definition: Definition, plan: Plan, work: Work) -> list[str]:
    """Every model that a plan is expected to ask, each once."""
    jobs, answer = jobs_of(definition, plan, work)
    calls = [call for job in (*jobs, answer) for stage in job.stages for call in stage]
    return list(dict.fromkeys(call.kind.model for call in calls))


def _subtask(definition: Definition, subtask: Subtask, needs: tuple[int, ...], work: Work, head: Head | None) -> Job:
    """What doing a subtask asks if every call ends well and every check holds, found by saying so."""
    role, task = role_of(definition, subtask), work.task
    if role.workflow is not None:
        request = request_for(role, part_task(role, task, subtask, []), head=head)
        within = _within(role.workflow, subtask.type, request)
        done = Result(subtask.id, "done", ".")
        checks = _stages(verified(definition, task, subtask, [], done, head=head), subtask.type)
        return Job(needs, (*within, *checks), len(within) - 1)
    stages = _stages(work_of(definition, task, subtask, [], head=head), subtask.type)
    merges = len(stages) > 1 and stages[1][0].kind.part == "merge" and role.merge == "synthesize"
    return Job(needs, stages, int(merges))


def _stages(asking: Asking[Result], type_: str) -> tuple[tuple[Expected, ...], ...]:
    stages: list[tuple[Expected, ...]] = []
    said: list[Said] | None = None
    while True:
        try:
            asks = asking.send(said) if said is not None else next(asking)
        except StopIteration:
            return tuple(stages)
        stages.append(tuple(_asked(ask, type_) for ask in asks))
        said = [_well(ask, number) for number, ask in enumerate(asks, 1)]


def _asked(ask: Ask, type_: str) -> Expected:
    limit = _VERDICT if ask.part == "check" else USUAL
    return _call(ask.role, ask.request.model, "worker", type_, ask.part, ask.request, limit)


def _well(ask: Ask, number: int) -> Said:
    """What is said where all goes well; no two replies are the same."""
    said = {"check": _HOLDS, "merge": _BEST if ask.request.schema else "."}
    return Said("stop", said.get(ask.part, str(number)))


def _within(workflow: Definition, type_: str, request: Request) -> tuple[tuple[Expected, ...], ...]:
    """What a workflow asks that does a subtask: for its plan, some subtasks at once, and the answer."""
    stages: list[tuple[Expected, ...]] = []
    workers = [(name, role) for name, role in workflow.workers.items() if any(role.candidates)]
    if (plans := workflow.orchestrator) is not None:
        stages.append((_call(plans, plans.candidates[0], "worker", type_, PLAN, request),))
        workers = [worker for worker, _ in zip(cycle(workers), range(_SUBTASKS), strict=False)]
    stages.append(tuple(_call(role, role.candidates[0], "worker", name, "", request) for name, role in workers))
    if (writes := workflow.synthesizer) is not None:
        stages.append((_call(writes, writes.candidates[0], "worker", type_, ANSWER, request),))
    return tuple(stage for stage in stages if stage)


def _answer(definition: Definition, plan: Plan, work: Work, head: Head | None) -> Job:
    role = definition.synthesizer if plan.subtasks else writer_of(definition)
    if role is None:  # the results are the answer
        return Job()
    if not plan.subtasks:
        request = direct_request(definition, role, work.task, 0, head)
    else:
        nothing = {subtask.id: Result(subtask.id, "done") for subtask in plan.subtasks}
        asked = answer_request(definition, work.task, plan.subtasks, nothing, plan.state or "complete", 0, head)
        if asked is None:  # the results are the answer
            return Job()
        request = asked
    call = _call(role, role.candidates[0], "synthesizer", "", "", request)
    return Job(tuple(range(len(plan.subtasks))), ((call,),))


def _call(
    role: Role, model: str, kind: RoleName, type_: str, part: str, request: Request, limit: int = USUAL
) -> Expected:
    return Expected(
        Kind(model, kind, type_, part),
        tokens_asked(request),
        most_output(role.options) or limit,
        model.startswith(f"{PROVIDER}:"),
    )
