"""The plan as we ask for it and as we take it in: its schema, its rules, the request for the rest of a broken one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stretto import prompts
from stretto.plan.item import Draft
from stretto.types import Role, Subtask


def plan_schema(workers: Mapping[str, Role], max_subtasks: int, *, ranked: bool = False) -> dict[str, Any]:
    """The JSON schema of a plan for these workers; `ranked`: it says what each subtask is worth."""
    about = "; ".join(f"{name}: {role.about}" for name, role in workers.items() if role.about)
    value = {"type": "number", "description": "what the answer loses without it, from 1 to 5"}
    subtask = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "a short name, unique in the plan"},
            "type": {"type": "string", "enum": list(workers), "description": about or "which worker does it"},
            "description": {"type": "string", "description": "what to do and what to return"},
            "needs": {
                "type": "array",
                "items": {"type": "string"},
                "description": "ids of earlier subtasks whose results this one uses; usually none",
            },
            **({"value": value} if ranked else {}),
        },
        "required": ["type", "description"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "analysis": {"type": "string", "description": "two sentences at the most"},
            "tasks": {
                "type": "array",
                "items": subtask,
                "description": f"at most {max_subtasks} subtasks",
            },
        },
        "required": ["analysis", "tasks"],
        "additionalProperties": False,
    }


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
    again with the same type and description; within one reply, two alike are two.
    """

    def __init__(self, workers: Mapping[str, Role], max_subtasks: int, planned: Sequence[Subtask] = ()) -> None:
        self._workers = workers
        self._max = max_subtasks
        self._subtasks = {subtask.id: subtask for subtask in planned}
        self._places = {id_: place for place, id_ in enumerate(self._subtasks)}
        self._known: Counter[tuple[str, str]] = Counter()
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
    def full(self) -> bool:
        """No more subtasks are permitted."""
        return len(self._subtasks) >= self._max

    def expect_again(self) -> None:
        """A new reply begins, in which everything that is here may be listed once more."""
        self._known = Counter(_same(s) for s in self._subtasks.values())

    def knows(self, draft: Draft) -> bool:
        """Whether this draft is one that is here already, listed once more."""
        known = self._known[_same(draft)] > 0
        if known:
            self._known[_same(draft)] -= 1
        return known

    def take(self, draft: Draft, round_: int = 1, reads: tuple[str, ...] = ()) -> tuple[Subtask, str | None]:
        """The draft as a subtask of the plan, and a remark if it had to be changed."""
        asked = (draft.id or "").strip() or f"t{len(self._subtasks) + 1}"
        id_ = asked
        copies = 1
        while id_ in self._subtasks:
            copies += 1
            id_ = f"{asked}-{copies}"
        needs = dict.fromkeys(need.strip() for need in draft.needs)
        subtask = Subtask(id_, draft.type, draft.description, tuple(needs), draft.value, round_, reads)
        self._places[id_] = len(self._subtasks)
        self._subtasks[id_] = subtask
        return subtask, None if id_ == asked else f"id {asked!r} stands twice in the plan; this one is now {id_!r}"

    def refusal(self, subtask: Subtask) -> str | None:
        """Why a subtask cannot be done at all, or None."""
        if worker_for(subtask.type, self._workers) is None:
            return f"no worker for type {subtask.type!r}; there are {', '.join(self._workers)}"
        place = self._places[subtask.id]
        for need in subtask.needs:
            if self._places.get(need, place) >= place:
                return f"it needs {need!r}, which is not listed before it"
        return None


def _same(subtask: Subtask | Draft) -> tuple[str, str]:
    """What two subtasks have in common that are the same one; spaces are easily written differently."""
    return subtask.type.strip().casefold(), " ".join(subtask.description.split())


def rest_request(planned: Sequence[Subtask]) -> str:
    """What is asked of the orchestrator when its plan was cut off or could not be read."""
    known = [{"id": s.id, "type": s.type, "description": s.description} for s in planned]
    listed = msgspec.json.encode(known).decode()
    return prompts.filled("rest", subtasks=listed)
