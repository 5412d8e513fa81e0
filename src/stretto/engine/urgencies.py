"""What holds a run back most: the urgency of its calls, from what others need and how long things take."""

from collections import Counter
from collections.abc import Mapping

from stretto.calls import Urgency
from stretto.types import RoleName, Subtask

_FIRST: Mapping[RoleName, int] = {"orchestrator": 0, "synthesizer": 1, "worker": 2}
_LONGER = 1.5  # how much longer a type must prove to be before those who wait are told


def of_role(role: RoleName) -> Urgency:
    """The urgency of a plan or a synthesis: nothing else would hold the run back for longer."""
    return Urgency(_FIRST[role])


class Urgencies:
    """The urgencies of the calls for the subtasks of one plan.

    The plan goes before the synthesis, that before workers; of these, first those on whom the longest chain of other
    subtasks waits, then those of the type that has taken longest so far.
    """

    def __init__(self) -> None:
        self._subtasks: dict[str, Subtask] = {}
        self._needs: dict[str, list[str]] = {}
        self._depths: dict[str, int] = {}
        self._urgencies: dict[str, Urgency] = {}
        self._unfinished: Counter[int] = Counter()
        self._seconds: dict[str, float] = {}

    def of(self, subtask: str) -> Urgency:
        """The urgency of a subtask that was planned."""
        return self._urgencies[subtask]

    def plan(self, subtask: Subtask) -> None:
        """A subtask was planned; whatever it needs has become more urgent."""
        needs = [need for need in subtask.needs if need in self._subtasks]  # others make it fail
        self._subtasks[subtask.id], self._needs[subtask.id] = subtask, needs
        self._depths[subtask.id] = 0
        self._unfinished[0] += 1
        self._urgencies[subtask.id] = Urgency(*self._key(subtask), critical=lambda: self._is_critical(subtask.id))
        deeper = [(need, 1) for need in needs]
        while deeper:
            need, depth = deeper.pop()
            if self._depths[need] < depth:
                self._unfinished[self._depths[need]] -= 1
                self._depths[need] = depth
                self._unfinished[depth] += 1
                self._hasten(self._subtasks[need])
                deeper += [(earlier, depth + 1) for earlier in self._needs[need]]

    def finish(self, subtask: Subtask, seconds: float) -> None:
        """A subtask is over, and took so long."""
        self._unfinished[self._depths[subtask.id]] -= 1
        if seconds > _LONGER * self._seconds.get(subtask.type, 0.0):
            self._seconds[subtask.type] = seconds
            for other in self._subtasks.values():
                if other.type == subtask.type:
                    self._hasten(other)

    def _key(self, subtask: Subtask) -> tuple[float, ...]:
        return _FIRST["worker"], -self._depths[subtask.id], -self._seconds.get(subtask.type, 0.0)

    def _hasten(self, subtask: Subtask) -> None:
        self._urgencies[subtask.id].hasten(*self._key(subtask))

    def _is_critical(self, subtask: str) -> bool:
        """Whether no longer chain of subtasks than the one behind this is still unfinished."""
        depth = self._depths[subtask]
        return not any(number for deeper, number in self._unfinished.items() if deeper > depth)
