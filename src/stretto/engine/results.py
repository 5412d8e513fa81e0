"""What a reply makes of its subtask."""

from collections.abc import Sequence

from stretto.calls import CAPPED, KEPT, LOOPED, OVERLONG, SHORTENED
from stretto.engine.asking import Said
from stretto.errors import BudgetError, DeadlineError
from stretto.types import Result, Role, Subtask

CUT = {
    "length": "the reply met its token limit; raise max_tokens of this worker",
    SHORTENED: "the budget allowed for no longer reply",
    CAPPED: "the reply met the limit that is set where max_tokens is not: a part of the model's context",
    LOOPED: "the reply repeated itself and was stopped; it is kept up to there",
    OVERLONG: "the reply was longer than 32 MB; it is kept up to there",
}
"""Why a reply with such a finish reason is not whole."""


def unpaid(subtask: str) -> Result:
    """The result of a subtask that is too dear. In the same words each time, for they become a part of a prompt."""
    return Result(subtask, "skipped", error="the budget does not allow for it", code="unpaid")


def unasked(subtask: str) -> Result:
    """The result of a subtask for which there was no time, in the same words each time."""
    return Result(subtask, "skipped", error="the deadline came before it was asked", code="unasked")


def stopped(subtask: str, text: str) -> Result:
    """The result of a subtask that somebody has stopped, in the same words each time."""
    when = "after it had said this much" if text else "before it had said anything"
    return Result(subtask, "cut", text, f"it was stopped {when}", code="stopped")


def result_of(subtask: str, finish: str, text: str, tokens: int | None = None) -> Result:
    """The result of a subtask whose worker replied."""
    if finish in CUT:
        return Result(subtask, "truncated", text, CUT[finish], tokens=tokens)
    if finish not in KEPT:
        return Result(subtask, "failed", error=f"the model stopped with finish reason {finish!r}")
    return Result(subtask, "done", text, tokens=tokens)


def result_said(subtask: str, said: Said) -> Result:
    """The result of a subtask whose call ended like this."""
    match said.error:
        case None:
            return result_of(subtask, said.finish, said.text, said.tokens)
        case BudgetError():
            return unpaid(subtask)
        case DeadlineError() if not said.asked:
            return unasked(subtask)
        case DeadlineError():
            when = "after it had said this much" if said.text else "before it had said anything"
            return Result(subtask, "cut", said.text, f"the deadline came {when}")
        case error:
            return Result(subtask, "failed", error=str(error))


def lacking(role: Role, subtask: Subtask, needed: Sequence[tuple[Subtask, Result]]) -> Result | None:
    """The result of a subtask that is not to be done without what it needs; None if it is to be done."""
    if role.needs != "all" or not needed or any(result.outcome == "done" for _, result in needed):
        return None
    told = ", ".join(f"{need.id!r} is {result.outcome}" for need, result in needed)
    return Result(subtask.id, "skipped", error=f"none of what it needs is there: {told}")
