"""Ensembles: several replies to the same request, of one model or of several, become one result."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stretto import prompts
from stretto.calls import KEPT
from stretto.engine.asking import Ask, Asking, Said
from stretto.engine.blocks import blocks
from stretto.engine.requests import further
from stretto.engine.results import CUT, result_said
from stretto.engine.votes import as_json, folded, tally
from stretto.errors import BudgetError, DeadlineError
from stretto.shapes import Misfit, Shape, fitted
from stretto.types import Request, Result, Role


def best_schema(count: int) -> dict[str, Any]:
    """What is replied about which of so many replies is the best."""
    return {
        "type": "object",
        "properties": {
            "why": {"type": "string", "description": "one sentence"},
            "best": {"type": "integer", "minimum": 1, "maximum": count},
        },
        "required": ["why", "best"],
        "additionalProperties": False,
    }


def merger_of(role: Role) -> Role:
    """Who makes one result of the replies: the role itself, with the first of its `models` if it names no other."""
    return role if any(role.candidates) else replace(role, model=role.models[0])


def members(role: Role, request: Request) -> list[Ask]:
    """Who is asked for a result: each model of the role, as often as it wants samples; no two requests are the same.

    `request` is the worker's own. Of one member it is what is asked, if the role has no `models`.
    """
    if not role.models and role.samples == 1:
        return [Ask(role, request)]
    models = role.models or (None,)
    count, nth = len(models) * role.samples, dict[str | None, int]()
    found: list[Ask] = []
    for model in (model for model in models for _ in range(role.samples)):
        sample = request.sample * count + nth.get(model, 0)
        nth[model] = nth.get(model, 0) + 1
        asked, who = (request, role) if model is None else (replace(request, model=model), replace(role, model=model))
        part = f"reply {len(found) + 1}" if count > 1 else ""
        found.append(Ask(who, replace(asked, sample=sample), part))
    return found


def replied(role: Role, request: Request, asked: list[Ask], subtask: str) -> Asking[Result]:
    """The result of a worker of whom `asked` are the members: what their replies come to."""
    results = [result_said(subtask, said) for said in (yield asked)]
    whole = [result for result in results if result.outcome == "done" and result.text.strip()]
    if not whole:
        return _of_none(results)
    lost = "" if len(whole) == len(results) else f"{len(results) - len(whole)} of {len(results)} replies are missing"
    merged = yield from _merged(role, request, [result.text for result in whole])
    tokens = next((result.tokens for result in whole if result.text == merged.text), None)
    return replace(whole[0], text=merged.text, remark="; ".join(filter(None, (merged.remark, lost))), tokens=tokens)


def _of_none(results: Sequence[Result]) -> Result:
    """Of results none of which is whole, the first that says something, or else why the first failed."""
    partial = [each for outcome in ("truncated", "cut") for each in results if each.outcome == outcome and each.text]
    return next((each for each in (*partial, *results) if each.outcome != "done"), results[0])


class _Merged(Struct, frozen=True):
    """What replies come to, and how."""

    text: str
    remark: str


def _merged(role: Role, request: Request, replies: Sequence[str]) -> Asking[_Merged]:
    """One text of those that are there; a call that is of no use costs nothing but itself."""
    if len(replies) == 1:
        return _Merged(replies[0], "there is one reply, which is taken")
    if role.merge == "vote":
        return _voted(replies, schema=role.schema is not None)
    if len(set(replies)) == 1:
        return _Merged(replies[0], f"{len(replies)} of {len(replies)} agree")
    merger = merger_of(role)
    request = replace(request, model=merger.candidates[0])
    choosing = role.merge == "best"
    (said,) = yield [Ask(merger, merge_request(request, replies, choosing=choosing), "merge")]
    why = _useless(said)
    if why is None and choosing:
        return _chosen(said.text, replies)
    if why is None:
        return _Merged(said.text, f"written from {len(replies)} replies")
    return _Merged(replies[0], f"the first of {len(replies)} replies is taken: {why}")


def merge_request(request: Request, replies: Sequence[str], *, choosing: bool) -> Request:
    """What is asked about several replies to `request`: one text of them all, or (`choosing`) which is the best."""
    numbered = [(str(number), reply) for number, reply in enumerate(replies, 1)]
    beside = (message.content for message in request.messages)
    values = {"count": str(len(replies)), "replies": blocks("reply", numbered, beside)}
    asked = further(request, prompts.fill(prompts.text("best") if choosing else prompts.text("merge"), values))
    return replace(asked, schema=best_schema(len(replies))) if choosing else asked


def _voted(replies: Sequence[str], *, schema: bool) -> _Merged:
    first, most = tally(replies, as_json if schema else folded)
    if most == 1:
        return _Merged(replies[0], f"no two of {len(replies)} agree: the first is taken")
    return _Merged(replies[first], f"{most} of {len(replies)} agree")


def _chosen(text: str, replies: Sequence[str]) -> _Merged:
    count = len(replies)
    try:
        found = fitted(text, Shape(best_schema(count))).parsed
    except Misfit as misfit:
        return _Merged(replies[0], f"the first of {count} replies is taken: which is best could not be read: {misfit}")
    best = int(found["best"])  # JSON has 2.0, too
    why = f": {found['why'].strip()}" if found["why"].strip() else ""
    return _Merged(replies[best - 1], f"reply {best} of {count} is the best{why}")


def _useless(said: Said) -> str | None:
    """Why nothing can be made of what came of merging, or None."""
    if isinstance(said.error, BudgetError):
        return "the budget does not allow for merging them"
    if isinstance(said.error, DeadlineError):
        return "the deadline came before they were merged"
    if said.error is not None:
        return f"they could not be merged: {said.error}"
    if said.finish in CUT:
        return "what was to merge them met its limit of tokens"
    if said.finish not in KEPT:
        return f"what was to merge them stopped with finish reason {said.finish!r}"
    return None if said.text.strip() else "what was to merge them said nothing"
