"""What a run plans, what comes of it, and what its answer rests on."""

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from stretto.types.costs import Usage
from stretto.types.requests import Input, Message

Outcome = Literal["done", "truncated", "cut", "failed", "skipped"]
AnswerState = Literal["complete", "truncated", "cut", "unmerged"]
PlanState = Literal["complete", "incomplete", "bounded"]
Verdict = Literal["holds", "fails", "unchecked"]
SkipCode = Literal["", "unasked", "unpaid", "stopped"]
"""Why a subtask was skipped: the deadline came before it was asked, the budget does not allow for it; or cut: somebody
has stopped it."""

OUTCOMES: tuple[Outcome, ...] = ("done", "truncated", "cut", "failed", "skipped")


class Subtask(Struct, frozen=True):
    """One line of the plan; `needs` are ids of subtasks listed before it.

    `value` ranks it, if the plan does: what is worth least is given up first when the budget gets short. `round`: in
    which one it was planned. `reads`: the pieces of the inputs that it has (`i1`, `i3:1-400`: those lines); all of them
    if it names none. `remark`: what had to be changed about it when it was planned. `brief`: what its plan says to
    every worker alike. `alone`: it is a task of its own, whose worker is told nothing of the run's.
    """

    id: str
    type: str
    description: str
    needs: tuple[str, ...] = ()
    value: float | None = None
    round: int = 1
    reads: tuple[str, ...] = ()
    remark: str = ""
    brief: str = ""
    alone: bool = False


class Result(Struct, frozen=True):
    """What a worker returned, or why it did not.

    `text` is complete only if the outcome is `done`; a `truncated` result keeps what arrived. `error` says why for
    every other outcome. `verdict` is what its check came to, if it has one: it holds, it fails, or nobody could say;
    `remark` is what the check, or the merging of several replies, says of it. `tokens`: those of the text, as its model
    counted them; None where nobody did. `code`: why it was skipped or cut, for programs.
    """

    subtask: str
    outcome: Outcome
    text: str = ""
    error: str | None = None
    verdict: Verdict | None = None
    remark: str = ""
    tokens: int | None = None
    code: SkipCode = ""


class Missing(Struct, frozen=True):
    """A subtask the answer could not rest on, and why."""

    subtask: str
    type: str
    outcome: Outcome
    reason: str


class Doubtful(Struct, frozen=True):
    """A result that the answer rests on though its check does not hold, or could not be made (`unchecked`)."""

    subtask: str
    type: str
    verdict: Verdict
    remark: str


class Coverage(Struct, frozen=True):
    """How much of the plan the answer rests on: counts by outcome, what is missing, and what is doubtful.

    `plan` is `incomplete` if the plan itself could not be had whole, `bounded` if it was longer than `max_subtasks`.
    `answer` is `truncated` if the answer met its token limit, `cut` if the deadline came while it was written, and
    `unmerged` if the results could not be merged: then they are the answer. `degraded` says by which policy
    the run gave up what. `condensed` are the subtasks whose results were too long for who wrote the answer,
    and were condensed or cut for that. `direct`: why the task was answered by one call, as if nobody had planned; empty
    if that was the plan.
    """

    counts: dict[Outcome, int] = {}
    missing: tuple[Missing, ...] = ()
    plan: PlanState = "complete"
    answer: AnswerState = "complete"
    degraded: tuple[str, ...] = ()
    doubtful: tuple[Doubtful, ...] = ()
    condensed: tuple[str, ...] = ()
    direct: str = ""

    @property
    def complete(self) -> bool:
        """Nothing at all is missing, and every check that was to be made holds."""
        whole = self.plan == "complete" and self.answer == "complete" and not self.direct
        return whole and not self.missing and not self.doubtful


class Citation(Struct, frozen=True):
    """A passage of the answer, and what it rests on: a subtask, or an input of the task.

    `start`, `end`: the passage in the answer, in characters. `source`: the subtask's id, or the input's (`i1`, `i2`, …,
    in their order). Of an input: its `name`, the `lines` (first and last, from 1) and the `quote` that stands there.
    `verified`: the quote was found in the input; False if it was not, or the lines are not there; None where there is
    nothing to be found.
    """

    start: int
    end: int
    source: str
    name: str = ""
    lines: tuple[int, int] | None = None
    quote: str = ""
    verified: bool | None = None


class Plan(Struct, frozen=True):
    """The subtasks in the order they were planned, and whether that is all of them (None: still being written).

    `rounds`: how many are over.
    """

    subtasks: tuple[Subtask, ...] = ()
    state: PlanState | None = None
    analysis: str = ""
    remarks: tuple[str, ...] = field(default=())
    rounds: int = 0


class Each(Struct, frozen=True):
    """A map: the task of each item is `template` with the item's fields in it; the plan has a subtask for each.

    `items` are data as JSON has it: texts, or objects with fields. `then`: the task of one answer written from all
    results; none if it is empty. `schema`: that of each result.
    """

    template: str
    items: tuple[Any, ...]
    then: str = ""
    schema: dict[str, Any] | None = None


class Basis(Struct, frozen=True):
    """What a run begins with beside its task.

    `origin`: the run whose recorded replies it may reuse. `plan`: one that is given and not asked for. `samples`: by
    subtask (or `orchestrator`, `synthesizer`) the sample number of its request, where that is not 0. `only`: of a given
    plan, the subtasks that are computed; the others' results are the origin's. `fresh`: what is asked anew.
    `inputs`: the texts that its task comes with. `plans`: those of workflows within, by the fingerprint of the request
    for each, whose replies are not recorded whole; they are given to whoever asks just that. `each`: the list, if the
    run does the same for each of its items. `client`: whose single calls these are, if the run is no task but
    what came through an endpoint. `approve`: its plan is put before somebody before it is carried out. `remarks`: by
    subtask, what somebody says of an earlier reply, with which it is asked. `messages`: what is asked word for word, in
    the task's place, by the one call that the run is.
    """

    origin: str | None = None
    plan: Plan | None = None
    samples: dict[str, int] = {}
    only: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    plans: dict[str, Plan] = {}
    each: Each | None = None
    client: str = ""
    approve: bool = False
    remarks: dict[str, str] = {}
    messages: tuple[Message, ...] = ()


class Row(Struct, frozen=True, kw_only=True):
    """What came of one item, good or bad.

    `id` is that of its subtask, `index` its place in the list, from 0, and `item` the item as it was given. `answer` is
    whole only if the `state` is `done`; for every other state `error` says why. `parsed` is the answer as the object it
    had to be, if it has a schema. `usage` and `cost` (US dollars, None where a price is unknown) are what was paid for
    it, `seconds` those from its first request to its last reply. `reused`: it was answered from the records alone.
    """

    id: str
    index: int
    item: Any
    answer: str
    state: Outcome
    error: str | None = None
    verdict: Verdict | None = None
    remark: str = ""
    parsed: Any = None
    model: str = ""
    usage: Usage = Usage()
    cost: Decimal | None = None
    seconds: float | None = None
    reused: bool = False

    @property
    def done(self) -> bool:
        """Whether the answer is there, whole."""
        return self.state == "done"
