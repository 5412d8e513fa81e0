"""A plan that somebody gives, from a file or from Python: read strictly, because who wrote it can mend it."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

import msgspec
from msgspec import Struct

from stretto.errors import TaskError
from stretto.ground.text import clean, meant, other_encoding
from stretto.plan.book import worker_for
from stretto.plan.naming import LONGEST_ID, is_reserved, safe_id
from stretto.plan.shares import called, shares
from stretto.types import Definition, Input, Plan, Role, Subtask

WHOLE = "the whole task"
"""What a subtask is called that nobody has planned."""


class PlanLine(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A subtask as a plan in a file has it."""

    id: str | None = None
    type: str
    description: str
    needs: tuple[str, ...] = ()
    value: float | None = None
    reads: tuple[str, ...] = ()


class PlanFile(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A plan as a file holds it: the orchestrator's own form, and the task it is for; a `size` means nothing here."""

    task: str | None = None
    brief: str = ""
    analysis: str = ""
    size: str | None = None
    tasks: list[PlanLine]


DIRECT = Plan((), "complete")
"""The plan of a task that is answered by one call, as if nobody had planned."""

AnyPlan = Plan | PlanFile | Mapping[str, Any]
"""A plan as it may be given: as data, in the orchestrator's form."""


_FORM = '{"tasks": [{"type": …, "description": …}, …]}'


def read_plan(text: bytes, place: str) -> PlanFile:
    """The plan in a file; raises `TaskError` naming the place that is wrong."""
    if other := other_encoding(text):
        raise TaskError(f"{place}: no plan: {other}")
    text = text.removeprefix(BOM_UTF8)  # some editors put it there
    try:
        file = msgspec.json.decode(text, type=PlanFile)
        json.loads(text, object_pairs_hook=_once)
    except TaskError as error:
        raise TaskError(f"{place}: no plan: {error}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TaskError(f"{place}: no plan: {_where(str(error))}; `stretto plan TASK` writes one") from error
    return file


def write_plan(task: str, plan: Plan) -> bytes:
    """The file that `read_plan` reads, for people to edit."""
    file = _file(plan, task)
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def plan_text(plan: Plan) -> str:
    """The plan as its orchestrator could have written it, on one line."""
    return msgspec.json.encode(_file(plan)).decode()


def _file(plan: Plan, task: str | None = None) -> PlanFile:
    """A plan as a file; what it says to every worker is its brief, and no analysis beside that."""
    lines = [msgspec.convert(subtask, PlanLine, from_attributes=True) for subtask in plan.subtasks]
    brief = next((subtask.brief for subtask in plan.subtasks if subtask.brief), "")
    return PlanFile(task=task, brief=brief, analysis="" if brief else plan.analysis, tasks=lines)


def given_plan(plan: AnyPlan, definition: Definition, place: str = "plan") -> Plan:
    """A plan that this workflow can carry out; raises `TaskError` naming the place that is wrong."""
    if isinstance(plan, Plan):
        file = _file(plan)
    elif isinstance(plan, PlanFile):
        file = plan
    elif not isinstance(plan, Mapping):
        raise TaskError(f"{place}: no plan: {_FORM} is one, not {type(plan).__name__}")
    else:
        try:
            file = msgspec.convert(plan, PlanFile)
        except msgspec.ValidationError as error:
            raise TaskError(f"{place}: no plan: {_where(str(error))}") from error
    most = definition.limits.max_subtasks
    if len(file.tasks) > most:
        raise TaskError(f"{place}: {len(file.tasks)} subtasks, but max_subtasks is {most}; raise it, or drop some")
    return Plan(_subtasks(file, definition.workers, place), "complete", clean(file.brief or file.analysis))


def fixed_plan(definition: Definition, inputs: Sequence[Input]) -> Plan | None:
    """The plan of a workflow that has no orchestrator: every worker does the whole task.

    One that reads the inputs by shares does it for each of them. If all of them are one share and one worker's, there
    is nothing to divide, and the task is answered directly.
    """
    if definition.orchestrator is not None:
        return None
    work = [(name, reads) for name, role in definition.workers.items() for reads in _shares(inputs, role.share)]
    most = definition.limits.max_subtasks
    if len(work) == 1 and inputs and definition.synthesizer and _only_reads(definition.workers[work[0][0]]):
        return DIRECT
    subtasks = [
        Subtask(f"t{number}", name, f"{WHOLE}{', for ' if reads else ''}{called(inputs, reads)}", reads=reads)
        for number, (name, reads) in enumerate(work[:most], 1)
    ]
    return Plan(tuple(subtasks), "complete" if len(work) <= most else "bounded")


def _only_reads(worker: Role) -> bool:
    """Whether all a worker is for is to read inputs by shares, so that others need not."""
    several = worker.models or worker.samples > 1
    return worker.share is not None and not (several or worker.schema or worker.check or worker.workflow)


def _shares(inputs: Sequence[Input], tokens: int | None) -> tuple[tuple[str, ...], ...]:
    """What each reads who does the whole task; all of the inputs, if they are no more than one share."""
    found = shares(inputs, tokens) if tokens else ()
    return found if len(found) > 1 else ((),)


def _subtasks(file: PlanFile, workers: Mapping[str, Role], place: str) -> tuple[Subtask, ...]:
    subtasks: dict[str, Subtask] = {}
    for number, line in enumerate(file.tasks, 1):
        where = f"{place}: tasks[{number - 1}]"
        id_ = _id(clean((line.id or "").strip()) or f"t{number}", where)
        if id_ in subtasks:
            raise TaskError(f"{where}.id: {id_!r} stands twice in the plan; every subtask needs an id of its own")
        if not line.description.strip():
            raise TaskError(f"{where}.description: empty; say what is to be done")
        if worker_for(line.type, workers) is None:
            raise TaskError(f"{where}.type: no worker {line.type!r}{meant(line.type, workers)}")
        needs = tuple(dict.fromkeys(normalize("NFC", clean(need.strip())) for need in line.needs))
        for need in needs:
            if need not in subtasks:
                raise TaskError(f"{where}.needs: {need!r} is no subtask listed before it{meant(need, subtasks)}")
        subtasks[id_] = Subtask(
            id_, clean(line.type), clean(line.description), needs, line.value, reads=line.reads, brief=clean(file.brief)
        )
    return tuple(subtasks.values())


def _id(written: str, where: str) -> str:
    id_ = normalize("NFC", written)
    if safe_id(id_) != id_:
        raise TaskError(
            f"{where}.id: {id_[:80]!r} is no id; letters, digits, _ . and - make one, {LONGEST_ID} at the most"
        )
    if is_reserved(id_):
        raise TaskError(f"{where}.id: {id_!r} means something else (a role, or an input); take another")
    return id_


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the file; raises `TaskError` for a key that stands in it twice, of which one would be lost."""
    ((key, times),) = Counter(key for key, _ in pairs).most_common(1) or [("", 1)]
    if times > 1:
        raise TaskError(f"the key {key[:80]!r} stands {times} times in one object; only one of them can count")
    return dict(pairs)


def _where(message: str) -> str:
    """An error of the decoder in our words for places."""
    what, _, where = message.partition(" - at `$")
    return f"{where.rstrip('`').lstrip('.')}: {what}" if where.strip("`") else what
