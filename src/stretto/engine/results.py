"""What a reply makes of its subtask."""

from stretto.calls import KEPT, LOOPED, SHORTENED
from stretto.engine.asking import Said
from stretto.errors import BudgetError, DeadlineError
from stretto.types import Result

UNPAID = "the budget does not allow for it"
UNASKED = "the deadline came before it was asked"
"""Why a subtask is skipped: in the same words in every execution, for it becomes a part of a prompt."""

CUT = {
    "length": "the reply met its token limit; raise max_tokens of this worker",
    SHORTENED: "the budget allowed for no longer reply",
    LOOPED: "the reply repeated itself and was stopped; it is kept up to there",
}
"""Why a reply with such a finish reason is not whole."""


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
            return Result(subtask, "skipped", error=UNPAID)
        case DeadlineError() if not said.asked:
            return Result(subtask, "skipped", error=UNASKED)
        case DeadlineError():
            when = "after it had said this much" if said.text else "before it had said anything"
            return Result(subtask, "cut", said.text, f"the deadline came {when}")
        case error:
            return Result(subtask, "failed", error=str(error))


def lacking(subtask: str, need: str, result: Result) -> Result:
    """The result of a subtask that needs another, whose own result is not whole."""
    return Result(subtask, "skipped", error=f"it needs {need!r}, which is {result.outcome}")
