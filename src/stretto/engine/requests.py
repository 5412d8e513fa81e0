"""What each role is asked: the definition of a workflow and what there is so far become requests.

Nothing else may enter one: the same definition, task and results make the same request in every execution, which is how
a recorded reply is found again.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from stretto import prompts
from stretto.errors import PlanError
from stretto.models.functions import speakers, work
from stretto.plan.book import rest_request, worker_for
from stretto.plan.form import form_of, plan_schema, size_lines
from stretto.plan.given import plan_text
from stretto.plan.naming import same_work
from stretto.types import Basis, Definition, Head, Message, Plan, PlanState, Request, Result, Role, Subtask


def request_for(role: Role, prompt: str, sample: int = 0, head: Head | None = None, rules: str = "") -> Request:
    """What a role's model is asked with this prompt; `head`: the inputs of the run, `rules`: what it is told first."""
    told = "\n\n".join(text for text in (role.system or "", rules.strip()) if text)
    system = (Message("system", told),) if told else ()
    messages = (*system, Message("user", prompt))
    return Request(role.candidates[0], messages, role.options, role.schema, sample, head)


def sample_of(basis: Basis, name: str) -> int:
    """Which repetition is wanted of what a subtask or role asks; that of a workflow is wanted of all within it."""
    parts = name.split("/")
    return sum(basis.samples.get("/".join(parts[:end]), 0) for end in range(1, len(parts) + 1))


def repetition_of(subtask: Subtask, subtasks: Sequence[Subtask]) -> int:
    """How often the same was planned in earlier rounds: what came of it then is recorded, and no answer now."""
    return sum(each.round < subtask.round and same_work(each) == same_work(subtask) for each in subtasks)


def plan_request(definition: Definition, task: str, sample: int = 0, head: Head | None = None) -> Request:
    """What the orchestrator is asked for its plan."""
    role, workers, limits = planner_of(definition), definition.workers, definition.limits
    most = limits.max_subtasks
    values = {
        "task": task,
        "workers": prompts.worker_lines(workers),
        "max_subtasks": str(most),
        "sizes": size_lines(most),
    }
    told = prompts.whole("orchestrator", role.prompt)
    # Where subtasks may have to be given up it matters what each is worth.
    ranked = limits.budget is not None or limits.tokens is not None
    schema = plan_schema(workers, most, form_of(told), ranked=ranked)
    prompt, rules = prompts.template("orchestrator", role.prompt), prompts.rules("orchestrator", role.prompt)
    request = request_for(role, prompts.fill(prompt, values), sample, head, prompts.fill(rules, values))
    return replace(request, schema=schema)


def planner_of(definition: Definition) -> Role:
    """Who plans; where nobody does, the plan is given or the task is every worker's, and nobody asks for this."""
    if definition.orchestrator is None:
        raise PlanError("this workflow has no orchestrator, and its plan is not whole")
    return definition.orchestrator


def part_task(
    role: Role, task: str, subtask: Subtask, needed: Sequence[tuple[Subtask, Result]], remark: str = ""
) -> str:
    """The subtask as a task of its own, for the workflow that does it, with what somebody says of an earlier reply."""
    told = [subtask.description]
    if not subtask.alone or role.prompt is not None:
        told = [prompts.worker_prompt(role, task_of(subtask, task), subtask, needed)]
    return "\n\n".join([*told, *([prompts.filled("remark", remark=remark)] if remark else [])])


def rest_of_plan(request: Request, planned: Sequence[Subtask]) -> Request:
    """What the orchestrator is asked when the reply to `request` was not whole and these subtasks came of it."""
    return replace(request, messages=(*request.messages, Message("user", rest_request(planned))))


def round_request(
    request: Request,
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    number: int,
    rounds: int,
    condensed: Collection[str] = frozenset(),
) -> Request:
    """What the orchestrator is asked once the plan it wrote to `request` is carried out: what else the answer takes.

    `number`: which of the `rounds` of planning this is; the plan was the first. `condensed`: ids of results that are
    not there whole.
    """
    found = prompts.results_text(subtasks, results, "complete", condensed)
    asked = prompts.filled("round", results=found, round=str(number), rounds=str(rounds))
    return replace(request, messages=(*request.messages, Message("user", asked)))


def again_request(request: Request, plan: Plan, remark: str) -> Request:
    """What the orchestrator is asked when somebody wants another plan than the one it wrote to `request`."""
    asked = Message("user", prompts.filled("again", remark=remark))
    return replace(request, messages=(*request.messages, Message("assistant", plan_text(plan)), asked))


def repair_request(request: Request, reply: str, why: str) -> Request:
    """What is asked once more when the reply to `request` does not fit its schema, and why it does not."""
    asked = Message("user", prompts.filled("repair", why=why))
    return replace(request, messages=(*request.messages, Message("assistant", reply), asked))


def role_of(definition: Definition, subtask: Subtask) -> Role:
    """The worker that does a subtask, if any does."""
    return definition.workers[worker_for(subtask.type, definition.workers) or subtask.type]


