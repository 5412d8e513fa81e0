"""The nouns of a run: frozen, and without knowledge of events, models or storage."""

from stretto.types.costs import Allowance, Price, Quota, Usage
from stretto.types.limits import Limits
from stretto.types.plans import (
    OUTCOMES,
    AnswerState,
    Basis,
    Citation,
    Coverage,
    Doubtful,
    Each,
    Missing,
    Outcome,
    Plan,
    PlanState,
    Result,
    Row,
    SkipCode,
    Subtask,
    Verdict,
)
from stretto.types.requests import Head, Input, Message, Reply, Request
from stretto.types.workflows import Definition, Known, Memory, Merge, Role, RoleName

__all__ = [
    "OUTCOMES",
    "Allowance",
    "AnswerState",
    "Basis",
    "Citation",
    "Coverage",
    "Definition",
    "Doubtful",
    "Each",
    "Head",
    "Input",
    "Known",
    "Limits",
    "Memory",
    "Merge",
    "Message",
    "Missing",
    "Outcome",
    "Plan",
    "PlanState",
    "Price",
    "Quota",
    "Reply",
    "Request",
    "Result",
    "Role",
    "RoleName",
    "Row",
    "SkipCode",
    "Subtask",
    "Usage",
    "Verdict",
]
