"""Checks: a result is held against what was asked, and asked for once more if it does not hold."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from stretto import prompts
from stretto.calls import KEPT
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.blocks import blocks
from stretto.engine.requests import further, request_for
from stretto.engine.results import CUT, result_said
from stretto.errors import BudgetError, DeadlineError, ShapeError
from stretto.models.functions import review, speakers
from stretto.shapes import Misfit, Shape, fitted
from stretto.types import Definition, Head, Message, Request, Result, Role, Subtask, Verdict

VERDICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "remark": {"type": "string", "description": "what is wrong with it, or why you cannot tell"},
        "verdict": {"type": "string", "enum": ["holds", "fails", "unsure"]},
    },
    "required": ["remark", "verdict"],
    "additionalProperties": False,
}
"""What a checker replies: the reason before the verdict, so that it is found before it is said."""

_LONGEST_REMARK = 1000  # characters; it goes into prompts


def checker_of(definition: Definition, role: Role) -> Role | None:
    """Who checks a worker's results, if anybody does; one without a model has the worker's.

    For a worker that is a function or a workflow it has the orchestrator's, or the synthesizer's.
    """
    if role.check is None:
        return None
    checker = role.check if isinstance(role.check, Role) else Role(about=role.check)
    if any(checker.candidates):
        return checker
    owners = (role, definition.orchestrator, definition.synthesizer)
    owner = next((each for each in owners if each is not None and speakers(each)), Role())
    return replace(checker, model=speakers(owner) or "", stream=checker.stream or owner.stream)


def check_request(
    checker: Role,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int,
    head: Head | None,
    text: str,
) -> Request:
    """What a checker is asked about a result; a function is given the subtask and the result alone."""
    if not speakers(checker):
        return request_for(checker, review(subtask, text), sample)
    texts = [(need.id, result.text) for need, result in needed]
    beside = (task, subtask.description, *(each for _, each in texts))
    needs = blocks("needed", texts, (task, text))
    parts = {
        "needs": prompts.fill(prompts.text("checker-needs"), {"needed": needs}) if texts else "",
        "result": blocks("result", [(subtask.id, text)], beside),
        "about": prompts.fill(prompts.text("checker-about"), {"about": checker.about}) if checker.about.strip() else "",
    }
    template = prompts.template("checker", checker.prompt)
    values = {"original_task": task, "task_type": subtask.type, "task_description": subtask.description, **parts}
    # A prompt without one of these placeholders loses nothing.
    rest = "".join(f"\n{part}" for name, part in parts.items() if part and not prompts.uses(template, name))
    request = request_for(checker, prompts.fill(template, values) + rest, sample, head)
    return replace(request, schema=VERDICT)


def retry_request(request: Request, reply: str, remark: str) -> Request:
    """What is asked once more when the reply to `request` does not hold, and why it does not."""
    asked = prompts.fill(prompts.text("retry"), {"remark": remark})
    if reply.strip():
        return replace(request, messages=(*request.messages, Message("assistant", reply), Message("user", asked)))
    # Providers refuse an empty message.
    return further(request, asked)


def checking(
    checker: Role,
    task: str,
    subtask: Subtask,
    needed: Sequence[tuple[Subtask, Result]],
    sample: int,
    head: Head | None,
) -> Callable[[str], Request]:
    """What makes the requests of a checker, of a text that came back for this subtask."""
    return partial(check_request, checker, task, subtask, needed, sample, head)


def checked(result: Result, checker: Role, asking: Callable[[str], Request], again: Ask | None) -> Asking[Result]:
    """A result with its verdict; one that fails is asked for once more, and then it is the second verdict that counts.

    `asking` makes the checker's request about a text; `again` is who is asked once more, and what was asked. None: it
    is not asked for again, nor is it of a function, which would only say the same. Three calls at the most.
    """
    (said,) = yield [Ask(checker, asking(result.text), "check")]
    verdict, remark = _verdict(said, checker)
    first = replace(result, verdict=verdict, remark="; ".join(filter(None, (result.remark, remark))))
    if verdict != "fails" or again is None or not speakers(again.role):
        return first
    (said,) = yield [Ask(again.role, retry_request(again.request, result.text, remark), "retry")]
    second = result_said(result.subtask, said)
    if second.outcome != "done" or not second.text.strip():
        return first
    (said,) = yield [Ask(checker, asking(second.text), "second check")]
    verdict, remark = _verdict(said, checker)
    return replace(second, verdict=verdict, remark=remark)


def _verdict(said: Said, checker: Role) -> tuple[Verdict, str]:
    """What a checker found and says of it; whatever keeps it from that is no verdict."""
    if said.error is not None:
        return "unchecked", _short(_why_unasked(said.error, checker))
    if said.finish in CUT:
        return "unchecked", "the checker's reply was not whole: it met its limit of tokens"
    if said.finish not in KEPT:
        return "unchecked", f"the checker stopped with finish reason {said.finish!r}"
    try:
        found = fitted(said.text, Shape(VERDICT)).parsed
    except Misfit as misfit:
        return "unchecked", _short(f"the checker's reply could not be read: {misfit}")
    verdict, remark = found["verdict"], _short(found["remark"])
    if verdict == "unsure":
        return "unchecked", f"the checker could not tell: {remark}" if remark else "the checker could not tell"
    return verdict, remark or ("" if verdict == "holds" else "the checker gives no reason")


def _why_unasked(error: Exception, checker: Role) -> str:
    if isinstance(error, BudgetError):
        return "the budget does not allow for a check"
    if isinstance(error, DeadlineError):
        return "the deadline came before it was checked"
    if isinstance(error, ShapeError):
        return f"the checker's reply could not be read: {error}"
    return f"the checker could not {'be reached' if speakers(checker) else 'say'}: {error}"


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST_REMARK else text[:_LONGEST_REMARK] + "…"
