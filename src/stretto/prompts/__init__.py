"""The prompts: a file each, `text("worker")`, and what is filled into them."""

from stretto.prompts.defusing import MARK, defused
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
from stretto.prompts.results import joined_text, needs_text, one_line, result_text, results_text, unmerged_text
from stretto.prompts.work import worker_lines, worker_prompt

__all__ = [
    "MARK",
    "PLACEHOLDERS",
    "ROLES",
    "check",
    "defused",
    "describes_plan",
    "fill",
    "filled",
    "joined_text",
    "names",
    "needs_text",
    "one_line",
    "result_text",
    "results_text",
    "template",
    "text",
    "unmerged_text",
    "uses",
    "worker_lines",
    "worker_prompt",
]
