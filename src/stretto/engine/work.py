"""All that doing one subtask takes: one reply or several merged, then its check and the one retry."""

from collections.abc import Sequence

from msgspec.structs import replace

from stretto.engine.asking import Ask, Asking
from stretto.engine.checking import checked, checker_of, checking
from stretto.engine.condensing import condensed_needs
from stretto.engine.mending import mended, told_of
from stretto.engine.merging import members, merger_of, replied
from stretto.engine.requests import remarked_request, role_of, task_of, worker_request
from stretto.engine.results import result_said
from stretto.engine.windows import narrowed
from stretto.models.functions import speakers
from stretto.plan.given import WHOLE
from stretto.types import Definition, Head, Result, Subtask


def work(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int = 0,
    head: Head | None = None,
    remark: str = "",
    *,
    again: bool = True,
) -> Asking[Result]:
    """The result of a subtask that models or a function do, with the verdict of its check if it has one.

    `needed` are the results that it builds on, `head` the inputs of the run, `remark` what somebody says of an earlier
    reply. If the results are too long for its model, they are made shorter and it is asked `again`.
    """
    role, whole, task = role_of(definition, subtask), needed, task_of(subtask, task)
    needed = yield from condensed_needs(definition, task, subtask, needed, head)
    request = worker_request(definition, task, subtask, needed, sample, head)
    request = remarked_request(request, remark) if speakers(role) else request
    asked = members(role, request)
    if len(asked) == 1:
        (said,) = yield asked
        if again and whole and (narrower := narrowed(definition, role, request, said.error)):
            return (yield from work(narrower, task, subtask, whole, sample, head, remark, again=False))
        part = "" if subtask.description.startswith(WHOLE) else subtask.description
        told = told_of(role, request, task, part, [subtask.brief, *(each.text for _, each in needed)])
        told = replace(told, alone=subtask.alone)
        result = yield from mended(result_said(subtask.id, said), asked[0], told)
    else:
        result = yield from replied(role, request, asked, subtask.id)
    who = asked[0].role if len(asked) == 1 else merger_of(role)
    retry = Ask(who, replace(request, model=who.candidates[0]))
    return (yield from verified(definition, task, subtask, needed, result, sample, head, retry))


def verified(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    result: Result,
    sample: int = 0,
    head: Head | None = None,
    again: Ask | None = None,
) -> Asking[Result]:
    """A result with the verdict of its check, if its worker has one; only what is done is checked.

    `again`: who is asked once more if it fails, and what was asked; None if nobody can be.
    """
    checker = checker_of(definition, role_of(definition, subtask))
    if checker is None or result.outcome != "done":
        return result
    asking = checking(checker, task_of(subtask, task), subtask, needed, sample, head)
    return (yield from checked(result, checker, asking, again))