def worker_request(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int = 0,
    head: Head | None = None,
) -> Request:
    """What a worker is asked, with the results its subtask builds on; a function is given no inputs."""
    role = role_of(definition, subtask)
    if not speakers(role):
        return request_for(role, work(subtask, needed), sample)
    task = task_of(subtask, task)
    if role.prompt is None and not needed and is_whole_task(subtask, task):
        return request_for(role, task, sample, head)
    rules = _worker_rules(role.prompt, subtask.type)
    return request_for(role, prompts.worker_prompt(role, task, subtask, needed), sample, head, rules)


@lru_cache(maxsize=64)
def _worker_rules(prompt: str | None, type_: str) -> str:
    """What each worker of a type is told first: one text for all of them, as a thousand may be asked at once."""
    return prompts.fill(prompts.rules("worker", prompt), {"task_type": type_}).strip()


def remarked_request(request: Request, remark: str) -> Request:
    """What a worker is asked anew, with what somebody says of an earlier reply; as it was, if nothing is said."""
    return further(request, prompts.filled("remark", remark=remark)) if remark else request


def further(request: Request, text: str) -> Request:
    """The request with more to say at its end; in one message, as some models take no two of the same side."""
    *first, last = request.messages
    return replace(request, messages=(*first, replace(last, content=f"{last.content.rstrip()}\n\n{text}")))


def task_of(subtask: Subtask, task: str) -> str:
    """The task that a subtask is a part of: the run's, or what it is asked itself if it is alone."""
    return subtask.description if subtask.alone else task


def is_whole_task(subtask: Subtask, task: str) -> bool:
    """Whether a subtask is the task once more: then its worker is asked just that, as one call would be."""
    return subtask.alone or prompts.restates(subtask.description, task, "")


def answers_alike(definition: Definition, type_: str) -> bool:
    """Whether who does subtasks of a type is asked just as who answers a task that has none: with nothing added."""
    name, writer = worker_for(type_, definition.workers), definition.synthesizer
    if name is None or writer is None or not speakers(writer):
        return False
    worker = definition.workers[name]
    alike = Role(writer.candidates, options=writer.options, context=writer.context)
    return all(replace(role, model=role.candidates, about="", stream=False) == alike for role in (worker, writer))


def answer_request(
    definition: Definition,
    task: str,
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    plan: PlanState,
    sample: int = 0,
    head: Head | None = None,
    condensed: Collection[str] = frozenset(),
) -> Request | None:
    """What the synthesizer is asked, with every result and the ledger; without a synthesizer nothing is."""
    role = definition.synthesizer
    if role is None:
        return None
    return merged_by(role, task, subtasks, results, plan, sample, head, condensed)


def merged_by(
    role: Role,
    task: str,
    subtasks: Sequence[Subtask],
    results: Mapping[str, Result],
    plan: PlanState,
    sample: int = 0,
    head: Head | None = None,
    condensed: Collection[str] = frozenset(),
) -> Request:
    """What a synthesizer of this role is asked.

    `condensed`: the ids of results that are not there whole. Of results that belong to none of `subtasks` only the
    number is told: there was no room for them.
    """
    quotes = head is not None or any(subtask.reads for subtask in subtasks)
    values = {
        "task": task,
        "worker_responses": prompts.results_text(
            subtasks, results, plan, condensed, unread=len(results) - len(subtasks)
        ),
        "references": _references(quotes=quotes) if _cites(role) else "",
    }
    prompt = prompts.fill(prompts.template("synthesizer", role.prompt), values)
    return request_for(role, prompt, sample, head, prompts.fill(prompts.rules("synthesizer", role.prompt), values))


def cites(definition: Definition) -> bool:
    """Whether the answer is to say by references what it rests on; one that has a schema has no place for them."""
    return definition.synthesizer is not None and _cites(definition.synthesizer)


def _cites(role: Role) -> bool:
    return role.schema is None and prompts.uses(prompts.whole("synthesizer", role.prompt), "references")


def _references(*, quotes: bool) -> str:
    """How references are written; inputs are quoted in theirs."""
    asked = [prompts.filled("references"), *([prompts.filled("quotes")] if quotes else [])]
    return "\n".join(asked)


def writer_of(definition: Definition) -> Role | None:
    """Who answers a task without subtasks: who would write the answer, else who would plan, else a worker's model."""
    for role in (definition.synthesizer, definition.orchestrator):
        if role is not None and speakers(role):
            return role
    return next((Role(models) for role in definition.workers.values() if (models := speakers(role))), None)


def direct_request(
    definition: Definition,
    writer: Role,
    task: str,
    sample: int = 0,
    head: Head | None = None,
    messages: tuple[Message, ...] = (),
) -> Request:
    """What is asked where there are no subtasks: the task itself, and to quote the inputs if the answer is to cite.

    If there are `messages`, it is these as they are.
    """
    if messages:
        return Request(writer.candidates[0], messages, writer.options, writer.schema, sample, head)
    return request_for(writer, task, sample, head, prompts.filled("quotes") if head and cites(definition) else "")
