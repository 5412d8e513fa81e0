"""The codes of events that formats before this one told in words alone: stores up to 4, files of runs up to 1.

The only place where the wording of a message is read: what these formats wrote does not change any more.
"""

from msgspec.structs import replace

from stretto.events import AnyEvent, CallFinished, DegradedCode, RunDegraded, RunFailed, RunInterrupted, SubtaskFinished
from stretto.types import SkipCode

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


class Coding:
    """Gives the events of one run their codes, in the order of its log."""

    def __init__(self) -> None:
        self._failed: dict[str, str] = {}  # by what its error said, the last call that ended with it

    def coded(self, event: AnyEvent) -> AnyEvent:
        """The event as this version would have written it; the same object if that makes no difference."""
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
