"""All that doing one subtask takes: one reply or several merged, then its check and the one retry."""

from collections.abc import Sequence

from msgspec.structs import replace

from stretto.engine.asking import Ask, Asking
from stretto.engine.checking import checked, checker_of, checking
from stretto.engine.condensing import condensed_needs
from stretto.engine.merging import members, merger_of, replied
from stretto.engine.requests import role_of, worker_request
from stretto.types import Definition, Head, Result, Subtask


def work(
    definition: Definition,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int = 0,
    head: Head | None = None,
) -> Asking[Result]:
    """The result of a subtask, with the verdict of its check if it has one; only what is done is checked.

    `needed` are the results that it builds on, `head` the inputs of the run.
    """
    role = role_of(definition, subtask)
    needed = yield from condensed_needs(definition, task, subtask, needed, head)
    request = worker_request(definition, task, subtask, needed, sample, head)
    asked = members(role, request)
    result = yield from replied(role, request, asked, subtask.id)
    checker = checker_of(definition, role)
    if checker is None or result.outcome != "done":
        return result
    who = asked[0].role if len(asked) == 1 else merger_of(role)
    again = Ask(who, replace(request, model=who.candidates[0]))
    return (yield from checked(result, checker, checking(checker, task, subtask, needed, sample, head), again))
