"""The prompts: a file each, `text("worker")`, and what is filled into them."""

from stretto.prompts.filling import (
    PLACEHOLDERS,
    ROLES,
    check,
    describes_plan,
    fill,
    filled,
    names,
    template,
    text,
    uses,
)
from stretto.prompts.results import result_text, results_text
from stretto.prompts.work import worker_lines, worker_prompt

__all__ = [
    "PLACEHOLDERS",
    "ROLES",
    "check",
    "describes_plan",
    "fill",
    "filled",
    "names",
    "result_text",
    "results_text",
    "template",
    "text",
    "uses",
    "worker_lines",
    "worker_prompt",
]
