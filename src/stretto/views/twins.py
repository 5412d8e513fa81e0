"""Calls of one run that ask the same: one of them is made, and its reply answers all."""

from collections.abc import Iterable

from stretto.events import CallFinished
from stretto.records import CallRecord


class Twins:
    """Which calls are duplicates within their run: told each one's end in turn, it says whose reply answered it."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}

    def of(self, ended: CallFinished) -> str:
        """The subtask that asked the same before; empty if the call is none's, or its reply its own, or recorded."""
        subtask = ended.subtask or ""
        if not ended.reused:
            if subtask and not ended.error:
                self._asked.setdefault(ended.fingerprint, subtask)
            return ""
        first = self._asked.get(ended.fingerprint, subtask)
        return "" if ended.origin or not subtask or first == subtask else first


def twins_of(calls: Iterable[CallRecord]) -> dict[str, str]:
    """The calls that are duplicates, by their ids, each with the subtask that asked the same before."""
    twins = Twins()
    return {call.id: twin for call in calls if call.finished and (twin := twins.of(call.finished))}
