"""Replies that cannot stand as they are: empty, a piece of our own prompts, or the task once more.

Each is asked for once more; what is still in it then is cut out, and that is said.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from stretto import prompts
from stretto.calls import KEPT
from stretto.engine.asking import Ask, Asking
from stretto.engine.requests import further
from stretto.engine.results import CUT, result_said
from stretto.models.functions import speakers
from stretto.types import Message, Request, Result, Role

Fault = Literal["empty", "echo", "recited", "restated"]
AGAIN = "again"
"""The part of a subtask, or of the answer, that asks once more for a reply that could not stand."""

_SAYS: dict[Fault, str] = {
    "empty": "the model replied with no text",
    "echo": "the reply says nothing but what its prompt says",
    "recited": "the reply says nothing but what its prompt says",
    "restated": "the reply only says again what was asked",
}
_CUT_OUT = "words of the prompt stood in the reply and were cut out"


class Told(Struct, frozen=True):
    """What a reply must not merely say again: the task, what was asked of it, and all else that stood in its request.

    A reply may well quote `material`, be it a text about our own prompts. `builds_on`: what of that are results of
    others; `system`, `prompt`: what its role says by itself, beside our rules. `alone`: what was asked has the text to
    be worked on in it, so that a reply may well be made of its words.
    """

    task: str
    asked: str
    material: tuple[str, ...] = ()
    builds_on: tuple[str, ...] = ()
    system: str = ""
    prompt: str = ""
    alone: bool = False


def fault(text: str, told: Told) -> Fault | None:
    """Why a whole reply cannot stand, or None."""
    if not text.strip():
        return "empty"
    if not told.alone and prompts.restates(text, told.task, told.asked):
        return "restated"
    if told.prompt and prompts.recites(text, told.prompt):
        return "recited"
    return "echo" if prompts.echoes(text, told.material) else None


def again_request(request: Request, why: Fault, told: Told) -> Request:
    """What is asked once more when the reply to `request` has this fault.

    Who repeats what it was told is told less: the material and what is asked, without rules; but what a user wrote says
    what is to be done, or wants just these words to be said, so it stays.
    """
    if why in {"empty", "recited"} or told.prompt:
        return further(request, prompts.filled("empty" if why == "empty" else "recited"))
    texts = [text.strip() for text in told.builds_on if text.strip()]
    material = "Material:\n" + "".join(f"{text}\n\n" for text in texts) if texts else ""
    part = prompts.filled("plainly", asked=told.asked, task=told.task) if told.asked else told.task
    system = (Message("system", told.system),) if told.system else ()
    return replace(request, messages=(*system, Message("user", material + part)))


def cleaned(text: str, told: Told) -> tuple[str, str]:
    """A reply without what it says of our prompts, and a remark if something had to be cut out."""
    head = prompts.headed(text, told.task, told.asked)
    rest = text[head:].lstrip() if head else text
    spans = prompts.echoes(rest, told.material)
    return (prompts.without(rest, spans), _CUT_OUT) if spans or head else (text, "")


def mended(result: Result, ask: Ask, told: Told) -> Asking[Result]:
    """The result of a reply that came whole, asked for once more if it cannot stand; one call at the most."""
    if result.outcome != "done" or ask.request.schema is not None:
        return result
    why = fault(result.text, told)
    if why is None:
        return _kept(result, told) if prompts.headed(result.text, told.task, told.asked) else result
    if not speakers(ask.role):  # it would only say the same
        return result if why != "empty" else replace(result, outcome="failed", error="the function returned no text")
    (said,) = yield [Ask(ask.role, again_request(ask.request, why, told), AGAIN)]
    second = result_said(result.subtask, said)
    if second.outcome != "done":
        return second if why == "empty" else _kept(result, told)
    left = fault(second.text, told)
    if left == "recited":  # a prompt may well say what is to be said, unless it is another that says so
        return replace(second, remark="; ".join(filter(None, (second.remark, _SAYS[left])))) if why == left else result
    if left in {"empty", "restated"}:
        return _lost(result, left) if why != "echo" else _kept(result, told)
    return _kept(second, told)


def _kept(result: Result, told: Told) -> Result:
    """What there is of a result without what it says of our prompts."""
    if fault(result.text, told) == "restated":
        return _lost(result, "restated")
    text, remark = cleaned(result.text, told)
    if not text:
        return _lost(result, "echo")
    return replace(result, text=text, remark="; ".join(filter(None, (result.remark, remark))))


def _lost(result: Result, why: Fault) -> Result:
    """A result that says nothing, though it was asked for twice."""
    return Result(result.subtask, "failed", error=f"{_SAYS[why]}, twice")


def is_whole(finish: str) -> bool:
    """Whether a reply with this finish reason came to its own end."""
    return finish in KEPT and finish not in CUT


def told_of(role: Role, request: Request, task: str, asked: str, texts: Sequence[str] = ()) -> Told:
    """What stands in a request to a role: the task, what was asked, and the texts that it builds on."""
    inputs = (request.head.text,) if request.head else ()
    return Told(task, asked, (task, asked, *texts, *inputs), tuple(texts), role.system or "", role.prompt or "")
