"""What the parts of one execution work with."""

from collections.abc import Callable, Container, Mapping

from msgspec import Struct

from stretto.calls import Model
from stretto.engine.caller import Caller
from stretto.engine.deadline import Deadline
from stretto.engine.inquiry import Inquiry
from stretto.engine.setbacks import Setbacks
from stretto.engine.shaping import Shaping
from stretto.head import Heads
from stretto.policies.account import Account
from stretto.policies.estimate import most_output
from stretto.shapes import Shape
from stretto.store.journal import Journal
from stretto.types import Definition, Result, Role


class Means(Struct, frozen=True):
    """What every part of an execution works with, however deep within subtasks.

    `caller`, `shaping`, `inquiry` make calls, `account` pays for them; every fact goes through `journal`. `deadline`,
    if there is one, is when workers are cut. `replies`: the fingerprints of the complete replies that the run has
    already; `given`: results of subtasks that are not computed. `heads` are those of its prompts; `most`: subtasks of
    the whole run, at most.
    """

    journal: Journal
    account: Account
    caller: Caller
    shaping: Shaping
    inquiry: Inquiry
    setbacks: Setbacks
    deadline: Deadline | None
    replies: Container[str]
    given: Mapping[str, Result]
    heads: Heads
    most: int


def means_of(
    definition: Definition,
    journal: Journal,
    model: Callable[[Role], Model],
    account: Account,
    replies: Container[str],
    given: Mapping[str, Result],
    shape: Shape | None,
    began: float | None = None,
) -> Means:
    """The means of an execution that begins now, or (for its deadline) has `began` already, in loop time."""
    deadline = _deadline(definition, began)
    caller = Caller(journal, model, account, deadline)
    setbacks = Setbacks(journal, deadline)
    shaping = Shaping(caller, journal, replies, shape)
    return Means(
        journal=journal,
        account=account,
        caller=caller,
        shaping=shaping,
        inquiry=Inquiry(shaping, setbacks, deadline),
        setbacks=setbacks,
        deadline=deadline,
        replies=replies,
        given=given,
        heads=Heads(journal.run.basis.inputs),
        most=definition.limits.max_subtasks,
    )


def _deadline(definition: Definition, began: float | None) -> Deadline | None:
    """The deadline of an execution, if it has one."""
    limits, role = definition.limits, definition.synthesizer
    if limits.deadline is None:
        return None
    tokens = most_output(role.options) if role else None
    return Deadline(limits.deadline, merges=role is not None, answer_tokens=tokens, began=began)
