"""What is put before whoever approves a plan, and what may be decided about it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from stretto.errors import TaskError
from stretto.ground.amounts import dollars
from stretto.plan.given import AnyPlan, PlanFile
from stretto.types import Plan, Subtask

Amount = TypeVar("Amount", int, float, Decimal)
Source = Literal["history", "defaults", "mixed", "none"]
"""Where a forecast comes from: recorded calls, prices and defaults, both; or there is no call to be forecast."""


class Range(Struct, Generic[Amount], frozen=True):
    """An amount that is not known yet: half of all draws stay below `p50`, 19 of 20 below `p95`."""

    p50: Amount
    p95: Amount


class Line(Struct, frozen=True, kw_only=True):
    """What one part of a plan is expected to take: a subtask, the `answer`, or the `total` of what is left to do.

    `tokens` are of input and output together, `cost` is in US dollars (None: a price is unknown), `seconds` are from
    the moment when all it needs is there. `known` are the recorded calls that tell of it. `critical`: it is a part of
    the chain that ends last most often.
    """

    name: str
    type: str = ""
    description: str = ""
    needs: tuple[str, ...] = ()
    calls: int = 0
    tokens: Range[int] = Range(0, 0)
    cost: Range[Decimal] | None = Range(Decimal(0), Decimal(0))
    seconds: Range[float] = Range(0.0, 0.0)
    source: Source = "none"
    known: int = 0
    critical: bool = False


class Proposal(Struct, frozen=True):
    """A plan with its forecast: a line for each subtask in the plan's order, one for the answer, and the total.

    The plan itself is paid already and not in it. A plan without subtasks has no lines: its task is answered directly.
    `assumed`: models whose price was found by their name alone, and whose it is (`openai:gpt-5: gpt-5 of openai`).
    `live`, `batch`: the total if all workers are asked live, and if all that can go out with their provider's batch,
    whichever way they go now; None where none can. `batches`: how many recorded ones the time of that rests on; 0: it
    is what providers promise, a day for each.
    """

    run_id: str
    task: str
    plan: Plan
    lines: tuple[Line, ...]
    answer: Line
    total: Line
    assumed: tuple[str, ...] = ()
    live: Line | None = None
    batch: Line | None = None
    batches: int = 0


class Go(Struct, frozen=True):
    """Carry the plan out."""


class Edit(Struct, frozen=True):
    """Carry out this plan in its place: a `Plan`, or data in the form of one; it is shown once more."""

    plan: AnyPlan


class Drop(Struct, frozen=True):
    """Leave these subtasks out; the plan is shown once more."""

    ids: Sequence[str]


class Again(Struct, frozen=True):
    """Ask the orchestrator for another plan, with this remark on the one there is."""

    remark: str


class Stop(Struct, frozen=True):
    """Stop the run here; `resume` carries the plan out."""


class Leave(Struct, frozen=True):
    """Decide later: the run is left as it stands, nothing is recorded, and whoever goes on with it asks once more."""


Decision = Go | Edit | Drop | Again | Stop | Leave
Approve = Callable[[Proposal], Decision | Awaitable[Decision]]
"""Decides about a proposal, before anything of its plan is asked."""


class Answer(Struct, forbid_unknown_fields=True, kw_only=True):
    """What is decided about a proposal; `edit` comes with a `plan`, `drop` with `ids`, `again` with a `remark`."""

    decision: Literal["go", "edit", "drop", "again", "stop"]
    plan: PlanFile | None = None
    ids: tuple[str, ...] = ()
    remark: str = ""

    def decided(self) -> Decision:
        """The decision itself; raises `TaskError` if it lacks its plan."""
        match self.decision:
            case "go":
                return Go()
            case "edit":
                if self.plan is None:
                    raise TaskError("plan: edit comes with the plan that is to be carried out")
                return Edit(self.plan)
            case "drop":
                return Drop(self.ids)
            case "again":
                return Again(self.remark)
            case "stop":
                return Stop()


class Over:
    """An `approve` that has `ask` decide about plans that may cost more than an amount, and carries out all others.

    What a plan may cost is `total.cost.p95` of its proposal, which 19 of 20 such runs stay below; `ask` decides, too,
    where nobody knows the cost, and about all that comes of a plan once it was asked about. `amount`: US dollars, as a
    number or a text ("50c"). Raises `ConfigError` for what is none.
    """

    def __init__(self, amount: Decimal | float | str, ask: Approve) -> None:
        self.amount = dollars(amount, "Over")
        self._ask = ask
        self._asked = set[str]()

    def asks(self, proposal: Proposal) -> bool:
        """Whether `ask` is to decide about a proposal."""
        cost = proposal.total.cost
        if cost is None or cost.p95 > self.amount:
            self._asked.add(proposal.run_id)
        return proposal.run_id in self._asked

    def __call__(self, proposal: Proposal) -> Decision | Awaitable[Decision]:
        """Decide about a proposal."""
        return self._ask(proposal) if self.asks(proposal) else Go()


def dependents(subtasks: Iterable[Subtask], ids: Sequence[str]) -> tuple[str, ...]:
    """Of the subtasks of a plan, in its order, those others that need these, directly or not."""
    gone, found = set(ids), []
    for subtask in subtasks:  # needs are listed before those who need them
        if gone.intersection(subtask.needs) and subtask.id not in gone:
            gone.add(subtask.id)
            found.append(subtask.id)
    return tuple(found)


def without(plan: Plan, ids: Sequence[str]) -> Plan:
    """The plan without these subtasks; raises `TaskError` if one is not there, others need it, or none is left."""
    known = [subtask.id for subtask in plan.subtasks]
    if not ids or (strange := [id_ for id_ in ids if id_ not in known]):
        named = f"no subtask {strange[0]!r} in the plan" if ids else "no subtask is named"
        raise TaskError(f"drop: {named}; there are {', '.join(known) or 'none'}")
    if needing := dependents(plan.subtasks, ids):
        need = "needs" if len(needing) == 1 else "need"
        raise TaskError(
            f"drop: {', '.join(needing)} {need} {', '.join(ids)}; drop {', '.join(needing)} as well, or edit"
        )
    if len(set(ids)) == len(known):
        raise TaskError("drop: nothing would be left of the plan; stop instead, or ask for another one")
    return replace(plan, subtasks=tuple(subtask for subtask in plan.subtasks if subtask.id not in ids))
