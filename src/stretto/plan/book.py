"""The plan as we take it in: its rules, and the request for the rest of a broken one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count

import msgspec

from stretto import prompts
from stretto.plan.item import Draft
from stretto.plan.naming import LONGEST_ID, is_reserved, numbered, safe_id, same_work, shown
from stretto.plan.needs import Needs
from stretto.types import Role, Subtask

_LOOP = 3  # subtasks in a row that a reply has listed before


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

    One that is listed once more, with the same type and description, is the same subtask: in one reply, in the request
    for the rest of a broken plan, in a later execution, in a later round unless it is to `reopen`. What needs a subtask
    that is not listed yet is held back until that is, or until `settle`. All replies together may list `max_subtasks`.
    """

    def __init__(self, workers: Mapping[str, Role], max_subtasks: int, planned: Sequence[Subtask] = ()) -> None:
        self._workers = workers
        self._max = max_subtasks
        self._subtasks: dict[str, Subtask] = {}
        self._known: dict[tuple[str, str], str] = {}
        self._needs = Needs()
        self.expect_again()
        self.go_on(planned)

    @property
    def subtasks(self) -> tuple[Subtask, ...]:
        """Those that are planned, in the plan's order."""
        return tuple(self._subtasks.values())

    def __getitem__(self, subtask: str) -> Subtask:
        return self._subtasks[subtask]

    def __contains__(self, subtask: object) -> bool:
        return subtask in self._subtasks

    def go_on(self, planned: Iterable[Subtask]) -> None:
        """Take in what was planned in an earlier execution, or is given, as it is."""
        for subtask in planned:
            if subtask.id not in self._subtasks:
                self._needs.know(subtask)
                self._known.setdefault(same_work(subtask), subtask.id)
                self._plan(subtask)

    def reopen(self, subtasks: Collection[str]) -> None:
        """Take these for new ones if they are listed once more: nothing came of them."""
        self._known = {work: id_ for work, id_ in self._known.items() if id_ not in subtasks}

    @property
    def held(self) -> int:
        """How many subtasks are held back."""
        return len(self._needs.held)

    @property
    def listed(self) -> int:
        """How many subtasks there are, with those that are held back."""
        return len(self._subtasks) + self.held

    @property
    def full(self) -> bool:
        """No more subtasks are permitted."""
        return self.listed >= self._max

    @property
    def why_full(self) -> str:
        """What permits no more subtasks."""
        return f"the plan is longer than max_subtasks = {self._max}"

    @property
    def loops(self) -> bool:
        """Whether a reply lists the same subtasks again and again."""
        return self._repeats >= _LOOP

    def expect_again(self) -> None:
        """A new reply begins, in which everything that is here may be listed once more."""
        self._repeats = 0
        self._own = set[str]()

    def knows(self, draft: Draft) -> bool:
        """Whether this draft is one that is here already, listed once more."""
        known = self._known.get(same_work(draft))
        if known is None:
            return False
        self._repeats += known in self._own
        self._own.add(known)
        self._needs.know(self._subtasks.get(known) or self._needs.held[known], draft.id, draft.title)
        return True

    def take(self, draft: Draft, round_: int = 1, brief: str = "") -> list[Subtask]:
        """Take in a draft; the subtasks that can be planned now, each with what had to be changed about it."""
        usual = f"t{self.listed + 1}"
        asked = (draft.id or "").strip() or usual
        wanted = safe_id(asked) or usual
        copies = (numbered(wanted, copy) for copy in count(2 if is_reserved(wanted) else 1))
        id_ = next(each for each in copies if each not in self._subtasks and each not in self._needs.held)
        remark = "; ".join(filter(None, (draft.remark, "" if id_ == asked else _renamed(asked, wanted, id_))))
        subtask = Subtask(
            id_, draft.type, draft.description, draft.needs, draft.value, round_, remark=remark, brief=brief
        )
        self._known[same_work(subtask)] = id_
        self._repeats = 0
        self._own.add(id_)
        self._needs.know(subtask, draft.id, draft.title)
        return [self._plan(each) for each in self._needs.take(subtask)]

    def settle(self) -> list[Subtask]:
        """Nothing more is listed: the subtasks that were held back."""
        return [self._plan(each) for each in self._needs.settle()]

    def _plan(self, subtask: Subtask) -> Subtask:
        self._subtasks[subtask.id] = subtask
        self._needs.release(subtask)
        return subtask

    def refusal(self, subtask: Subtask) -> str | None:
        """Why a subtask cannot be done at all, or None."""
        if worker_for(subtask.type, self._workers) is None:
            return f"no worker for type {subtask.type!r}; there are {', '.join(self._workers)}"
        return None


def _renamed(asked: str, wanted: str, id_: str) -> str:
    if wanted != asked:
        why = f"has more than {LONGEST_ID} characters, or others than letters, digits, _ . and -"
    else:
        why = "means something else" if is_reserved(wanted) else "stands twice in the plan"
    return f"id {shown(asked)} {why}; this one is now {id_!r}"


def rest_request(planned: Sequence[Subtask]) -> str:
    """What is asked of the orchestrator when its plan was cut off or could not be read."""
    known = [{"id": s.id, "type": s.type, "description": s.description} for s in planned]
    listed = msgspec.json.encode(known).decode()
    return prompts.filled("rest", subtasks=listed)
