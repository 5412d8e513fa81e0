"""What formats before this one told in words alone: codes (stores up to 4, files of runs up to 1), facts (7 and 2).

The only place where the wording of a message is read: what these formats wrote does not change any more.
"""

from msgspec.structs import replace

from stretto.events import AnyEvent, CallFinished, DegradedCode, RunDegraded, RunFailed, RunInterrupted, SubtaskFinished
from stretto.ground.regex import regex
from stretto.types import SkipCode
from stretto.types.facts import Facts

_SKIPPED: dict[str, SkipCode] = {
    "the deadline came before it was asked": "unasked",
    "the budget does not allow for it": "unpaid",
}
_DEGRADED: tuple[tuple[str, str, str, DegradedCode], ...] = (  # policy, beginning, end
    ("budget", "", "; asked for a shorter reply", "shorter"),
    ("budget", "checks and the like are left out", "", "left_out"),
    ("budget", "subtasks are skipped", "", "skipped"),
    ("deadline", "who is still at work is cut", "", "cut"),
    ("deadline", "the plan is taken as far as it was written", "", "half_planned"),
    ("deadline", "no further round is planned", "", "no_round"),
    ("deadline", "the answer is kept as far as it was written", "", "half_written"),
    ("dialect", "", "", "dialect"),
    ("fallback", "", " instead", "fallback"),
    ("plan", "the task was answered directly", "", "direct"),
    ("", "the results themselves are the answer", "", "unmerged"),
)


_RAISED = regex(r"; raise (budget and tokens|budget|tokens)\b")
_CONTEXT = regex(r"its context is ([\d,]+) tokens")


class Coding:
    """Gives the events of one run what they lack, in the order of its log; `codes`: whether they have none of these."""

    def __init__(self, *, codes: bool) -> None:
        self._codes = codes
        self._failed: dict[str, str] = {}  # by what its error said, the last call that ended with it

    def coded(self, event: AnyEvent) -> AnyEvent:
        """The event as this version would have written it; the same object if that makes no difference."""
        event = self._with_code(event) if self._codes else event
        if isinstance(event, CallFinished | RunFailed) and event.facts is None and (facts := _facts(event)):
            return replace(event, facts=facts)
        return event

    def _with_code(self, event: AnyEvent) -> AnyEvent:
        match event:
            case CallFinished(error=str(error), call=call):
                self._failed[error] = call
            case SubtaskFinished(outcome="skipped", code="", error=str(error)) if error in _SKIPPED:
                return replace(event, code=_SKIPPED[error])
            case RunInterrupted(code="", reason="stopped at its plan"):
                return replace(event, code="stopped")
            case RunFailed(call="", error=error) if error in self._failed:
                return replace(event, call=self._failed[error])
            case RunDegraded(code=""):
                return _degraded(event)
            case _:
                pass
        return event


def _degraded(event: RunDegraded) -> RunDegraded:
    told = event.reason
    for policy, begins, ends, code in _DEGRADED:
        if (not policy or event.policy == policy) and told.startswith(begins) and told.endswith(ends):
            asked = told.removesuffix(ends).rpartition("; asked ")[2] if code == "fallback" else ""
            return replace(event, code=code, instead=asked)
    return event


def _facts(event: CallFinished | RunFailed) -> Facts | None:
    """The facts of an error that say more than its status, which was nowhere."""
    told = event.error or ""
    if event.error_type == "ContextError" and (found := _CONTEXT.search(told)):
        return Facts(context=int(found[1].replace(",", "")))
    if event.error_type == "BudgetError" and (found := _RAISED.search(told)):
        return Facts(binding=tuple(found[1].split(" and ")))
    return None
