"""The plan as we take it in: its rules, and the request for the rest of a broken one."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

import msgspec

from stretto import prompts
from stretto.plan.item import Draft
from stretto.plan.naming import LONGEST_ID, is_reserved, numbered, safe_id
from stretto.plan.sizes import Size, sizes
from stretto.types import Role, Subtask


def worker_for(type_: str, workers: Mapping[str, Role]) -> str | None:
    """The name of the worker that does subtasks of a type: the one of that name, or the only one there is."""
    if type_ in workers:
        return type_
    alike = [name for name in workers if name.casefold() == type_.strip().casefold()]
    if alike:
        return alike[0]
    return next(iter(workers)) if len(workers) == 1 else None


class PlanBook:
    """The subtasks taken in so far, in order; gives each its id and says which of them cannot be done.

    What was `planned` in an earlier execution, or before a repair, is the same subtask when the orchestrator lists it
    again with the same type and description; within one reply, two alike are two. A reply may list as many as the size
    it says permits, and all replies together `max_subtasks`.
    """

    def __init__(self, workers: Mapping[str, Role], max_subtasks: int, planned: Sequence[Subtask] = ()) -> None:
        self._workers = workers
        self._max = max_subtasks
        self._subtasks = {subtask.id: subtask for subtask in planned}
        self._places = {id_: place for place, id_ in enumerate(self._subtasks)}
        self._names: dict[str, str] = {}  # the ids as they were written
        self.expect_again()

    @property
    def subtasks(self) -> tuple[Subtask, ...]:
        """In the plan's order."""
        return tuple(self._subtasks.values())

    def __getitem__(self, subtask: str) -> Subtask:
        return self._subtasks[subtask]

    def go_on(self, planned: Iterable[Subtask]) -> None:
        """Take in what was planned in an earlier execution, as it is."""
        for subtask in planned:
            self._places.setdefault(subtask.id, len(self._subtasks))
            self._subtasks.setdefault(subtask.id, subtask)

    @property
    def exhausted(self) -> bool:
        """No more subtasks are permitted, in whatever reply."""
        return len(self._subtasks) >= self._max

    @property
    def full(self) -> bool:
        """No more subtasks are permitted."""
        return bool(self.why_full)

    @property
    def why_full(self) -> str:
        """What permits no more subtasks; empty if more are permitted."""
        if self.exhausted:
            return f"the plan is longer than max_subtasks = {self._max}"
        if self._size and self._listed >= self._size.most:
            return f"the plan is longer than its size {self._size.name!r} permits: {self._size.most} at the most"
        return ""

    def expect_again(self) -> None:
        """A new reply begins, in which everything that is here may be listed once more."""
        self._size: Size | None = None
        self._listed = 0
        self._known: defaultdict[tuple[str, str], deque[str]] = defaultdict(deque)
        for subtask in self._subtasks.values():
            self._known[_same(subtask)].append(subtask.id)

    def scale(self, size: str) -> None:
        """Take note of the size that the reply says its plan has; one that does not exist says nothing."""
        self._size = next((known for known in sizes(self._max) if known.name == size), None)

    def knows(self, draft: Draft) -> bool:
        """Whether this draft is one that is here already, listed once more."""
        if not (known := self._known[_same(draft)]):
            return False
        self._name(draft, known.popleft())
        return True

    def take(self, draft: Draft, round_: int = 1, reads: tuple[str, ...] = ()) -> tuple[Subtask, str | None]:
        """The draft as a subtask of the plan, and a remark if it had to be changed."""
        usual = f"t{len(self._subtasks) + 1}"
        asked = (draft.id or "").strip() or usual
        wanted = safe_id(asked) or usual
        copies = (numbered(wanted, copy) for copy in count(2 if is_reserved(wanted) else 1))
        id_ = next(each for each in copies if each not in self._subtasks)
        needs = dict.fromkeys(self._meant(need.strip()) for need in draft.needs)
        subtask = Subtask(id_, draft.type, draft.description, tuple(needs), draft.value, round_, reads)
        self._places[id_] = len(self._subtasks)
        self._subtasks[id_] = subtask
        self._name(draft, id_)
        return subtask, None if id_ == asked else _renamed(asked, wanted, id_)

    def _name(self, draft: Draft, id_: str) -> None:
        self._listed += 1
        if draft.id:
            self._names.setdefault(draft.id.strip(), id_)

    def _meant(self, need: str) -> str:
        """The id of the subtask that was written so; of two, the first."""
        return self._names.get(need) or safe_id(need) or need[:LONGEST_ID]

    def refusal(self, subtask: Subtask) -> str | None:
        """Why a subtask cannot be done at all, or None."""
        if worker_for(subtask.type, self._workers) is None:
            return f"no worker for type {subtask.type!r}; there are {', '.join(self._workers)}"
        place = self._places[subtask.id]
        for need in subtask.needs:
            if self._places.get(need, place) >= place:
                return f"it needs {need!r}, which is not listed before it"
        return None


def _renamed(asked: str, wanted: str, id_: str) -> str:
    shown = asked if len(asked) <= LONGEST_ID else asked[:LONGEST_ID] + "…"
    if wanted != asked:
        why = f"has more than {LONGEST_ID} characters, or others than letters, digits, _ . and -"
    else:
        why = "means something else" if is_reserved(wanted) else "stands twice in the plan"
    return f"id {shown!r} {why}; this one is now {id_!r}"


def _same(subtask: Subtask | Draft) -> tuple[str, str]:
    """What two subtasks have in common that are the same one; spaces are easily written differently."""
    return subtask.type.strip().casefold(), " ".join(subtask.description.split())


def rest_request(planned: Sequence[Subtask]) -> str:
    """What is asked of the orchestrator when its plan was cut off or could not be read."""
    known = [{"id": s.id, "type": s.type, "description": s.description} for s in planned]
    listed = msgspec.json.encode(known).decode()
    return prompts.filled("rest", subtasks=listed)
