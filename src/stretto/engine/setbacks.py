"""What went wrong in an execution, and what it gave up for that."""

from collections.abc import Mapping

from stretto import events as e
from stretto.engine.deadline import Deadline
from stretto.errors import (
    AuthError,
    BudgetError,
    CircuitOpen,
    ConnectError,
    DeadlineError,
    QuotaError,
    RateLimited,
    StrettoError,
    WorkError,
)
from stretto.events import DegradedCode
from stretto.store.journal import Journal
from stretto.types import Result

_FINAL = (AuthError, QuotaError, ConnectError, RateLimited, CircuitOpen)
"""What another call to the same provider would end with, too."""


class Setbacks:
    """Collects them, and says what a run gives up, each thing once."""

    def __init__(self, journal: Journal, deadline: Deadline) -> None:
        self._journal = journal
        self._deadline = deadline
        self._told: set[tuple[DegradedCode, str]] = set()
        self._errors: list[StrettoError] = []
        self._lateness: list[DeadlineError] = []  # what a model said of the deadline

    @property
    def told(self) -> tuple[str, ...]:
        """All that the run gave up so far, in words."""
        return self._journal.fold.degraded

    def degrade(self, policy: str, code: DegradedCode, reason: str, *, once: bool = False) -> None:
        """Say what the run gives up, each reason once, or the first one only."""
        told = code, "" if once else f"{policy}: {reason}"
        # A replay may have told it from the records.
        if told in self._told or (once and any(each.code == code for each in self._journal.fold.gave_up)):
            return
        self._told.add(told)
        self._journal.append(e.RunDegraded(policy=policy, code=code, reason=reason))

    def take(self, error: StrettoError, part: str) -> None:
        """A call that was `part` of a subtask, or (empty) all of it, ended with an error."""
        if isinstance(error, DeadlineError):
            self._lateness.append(error)
            return
        self._errors.append(error)
        if isinstance(error, BudgetError):
            if part:
                self.degrade("budget", "left_out", f"checks and the like are left out: {error}", once=True)
            else:
                told = "subtasks are skipped, those of the least value first"
                self.degrade("budget", "skipped", f"{told}: {error}", once=True)

    def cut(self) -> None:
        """The deadline came while there was work under way."""
        self.degrade("deadline", "cut", "who is still at work is cut, so that the answer can be written in time")

    def late(self, when: str) -> str:
        """That the deadline came, and what to do about it."""
        return f"the deadline of {self._deadline.seconds:g} s came {when}; raise it, or take quicker models"

    def is_final(self, failure: StrettoError) -> bool:
        """Whether another call to the same provider would fail for the same reason."""
        if isinstance(failure, BudgetError | DeadlineError):
            return True
        errors = self._errors if isinstance(failure, WorkError) else [failure]
        return bool(errors) and all(isinstance(error, _FINAL) for error in errors)

    def nothing_done(self, results: Mapping[str, Result]) -> StrettoError:
        """The error that says why nothing has a result, each reason once."""
        reasons = list(dict.fromkeys(result.error or result.outcome for result in results.values()))
        more = f" (and {len(reasons) - 3} other reasons)" if len(reasons) > 3 else ""
        told = f"none of {len(results)} subtasks has a result: {'; '.join(reasons[:3])}{more}"
        if self._errors and all(isinstance(error, BudgetError) for error in self._errors):
            first, *_ = (error for error in self._errors if isinstance(error, BudgetError))
            return BudgetError(f"none of {len(results)} subtasks has a result: {first}", binding=first.binding)
        if self._lateness and not self._errors:
            return self._lateness[0]
        if self._deadline.passed and not self._errors:
            return DeadlineError(f"{self.late('before any subtask was done')}; {told}")
        error = WorkError(told)
        error.__cause__ = self._errors[0] if self._errors else None
        return error
