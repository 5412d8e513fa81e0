"""Which calls a plan comes to, and what is known of their prompts before there are results to put in."""

from collections.abc import Mapping
from itertools import cycle

from msgspec import Struct

from stretto.engine.caller import ANSWER, PLAN
from stretto.engine.requests import answer_request, direct_request, role_of, worker_request
from stretto.head import head_of
from stretto.models.functions import PROVIDER
from stretto.plan.book import PlanBook
from stretto.policies.estimate import USUAL, most_output, tokens_asked, tokens_in
from stretto.proposal.history import Kind
from stretto.types import Definition, Head, Input, Plan, Request, Result, Role, RoleName, Subtask

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
    head = head_of(work.inputs)
    book = PlanBook(definition.workers, len(plan.subtasks), plan.subtasks)
    places = {subtask.id: place for place, subtask in enumerate(plan.subtasks)}
    jobs: list[Job] = []
    lost: set[str] = set()
    for subtask in plan.subtasks:
        result = work.results.get(subtask.id)
        if (kept := work.given.get(subtask.id)) is not None:
            jobs.append(Job(told=tokens_in(kept.text)))
        elif result is not None and result.outcome == "done":
            jobs.append(Job(told=tokens_in(result.text)))
        elif book.refusal(subtask) or lost.intersection(subtask.needs):
            lost.add(subtask.id)
            jobs.append(Job())
        else:
            needs = tuple(places[need] for need in subtask.needs)
            jobs.append(
                _subtask(definition, subtask, needs, worker_request(definition, work.task, subtask, [], 0, head))
            )
    return jobs, _answer(definition, plan, work, head)


def models_of(definition: Definition, plan: Plan, work: Work) -> list[str]:
    """Every model that a plan is expected to ask, each once."""
    jobs, answer = jobs_of(definition, plan, work)
    calls = [call for job in (*jobs, answer) for stage in job.stages for call in stage]
    return list(dict.fromkeys(call.kind.model for call in calls))


def _subtask(definition: Definition, subtask: Subtask, needs: tuple[int, ...], request: Request) -> Job:
    """The members of an ensemble, then who merges their replies, then who checks the result."""
    role = role_of(definition, subtask)
    if role.workflow is not None:
        return Job(needs, _within(role.workflow, subtask.type, request), result=-1)
    models = (role.models or role.candidates[:1]) * max(1, role.samples)
    members = tuple(_call(role, model, "worker", subtask.type, "", request) for model in models)
    stages, first = [members], role.candidates[0] if any(role.candidates) else models[0]
    if len(members) > 1 and role.merge != "vote":
        stages.append((_call(role, first, "worker", subtask.type, "merge", request),))
    writes = len(stages) - 1 if role.merge == "synthesize" else 0
    if (check := role.check) is not None:
        checker = Role(about=check) if isinstance(check, str) else check
        model = checker.candidates[0] if any(checker.candidates) else first
        stages.append((_call(checker, model, "worker", subtask.type, "check", request, _VERDICT),))
    return Job(needs, tuple(stages), writes)


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
    role = definition.synthesizer or definition.orchestrator
    if role is None:  # the results are the answer
        return Job()
    if not plan.subtasks:
        request = direct_request(definition, work.task, 0, head)
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
