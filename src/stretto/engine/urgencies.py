"""What holds a run back most: the urgency of its calls, from what others need and how long things take."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial

from stretto.calls import Urgency
from stretto.types import RoleName, Subtask

_FIRST: Mapping[RoleName, int] = {"orchestrator": 0, "synthesizer": 1, "worker": 2}
_ENOUGH = 4  # subtasks of a type that must be over before it is compared: fewer tell nothing of those that wait


def of_role(role: RoleName) -> Urgency:
    """The urgency of a plan or a synthesis: nothing else would hold the run back for longer."""
    return Urgency(_FIRST[role])


class _Span:
    """How many subtasks of a type are over, and the fewest and the most seconds that one of them took."""

    __slots__ = ("count", "longest", "shortest")

    def __init__(self) -> None:
        self.count, self.shortest, self.longest = 0, math.inf, 0.0

    def note(self, seconds: float) -> bool:
        """One more is over; whether that may change how the type compares with others."""
        self.count += 1
        tells = self.count == _ENOUGH or (self.count > _ENOUGH and not self.shortest <= seconds <= self.longest)
        self.shortest, self.longest = min(self.shortest, seconds), max(self.longest, seconds)
        return tells

    def below(self, other: "_Span") -> bool:
        """Whether every one of enough was over sooner than any of enough of the others."""
        return min(self.count, other.count) >= _ENOUGH and self.longest < other.shortest


class Urgencies:
    """The urgencies of the calls for the subtasks of one plan.

    The plan goes before the synthesis, that before workers; of these, first those on whom the longest chain of other
    subtasks waits. Else they go in the plan's order, but for those of a type that was shorter than another every single
    time: they are held back, because what is short fills the gaps at the end. A type nobody knows yet is never held
    back, nor is one whose times overlap: to guess wrong costs more than to guess right gains.
    """

    def __init__(self) -> None:
        self._subtasks: dict[str, Subtask] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._depths: dict[str, int] = {}
        self._urgencies: dict[str, Urgency] = {}
        self._unfinished: Counter[int] = Counter()
        self._spans: defaultdict[str, _Span] = defaultdict(_Span)
        self._held: dict[str, int] = {}  # by type, how many others are longer

    def of(self, subtask: str) -> Urgency:
        """The urgency of a subtask that was planned."""
        return self._urgencies[subtask]

    def plan(self, subtask: Subtask) -> None:
        """A subtask was planned; whatever it needs has become more urgent."""
        needs = tuple([need for need in subtask.needs if need in self._subtasks])  # others make it fail
        self._subtasks[subtask.id], self._needs[subtask.id] = subtask, needs
        self._depths[subtask.id] = 0
        self._unfinished[0] += 1
        critical = partial(_is_critical, subtask.id, self._depths, self._unfinished)  # not us: that would be a circle
        self._urgencies[subtask.id] = Urgency(*self._key(subtask), critical=critical)
        deeper = [(need, 1) for need in needs]
        while deeper:
            need, depth = deeper.pop()
            if self._depths[need] < depth:
                self._unfinished[self._depths[need]] -= 1
                self._depths[need] = depth
                self._unfinished[depth] += 1
                self._move(self._subtasks[need])
                deeper += [(earlier, depth + 1) for earlier in self._needs[need]]

    def finish(self, subtask: Subtask, seconds: float) -> None:
        """A subtask is over, and its calls took so long; 0 if none was made."""
        self._unfinished[self._depths[subtask.id]] -= 1
        if not seconds or not self._spans[subtask.type].note(seconds):
            return
        spans = self._spans
        held = {type_: sum(map(span.below, spans.values())) for type_, span in spans.items()}
        changed = {type_ for type_, others in held.items() if others != self._held.get(type_, 0)}
        self._held = held
        for other in self._subtasks.values() if changed else ():
            if other.type in changed:
                self._move(other)

    def reopen(self, subtask: Subtask) -> None:
        """One that was over is to be done anew."""
        self._unfinished[self._depths[subtask.id]] += 1

    def _key(self, subtask: Subtask) -> tuple[float, ...]:
        return _FIRST["worker"], -self._depths[subtask.id], self._held.get(subtask.type, 0)

    def _move(self, subtask: Subtask) -> None:
        self._urgencies[subtask.id].move(*self._key(subtask))


def _is_critical(subtask: str, depths: Mapping[str, int], unfinished: Mapping[int, int]) -> bool:
    """Whether no longer chain of subtasks than the one behind this is still unfinished."""
    depth = depths[subtask]
    return not any(number for deeper, number in unfinished.items() if deeper > depth)
