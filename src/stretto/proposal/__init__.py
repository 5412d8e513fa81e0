"""A plan with its forecast, put before somebody who decides about it before anything of it is asked."""

from stretto.proposal.decisions import (
    Again,
    Approve,
    Decision,
    Drop,
    Edit,
    Go,
    Line,
    Proposal,
    Range,
    Stop,
    dependents,
    without,
)

__all__ = [
    "Again",
    "Approve",
    "Decision",
    "Drop",
    "Edit",
    "Go",
    "Line",
    "Proposal",
    "Range",
    "Stop",
    "dependents",
    "without",
]
